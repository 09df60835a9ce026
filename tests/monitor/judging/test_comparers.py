"""Columns bound to arrays write the deviations of `Criterion.deviation`, wherever the activations lie."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, Mahalanobis, NearestNeighbour, Neighbours, SingleRange, join
from outrider.monitor.facts.network import NetworkFacts
from outrider.monitor.judging.comparers import ColumnComparer, ScoreMap, TogetherComparer
from outrider.monitor.judging.places import nearest
from outrider.monitor.profile import Column, Profile, TrustedSet
from outrider.networks import Tap

CLASSES = 3
TAPS = (
    Tap("a", "relu", (5,), "NC", "float32", "unit"),
    Tap("b", "relu", (7,), "NC", "float32", "unit"),
    Tap("q", "relu", (6,), "NC", "uint8", "unit"),
    Tap("p", "relu", (4, 2, 3), "NCHW", "float32", "pixel"),
    Tap("m", "relu", (4, 5, 7), "NCHW", "float32", "pixel"),
)


def draw(seed, rows, tap):
    values = np.random.default_rng(seed).normal(100, 30, (rows, tap.size))
    return values.astype(np.uint8 if tap.dtype == "uint8" else np.float32)


def profile_of(criterion, *indices):
    """A profile with the criterion on some of the taps."""
    facts = NetworkFacts("numpy", "0" * 64, CLASSES, (1,), tuple(TAPS[i] for i in indices))
    columns = tuple(Column(criterion, i, 0) for i in range(len(indices)))
    signatures = []
    for i in indices:
        signature = criterion.empty(TAPS[i].size, CLASSES)
        criterion.observe(signature, draw(i, 60, TAPS[i]), np.arange(60) % CLASSES)
        signatures.append(signature)
    return Profile(facts, columns, tuple(signatures), TrustedSet(0.0, 0, np.full(CLASSES, 20)), complete=True)


@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), Mahalanobis()], ids=repr)
@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("indices", [(0,), (0, 1)])
def test_columns_together(criterion, n, indices):
    profile = profile_of(criterion, *indices)
    ((joined, columns),) = profile.together
    assert columns == tuple(range(len(indices)))
    classes, deviations = np.arange(n) % CLASSES, np.empty((n, len(indices)), np.float32)
    comparer = TogetherComparer(joined, columns, (2, 0), classes, deviations)
    values = [draw(10 + i, n, TAPS[i]) for i in indices]
    activations = [*values[1:], np.empty(0), values[0]] if len(values) > 1 else [np.empty(0), np.empty(0), values[0]]
    expected = [
        criterion.deviation(signature, part, classes)
        for signature, part in zip(profile.signatures, values, strict=True)
    ]
    comparer.compare(activations)
    np.testing.assert_array_equal(deviations, np.stack(expected, 1))
    deviations.fill(-1)
    for step in comparer.steps(activations):
        step()
    np.testing.assert_array_equal(deviations, np.stack(expected, 1))


def test_pieces_of_one_array_are_read_where_they_are():
    profile = profile_of(SingleRange(), 0, 1)
    ((joined, columns),) = profile.together
    whole = np.zeros(32, np.float32)
    pieces = [whole[20:25].reshape(1, 5), whole[4:11].reshape(1, 7)]
    classes, deviations = np.zeros(1, np.int64), np.empty((1, 2), np.float32)
    steps = TogetherComparer(joined, columns, (0, 1), classes, deviations).steps(pieces)
    assert len(steps) == 1
    for seed in (1, 2):
        pieces[0][:], pieces[1][:] = draw(seed, 1, TAPS[0]), draw(seed, 1, TAPS[1])
        steps[0]()
        for i, signature in enumerate(profile.signatures):
            assert deviations[0, i] == SingleRange().deviation(signature, pieces[i], classes)[0]


@pytest.mark.parametrize("criterion", [SingleRange(magnitude=True), NearestNeighbour(k=2, capacity=8), SingleRange()])
@pytest.mark.parametrize("tap", [0, 2])
@pytest.mark.parametrize("n", [1, 3])
def test_a_column_alone_of_floats_and_of_codes(criterion, tap, n):
    profile = profile_of(criterion, tap)
    classes, deviations = np.arange(n) % CLASSES, np.full((n, 2), -1, np.float32)
    comparer = ColumnComparer(profile, 0, 1, classes, deviations, ScoreMap(n, None), np.full(n, -1))
    values = draw(20, n, TAPS[tap])
    expected = criterion.deviation(profile.signatures[0], values, classes)
    comparer.compare([np.empty(0), values])
    np.testing.assert_array_equal(deviations, np.stack([expected, np.full(n, -1)], 1))
    deviations.fill(-1)
    for step in comparer.steps([np.empty(0), values]):
        step()
    np.testing.assert_array_equal(deviations[:, 0], expected)


def test_places_are_of_the_class_of_their_frame_and_the_worst_counts():
    profile = profile_of(SingleRange(magnitude=True), 3)
    classes, deviations = np.array([2, 0]), np.empty((2, 1), np.float32)
    comparer = ColumnComparer(profile, 0, 0, classes, deviations, ScoreMap(2, None), np.full(2, -1))
    values = draw(5, 12, TAPS[3])
    values[8] += 200
    expected = SingleRange(magnitude=True).deviation(profile.signatures[0], values, np.repeat(classes, 6))
    comparer.compare([values])
    np.testing.assert_array_equal(deviations[:, 0], expected.reshape(2, 6).max(axis=1))
    np.testing.assert_array_equal(comparer.of_places, expected)
    worst, label = comparer.worst([values])
    np.testing.assert_array_equal(worst, values[expected[:6].argmax()])
    assert label == 2


@pytest.mark.parametrize("criterion", [Mahalanobis(), Neighbours(centres=3)], ids=repr)
def test_a_map_of_many_places_has_the_same_bits_alone_and_in_a_batch(criterion):
    profile, values, classes = profile_of(criterion, 4), draw(5, 105, TAPS[4]), np.array([2, 0, 1])

    def of_places(frames):
        n = len(classes[frames])
        comparer = ColumnComparer(
            profile, 0, 0, classes[frames], np.empty((n, 1), np.float32), ScoreMap(n, None), np.full(n, -1)
        )
        comparer.compare([values.reshape(3, 35, -1)[frames].reshape(n * 35, -1)])
        return comparer.of_places

    together = of_places(slice(3))
    np.testing.assert_array_equal(np.concatenate([of_places(slice(i, i + 1)) for i in range(3)]), together)
    by_row = criterion.deviation(profile.signatures[0], values, np.repeat(classes, 35))
    np.testing.assert_allclose(together, by_row, rtol=1e-3, atol=1e-5)


def test_places_that_a_map_tells_apart():
    profile = profile_of(SingleRange(), 3)
    covered, uncovered = np.array([1, 1, 0], np.uint8), np.full(2, -1)
    score_map, infinite = ScoreMap(2, covered), np.zeros(2, np.uint8)
    classes, deviations = np.zeros(2, np.int64), np.empty((2, 1), np.float32)
    comparer = ColumnComparer(profile, 0, 0, classes, deviations, score_map, uncovered)
    scores = np.random.default_rng(3).normal(size=(2, CLASSES, 4, 9)).astype(np.float16)
    scores[0, 2] = -9
    scores[1, 2, -1, -1] = scores[1, 2].max() + 20
    assert not score_map.fill(scores, infinite)
    labels = np.moveaxis(nearest(scores, (2, 3)), 1, -1).reshape(12, CLASSES).argmax(axis=1)
    np.testing.assert_array_equal(score_map.classes((2, 3)), labels)
    values = draw(6, 12, TAPS[3])
    expected = SingleRange().deviation(profile.signatures[0], values, labels)
    expected[labels == 2] = np.inf
    comparer.compare([values])
    np.testing.assert_array_equal(deviations[:, 0], expected.reshape(2, 6).max(axis=1))
    assert uncovered.tolist() == [-1, 2 if (labels[6:] == 2).any() else -1]
    scores[1, 0, 0, 0] = np.nan
    assert score_map.fill(scores, infinite)
    assert infinite.tolist() == [0, 1]
    with pytest.raises(ValueError, match="expected a map of the scores of 3 classes, got 2"):
        score_map.fill(scores[:, :2], infinite)
    for other in (scores[:1], np.concatenate([scores, scores]), scores[0]):
        with pytest.raises(ValueError, match=r"expected a map of class scores \(2, classes, height, width\), got \("):
            score_map.fill(other, infinite)


def test_columns_too_large_to_join_stand_alone(monkeypatch):
    monkeypatch.setattr("outrider.coverage.joined.LARGEST_COLUMN", 6)
    profile = profile_of(SingleRange(), 0, 1)
    assert [columns for _, columns in profile.together] == [(0,), (1,)]
    assert join(SingleRange(), profile.signatures) is None
