"""Columns on taps whose rows vary, against the criterion itself and numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, NearestNeighbour, SingleRange
from outrider.monitor.facts.network import NetworkFacts
from outrider.monitor.judging.varying import VaryingComparer
from outrider.monitor.profile import Column, Profile, TrustedSet
from outrider.networks import Observation, Tap

CLASSES = 3
FLOATS = Tap("d", "relu", (5,), "NC", "float32", "unit", rows=None)
CODES = Tap("q", "relu", (5,), "NC", "uint8", "unit", rows=None)
PLACES = Tap("p", "relu", (5, 1, 2), "NCHW", "float32", "pixel", rows=None)


def draw(rows, tap, seed=0):
    values = np.random.default_rng(seed).normal(100, 40, (rows, tap.size))
    return values.astype(np.uint8 if tap.dtype == "uint8" else np.float32)


def comparer_of(criterion, tap, n):
    """A comparer of a column in the second of two columns, whose criterion has seen two of three classes."""
    facts = NetworkFacts("numpy", "0" * 64, CLASSES, (1,), (tap,))
    signature = criterion.empty(tap.size, CLASSES)
    criterion.observe(signature, draw(40, tap, 1), np.arange(40) % 2)
    trusted = TrustedSet(0.0, 0, np.full(CLASSES, 20))
    profile = Profile(facts, (Column(criterion, 0, 0),), (signature,), trusted, complete=True)
    classes, deviations = np.zeros(n, np.int64), np.full((n, 1), -1, np.float32)
    return VaryingComparer(profile, 0, 1, classes, deviations), signature, classes, deviations


@pytest.mark.parametrize("criterion", [SingleRange(magnitude=True), CoverageBitmap(), NearestNeighbour(2, 8)], ids=repr)
@pytest.mark.parametrize("tap", [FLOATS, CODES], ids=["floats", "codes"])
def test_the_worst_row_of_each_frame_counts_however_many_there_are(criterion, tap):
    comparer, signature, classes, deviations = comparer_of(criterion, tap, 3)
    for seed, rows in enumerate(([2, 0, 1], [0, 0, 0], [9, 1, 30], [1, 1, 1], [0, 40, 0], [9, 1, 30])):
        values = draw(sum(rows), tap, 10 + seed)
        classes[:] = np.random.default_rng(seed).permutation([0, 1, 1])
        comparer.compare(Observation(None, None, (np.empty(0), values), rows={1: np.array(rows)}))
        labels = np.repeat(classes, rows)
        every = np.split(criterion.deviation(signature, values, labels), np.cumsum(rows)[:-1])
        np.testing.assert_array_equal(deviations[:, 0], [max(own, default=np.inf) for own in every])
        maps = comparer.maps()
        assert maps.shape == (3, max(rows))
        for own, found in zip(every, maps, strict=True):
            np.testing.assert_array_equal(found[: len(own)], own)
            assert np.isnan(found[len(own) :]).all()
        worst = comparer.worst((np.empty(0), values))
        if rows[0]:
            np.testing.assert_array_equal(worst[0], values[every[0].argmax()])
            assert worst[1] == classes[0]
        else:
            assert worst is None


def test_places_of_varying_rows_lie_row_by_row():
    comparer, signature, _, deviations = comparer_of(SingleRange(magnitude=True), PLACES, 2)
    values = draw(6, PLACES)
    comparer.compare(Observation(None, None, (np.empty(0), values), rows={1: np.array([4, 2])}))
    every = SingleRange(magnitude=True).deviation(signature, values, np.zeros(6, np.int64))
    expected = np.full((2, 2, 1, 2), np.nan, np.float32)
    expected[0], expected[1, 0] = every[:4].reshape(2, 1, 2), every[4:].reshape(1, 2)
    np.testing.assert_array_equal(comparer.maps(), expected)
    np.testing.assert_array_equal(deviations[:, 0], [every[:4].max(), every[4:].max()])


def test_it_says_why_a_frame_was_not_judged():
    comparer, _, classes, deviations = comparer_of(SingleRange(), FLOATS, 3)
    classes[:] = 0, 1, 2
    comparer.compare(Observation(None, None, (np.empty(0), draw(3, FLOATS)), rows={1: np.array([2, 0, 1])}))
    assert [comparer.why(i) for i in range(3)] == [
        "",
        "no rows at d:unit: the frame was not judged there",
        "no trusted frame of class 2 had rows at d:unit",
    ]
    assert np.isinf(deviations[:, 0]).tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "tap d:unit: expected the rows of each frame, as they vary, got none"),
        ({0: np.array([3, 0])}, "expected the rows of each frame"),
        ({1: np.array([3])}, r"expected the 3 rows of 2 frames, got \[3\]"),
        ({1: np.array([3, 1])}, r"got \[3, 1\]"),
        ({1: np.array([4, -1])}, r"got \[4, -1\]"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, message):
    comparer, *_ = comparer_of(SingleRange(), FLOATS, 2)
    with pytest.raises(ValueError, match=message):
        comparer.compare(Observation(None, None, (np.empty(0), draw(3, FLOATS)), rows=rows))
