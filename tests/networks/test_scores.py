"""How many classes scores tell apart by their shape, their rows, and their probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.scores import class_scores, count_classes, probabilities, write_both


@pytest.mark.parametrize(
    ("shape", "told", "axis", "expected"),
    [
        ((2, 2), "auto", 1, (2, None)),
        ((2, 1), "auto", 1, (None, None)),
        ((3, 5), "auto", 1, (None, None)),
        ((2, 5, 1), "auto", 1, (None, None)),
        ((2, None), "auto", 1, (None, None)),
        ("dict", "auto", 1, (None, None)),
        ((2, 5), 5, 3, (5, None)),
        ((2, 6, 1, 1), "auto", 1, (6, None)),
        ((2, 6, 1, 1), 6, 1, (6, None)),
        ((2, 6, 1, 2), "auto", 1, (None, None)),
        ((2, 1, 1, 1), "auto", 1, (None, None)),
        ((2, 1, 1, 1), 2, 1, (2, None)),
        ((2, 1), 2, 1, (2, None)),
        ((2,), 2, 1, (2, None)),
        ((2,), "auto", 1, (None, None)),
        ((2, 5), None, 1, (None, None)),
        ((2, 2, 7, 7), "pixel", 1, (None, 2)),
        ((2, 7, 7, 4), "pixel", -1, (None, 4)),
    ],
)
def test_scores_are_counted(shape, told, axis, expected):
    assert count_classes(shape, True, 2, told, axis) == expected


@pytest.mark.parametrize(
    ("shape", "floats", "told", "message"),
    [
        ((2, 5), True, 4, r"expected class scores of shape \(2, 4\) for a batch of 2, got \(2, 5\)"),
        ((2, 4), False, 4, r"expected class scores of shape \(2, 4\) for a batch of 2, got \(2, 4\)"),
        ("dict", False, 4, "got dict"),
        ((2, 1), True, 3, r"expected class scores of shape \(2, 3\) for a batch of 2, got \(2, 1\)"),
        ((2, 1), False, 2, r"expected class scores of shape \(2, 2\) for a batch of 2, got \(2, 1\)"),
        ((3, 1), True, 2, r"expected class scores of shape \(2, 2\) for a batch of 2, got \(3, 1\)"),
        ((2, 5), True, 1, "expected classes 'auto', 'pixel', None or a number from 2, got 1"),
        ((2, 1, 7, 7), True, "pixel", r"of 2 classes or more, \(2, classes, height, width\), got \(2, 1, 7, 7\)"),
        ((2, None, 7, 7), True, "pixel", r"got \(2, None, 7, 7\)"),
    ],
)
def test_other_scores_are_refused(shape, floats, told, message):
    with pytest.raises(ValueError, match=message):
        count_classes(shape, floats, 2, told)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1, 1)])
def test_rows_of_scores_are_flat_floats(shape, dtype):
    values = np.arange(12).reshape(shape).astype(dtype)[::-1]
    found = class_scores(values, "logits")
    np.testing.assert_array_equal(found, [[8, 9, 10, 11], [4, 5, 6, 7], [0, 1, 2, 3]])
    assert found.dtype == np.float32
    assert found.flags.c_contiguous


def test_scores_that_are_rows_already_are_no_copy():
    rows = np.zeros((2, 3), np.float32)
    assert class_scores(rows, "probabilities") is rows
    assert np.shares_memory(class_scores(rows.reshape(2, 3, 1, 1), "logits"), rows)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 1, 1, 1)])
def test_one_number_a_frame_tells_two_classes(shape):
    """Under softmax [0, z] is the sigmoid of z."""
    z = np.array([-1.5, 0.25, 4])
    rows = class_scores(z.reshape(shape), "logits")
    np.testing.assert_array_equal(rows, np.float32([[0, -1.5], [0, 0.25], [0, 4]]))
    p = 1 / (1 + np.exp(-z))
    np.testing.assert_allclose(probabilities(rows, "logits"), np.stack([1 - p, p], 1), rtol=1e-6)
    found = class_scores(np.float32([0.25, 1, 0.125]).reshape(shape), "probabilities")
    np.testing.assert_array_equal(found, np.float32([[0.75, 0.25], [0, 1], [0.875, 0.125]]))


def test_two_classes_are_written_into_an_array_of_ones_own():
    own = np.full((2, 2), 9, np.float32)
    write_both(np.float64([[3], [-2]]), "logits", own)
    assert own.tolist() == [[0, 3], [0, -2]]
    write_both(np.float16([1, 0.25]), "probabilities", own)
    assert own.tolist() == [[0, 1], [0.75, 0.25]]


def test_probabilities_of_logits_are_the_softmax():
    logits = np.random.default_rng(0).normal(0, 5, (7, 4)).astype(np.float32)
    expected = np.exp(logits.astype(float))
    expected /= expected.sum(1, keepdims=True)
    for found in (probabilities(logits), probabilities(logits, "logits"), probabilities(logits.astype(float))):
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        assert found.dtype == np.float32
    np.testing.assert_array_equal(probabilities(np.array([[1e30, -1e30, 1e30]])), [[0.5, 0, 0.5]])


def test_what_a_row_sums_to_does_not_decide():
    """Codes of 8 bits sum to 0.99; logits may happen to sum to 1."""
    coarse = np.float32([[0.984375, 0.00390625], [0.25, 0.734375]])
    np.testing.assert_array_equal(probabilities(coarse, "probabilities"), coarse)
    by_chance = np.float32([[0.2, 0.8], [1, 0]])
    expected = np.exp(by_chance) / np.exp(by_chance).sum(1, keepdims=True)
    np.testing.assert_allclose(probabilities(by_chance, "logits"), expected, rtol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_scores_become_nan_without_a_warning(bad):
    assert np.isnan(probabilities(np.array([[bad, 0.0]]))).any()


def test_scores_of_another_rank_or_kind_are_refused():
    with pytest.raises(ValueError, match=r"expected class scores of shape \(batch, classes\), got \(3,\)"):
        probabilities(np.zeros(3))
    with pytest.raises(ValueError, match="expected scores 'logits', 'probabilities', got 'auto'"):
        probabilities(np.zeros((1, 3)), "auto")
