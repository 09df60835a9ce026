"""Arrays in files: which are pictures, which are samples, and which cannot be told."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import Preprocessing
from outrider.networks.inputs import Input
from outrider.runtime.inputs.samples import open_source

RNG = np.random.default_rng(0)


def opened(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    return open_source(str(tmp_path / "a.npy"))


@pytest.mark.parametrize("dtype", ["uint8", "<u2", ">u2", "int16", "<i4", ">i4"])
@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 3, 5, 6), (4, 1, 5, 6), (4, 5, 6, 3)])
def test_integers_in_the_shape_of_pictures_are_pictures_as_stored(tmp_path, dtype, shape):
    array = RNG.integers(0, 250, shape).astype(dtype)
    picture = opened(tmp_path, array).picture(2)
    native = np.dtype(dtype).newbyteorder("=")
    assert picture.dtype == (native if native.kind == "u" else np.int32)
    due = array[2] if len(shape) == 4 else array[2][None]
    np.testing.assert_array_equal(picture, due.transpose(2, 0, 1) if shape[-1] == 3 else due)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_deep_integers_go_through_the_preprocessing_or_to_a_network_of_integers(tmp_path, dtype):
    array = RNG.integers(0, 4096, (3, 1, 4, 4)).astype(dtype)
    source = opened(tmp_path, array)
    seen = []

    class Noted(Preprocessing):
        def __call__(self, picture, dtype="float32"):
            seen.append(picture)
            return picture.astype(dtype)

    (batch,) = source.batches(Noted(order="L"), 8)
    np.testing.assert_array_equal(seen, array)
    assert (batch.dtype, seen[0].dtype) == (np.float32, dtype)
    (taken,) = source.batches(None, 8, [Input("x", (1, 4, 4), "int32")])
    assert taken.dtype == np.int32
    np.testing.assert_array_equal(taken, array)
    with pytest.raises(ValueError, match=r"a\.npy\[0\]: expected float samples, .*got a picture; give preprocessing="):
        next(source.batches(None, 8))


def test_other_integers_are_samples_for_networks_of_integers_alone(tmp_path):
    for tokens in (np.arange(6).reshape(2, 3), np.arange(6, dtype=np.int32).reshape(2, 3)):
        source = opened(tmp_path, tokens)
        (batch,) = source.batches(None, 4, [Input("ids", (3,), "int64")])
        assert batch.dtype == np.int64
        np.testing.assert_array_equal(batch, tokens)
        with pytest.raises(ValueError, match=r"a\.npy: expected uint8, .* or float samples .*, got int"):
            next(source.batches(None, 4))


@pytest.mark.parametrize("shape", [(2, 3, 8, 3), (2, 1, 8, 1), (2, 3, 8, 1)])
def test_channels_that_may_be_first_or_last_are_refused(tmp_path, shape):
    for dtype in (np.uint8, np.uint16):
        with pytest.raises(ValueError, match=r"a\.npy: .*, whose channels may be first or last; give gray ones as"):
            opened(tmp_path, np.zeros(shape, dtype))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((2, 8, 8, 4), "leave alpha out"), ((2, 4, 8, 8), "leave alpha out"), ((8, 8, 3), "a single picture is array")],
)
def test_bytes_of_other_shapes_say_what_to_do(tmp_path, shape, hint):
    source = opened(tmp_path, np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match=rf"a\.npy: expected .*; {hint}"):
        next(source.batches(Preprocessing(), 1))
    (batch,) = source.batches(None, 9, [Input("x", shape[1:], "uint8")])
    assert batch.shape == shape


def test_a_network_may_take_any_number(tmp_path):
    from outrider.runtime.inputs.arrays import array_source

    speeds = np.array([3, 4, 5], np.uint16)
    source = array_source(tmp_path / "a.npz", speeds, None, numbers=True)
    assert next(source.batches(None, 3)).tolist() == [3.0, 4.0, 5.0]
