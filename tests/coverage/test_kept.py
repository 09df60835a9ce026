"""Which samples are kept of a class."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage.kept import held_per_class, keep_samples, merge_kept, specify_kept, specify_times

CLASSES, CAPACITY, NEURONS = 3, 6, 4


def empty():
    specified = specify_kept(NEURONS, CLASSES, CAPACITY)
    return {name: np.full(shape, start, dtype) for name, (shape, dtype, start) in specified.items()}


def kept(values, labels, step=1000):
    arrays = empty()
    for start in range(0, len(values), step):
        keep_samples(arrays, values[start : start + step], labels[start : start + step])
    return arrays


def data(n=90):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, NEURONS)).astype(np.float32), rng.integers(0, CLASSES - 1, n)


def test_a_class_with_few_samples_keeps_each_of_them_once():
    values, _ = data(5)
    arrays = kept(np.concatenate([values, values[:2]]), np.array([0, 0, 0, 0, 1, 0, 0]))
    assert held_per_class(arrays).tolist() == [4, 1, 0]
    rows = {row.tobytes() for row in arrays["samples"][0, :4]}
    assert rows == {row.tobytes() for row in values[:4]}
    np.testing.assert_array_equal(arrays["samples"][1, 0], values[4])
    assert not arrays["samples"][2].any()


@pytest.mark.parametrize("cut", [0, 1, 40, 90])
def test_which_are_kept_depends_on_no_order_and_on_no_split(cut):
    values, labels = data()
    whole = kept(values, labels)
    assert held_per_class(whole).tolist() == [CAPACITY, CAPACITY, 0]
    order = np.random.default_rng(1).permutation(len(values))
    a, b = (kept(values[rows], labels[rows], step=7) for rows in (order[:cut], order[cut:]))
    merge_kept(a, b)
    for name, array in whole.items():
        np.testing.assert_array_equal(a[name], array)


def test_kept_samples_are_no_choice_by_their_values():
    values = np.linspace(0, 1, 4000, dtype=np.float32)[:, None].repeat(NEURONS, axis=1)
    means = [kept(values[i::20], np.zeros(200, int))["samples"][0].mean() for i in range(20)]
    assert abs(np.mean(means) - 0.5) < 0.1
    assert np.std(means) > 0.05


def test_codes_are_kept_as_the_same_numbers():
    codes = np.random.default_rng(2).integers(0, 255, (30, NEURONS)).astype(np.uint8)
    labels = np.zeros(30, int)
    for name, array in kept(codes.astype(np.float32), labels).items():
        np.testing.assert_array_equal(kept(codes, labels)[name], array)


def counted(words, labels, step=1000):
    specified = specify_kept(1, CLASSES, CAPACITY, np.uint64) | specify_times(CLASSES, CAPACITY)
    arrays = {name: np.full(shape, start, dtype) for name, (shape, dtype, start) in specified.items()}
    for start in range(0, len(words), step):
        keep_samples(arrays, words[start : start + step], labels[start : start + step])
    return arrays


@pytest.mark.parametrize("cut", [0, 1, 130, 400])
def test_how_often_a_kept_sample_came_is_exact_in_any_order(cut):
    """Words of 64 bits, of which float32 could not tell neighbours apart."""
    rng = np.random.default_rng(5)
    words = (np.uint64(2**63) + rng.integers(0, 15, (400, 1)).astype(np.uint64)).astype(np.uint64)
    labels = rng.integers(0, CLASSES - 1, 400)
    whole = counted(words, labels)
    for c in range(CLASSES - 1):
        for word, times in zip(whole["samples"][c], whole["times"][c], strict=True):
            assert times == np.count_nonzero((words == word)[:, 0] & (labels == c)) > 1
    order = rng.permutation(400)
    a, b = (counted(words[rows], labels[rows], step=9) for rows in (order[:cut], order[cut:]))
    merge_kept(a, b)
    for name, array in whole.items():
        np.testing.assert_array_equal(a[name], array)
