from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
from benchmarks.cost.onnx_row import distance, same, short


def test_outputs_are_the_same_bit_for_bit_or_not_at_all():
    a = np.array([1.0, np.nan, 0.0], np.float32)
    assert same([a, a], [a.copy(), a.copy()])
    assert not same([a], [a * np.float32(1 + 1e-7)])
    assert not same([np.float32([0.0])], [np.float32([-0.0])])
    assert not same([a], [a.astype(np.float64)])
    assert not same([a], [a[None]])
    assert not same([a], [a, a])


def test_how_far_outputs_are_apart_is_said():
    a = np.zeros((2, 3), np.float32)
    assert distance([a, a], [a, a + 0.25]) == "by up to 0.25"
    assert distance([a], [a[0]]) == "expected [('float32', (2, 3))], got [('float32', (3,))]"


def test_a_long_text_is_cut_to_its_length():
    assert short("a  b\nc") == "a b c"
    assert short("x" * 11, 10) == "x" * 9 + "…"
    assert short("x" * 10, 10) == "x" * 10
