from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.data import digests
from outrider.monitor.data.digests import FrameDigests, digests_of


def pictures(n, dtype=np.float32, shape=(3, 5, 7)):
    return np.random.default_rng(n).integers(0, 255, (n, *shape)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64, np.int64])
def test_a_frame_is_known_by_its_bytes_whatever_its_strides_and_order(dtype):
    x = pictures(20, dtype)
    known = digests_of(x)
    assert len(set(known.tolist())) == 20
    np.testing.assert_array_equal(digests_of(np.asfortranarray(x)), known)
    np.testing.assert_array_equal(digests_of(np.repeat(x, 2, axis=0)[::2]), known)
    np.testing.assert_array_equal(digests_of(x[::-1]), known[::-1])
    np.testing.assert_array_equal(np.concatenate([digests_of(x[:3]), digests_of(x[3:])]), known)


def test_a_tensor_and_an_array_are_one_frame():
    torch = pytest.importorskip("torch")
    x = pictures(4)
    np.testing.assert_array_equal(digests_of(torch.from_numpy(x)), digests_of(x))


def test_any_bit_the_shape_and_the_dtype_make_another_frame():
    x = pictures(1, np.uint8)
    others = [
        digests_of(x.reshape(1, 3, 7, 5)),
        digests_of(x.astype(np.int8)),
        digests_of(np.pad(x, ((0, 0),) * 3 + ((0, 1),))),
    ]
    for place in np.ndindex(x.shape[1:]):
        flipped = x.copy()
        flipped[(0, *place)] ^= 1
        others.append(digests_of(flipped))
    assert digests_of(x)[0] not in np.concatenate(others)
    assert len(np.unique(np.concatenate(others))) == len(others)


def test_frames_of_several_inputs_are_known_by_all_of_them_in_order():
    a, b = pictures(6), pictures(6, np.int64, (2,))
    known = digests_of((a, b))
    assert digests_of((a, b[::-1]))[0] != known[0]
    assert digests_of((a, a))[0] != digests_of(a)[0]
    assert (digests_of((a[2:3], b[2:3])) == known[2:3]).all()
    other = a[::-1]
    assert not np.intersect1d(digests_of((a[:3], other[:3])), digests_of((other[:3], a[:3]))).size


def test_frames_without_a_byte_are_all_the_same():
    assert len(set(digests_of(np.empty((3, 0), np.float32)).tolist())) == 1
    assert digests_of(np.empty((0, 4), np.float32)).shape == (0,)


def test_a_set_tells_what_is_in_it():
    held = FrameDigests()
    assert held.among(np.arange(3, dtype=np.uint64)) == (pytest.approx([False] * 3), 0.0)
    rng = np.random.default_rng(3)
    known = rng.permutation(np.arange(0, 80_000, 2, dtype=np.uint64))
    for part in np.array_split(np.concatenate([known, known[:500]]), 90):
        held.add(part)
    np.testing.assert_array_equal(held.values, np.sort(known))
    asked = np.arange(100, dtype=np.uint64)
    found, share = held.among(asked)
    np.testing.assert_array_equal(found, asked % 2 == 0)
    assert share == 0.5


def test_of_too_many_a_fair_sample_is_kept(monkeypatch):
    monkeypatch.setattr(digests, "MOST", 1000)
    known = np.random.default_rng(1).integers(0, 2**64, 20_000, np.uint64)
    held = FrameDigests()
    for part in np.array_split(known, 7):
        held.add(part)
    np.testing.assert_array_equal(held.values, np.sort(known)[:1000])
    strangers = np.random.default_rng(2).integers(0, 2**64, 6_000, np.uint64)
    found, share = held.among(np.concatenate([known[:4_000], strangers]))
    assert share == pytest.approx(0.4, abs=0.05)
    np.testing.assert_array_equal(found, np.isin(np.concatenate([known[:4_000], strangers]), np.sort(known)[:1000]))


def test_digests_merge_to_those_of_all_frames(monkeypatch):
    monkeypatch.setattr(digests, "MOST", 30)
    values = np.random.default_rng(0).integers(0, 2**63, 100).astype(np.uint64)
    whole, a, b = FrameDigests(), FrameDigests(), FrameDigests()
    whole.add(values)
    a.add(values[:70])
    b.add(values[40:])
    b.merge(a)
    np.testing.assert_array_equal(b.values, whole.values)
    assert len(b.values) == 30
