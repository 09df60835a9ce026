"""What two answers of a network have in common."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

from outrider.networks.conformance.checked import Checked, arrays_of, near, same

from .faults import Dense

A = np.array([1.0, np.nan, -0.0], np.float32)


def test_equal_is_equal_bit_for_bit():
    assert same([A], [A.copy()])
    assert not same([A], [A + 0.0])  # -0.0 becomes 0.0
    assert not same([A], [A.astype(np.float64)])
    assert not same([A], [A[:, None]])
    assert not same([A], [A, A])


@pytest.mark.parametrize(
    ("other", "tolerance", "expected"),
    [
        ([2.0, np.nan, 10.0], 0, True), ([2.1, np.nan, 10.0], 0.011, True), ([2.1, np.nan, 10.0], 0.009, False),
        ([np.nan, np.nan, 10.0], 1, False), ([2.0, 0.0, 10.0], 1, False), ([2.0, np.nan], 1, False),
    ],
)  # fmt: skip
def test_near_is_near_the_largest_number(other, tolerance, expected):
    assert near(np.array([2.0, np.nan, 10.0]), np.array(other), tolerance) == expected


def test_codes_may_be_rounded_the_other_way():
    codes = np.array([3, 200], np.uint8)
    assert near(codes, codes + np.uint8(1), 0)
    assert not near(codes, codes + np.uint8(2), 0)


def test_every_array_of_an_output_is_found():
    pair = namedtuple("Pair", "one two")  # noqa: PYI024 - any named tuple
    output = {"a": A, "b": (None, [A, pair(np.float64(3), A)])}
    assert [array.shape for array in arrays_of(output)] == [(3,), (3,), (), (3,)]
    torch = pytest.importorskip("torch")
    found = list(arrays_of((torch.ones(2, requires_grad=True), torch.ones(2, dtype=torch.bfloat16))))
    assert [str(array.dtype) for array in found] == ["float32", "float32"]


def test_a_network_under_test_gets_copies_and_its_answers_stay():
    network = Dense()
    frames = np.ones((3, 4), np.float32)
    checked = Checked(network, frames, None, steady=True)
    seen = checked.observe(frames)
    assert not np.shares_memory(seen.logits, seen.output[0])
    np.testing.assert_array_equal(checked.run(checked.cut(1, 2))[0], seen.output[0][:1])
    with pytest.raises(AssertionError, match=r"^Dense: it is late$"):
        checked.expect(False, "it is late")
