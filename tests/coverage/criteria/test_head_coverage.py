"""Head coverage against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import HeadCoverage, check_criterion, neuron_parts

from ..samples import learn

HEADS, CHANNELS, CLASSES = 4, 8, 3


def head_data(seed=0, n=240, spread=0.4):
    """Outputs of heads around a direction of each class: (n, heads * channels) float32, and labels."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(CLASSES, HEADS, CHANNELS))
    labels = rng.integers(0, CLASSES, n)
    values = centres[labels] + spread * rng.normal(size=(n, HEADS, CHANNELS))
    return values.reshape(n, -1).astype(np.float32), labels


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def figures(values, labels, trusted, trusted_labels):
    """Norms and angles, (n, 2, heads), to the mean directions of the trusted samples."""
    values, trusted = (v.astype(np.float64).reshape(-1, HEADS, CHANNELS) for v in (values, trusted))
    means = unit(np.stack([unit(trusted[trusted_labels == c]).mean(axis=0) for c in range(CLASSES)]))
    cosines = (unit(values) * means[labels]).sum(axis=-1)
    return np.stack([np.linalg.norm(values, axis=-1), np.arccos(cosines)], axis=1)


@pytest.mark.parametrize("sections", [2, 5, 8])
def test_figures_in_a_section_new_to_the_class_are_counted(sections):
    trusted, labels = head_data()
    new, new_labels = head_data(seed=1, spread=1.0)
    criterion = HeadCoverage(CHANNELS, sections)
    signature = learn(criterion, trusted, labels, CLASSES)
    own, seen = figures(new, new_labels, trusted, labels), figures(trusted, labels, trusted, labels)
    expected = np.zeros(len(new))
    reached = np.zeros((CLASSES, 2, HEADS), np.uint8)
    for figure, h in np.ndindex(2, HEADS):
        low, high = seen[:, figure, h].min(), seen[:, figure, h].max()
        width = 2.0**-20
        while np.floor(high / width) - np.floor(low / width) >= sections:
            width *= 2
        there, here = (np.floor(f[:, figure, h] / width) for f in (seen, own))
        for c in range(CLASSES):
            visited = there[labels == c]
            rows = new_labels == c
            expected[rows] += ~np.isin(here[rows], visited)
            for k in visited - np.floor(low / width):
                reached[c, figure, h] |= 1 << int(k)
    np.testing.assert_array_equal(criterion.deviation(signature, new, new_labels), expected)
    assert 0 < expected.mean() < 2 * HEADS
    np.testing.assert_array_equal(criterion.bitmap(signature), reached)


def test_no_kept_sample_is_outside_its_own_coverage():
    values, labels = head_data()
    criterion = HeadCoverage(CHANNELS)
    assert not criterion.deviation(learn(criterion, values, labels, CLASSES), values, labels).any()


def test_directions_come_from_the_kept_samples_and_norms_from_all():
    values, labels = head_data()
    values[7] *= 9  # large in every head: whether kept or not, its norms are covered
    criterion = HeadCoverage(CHANNELS, capacity=5)
    signature = learn(criterion, values, labels, CLASSES)
    own = criterion.deviation(signature, values, labels)
    assert own[7] <= HEADS
    kept = {row.tobytes() for row in signature.arrays["samples"].reshape(-1, HEADS * CHANNELS)}
    is_kept = np.array([row.tobytes() in kept for row in values])
    assert is_kept.sum() == 5 * CLASSES
    assert not own[is_kept].any()
    assert own[~is_kept].any()


def test_a_turned_head_and_a_longer_one_are_one_figure_each_and_named_by_their_head():
    values, labels = head_data(spread=0.02)
    criterion = HeadCoverage(CHANNELS)
    signature = learn(criterion, values, labels, CLASSES)
    sample = values[0].reshape(HEADS, CHANNELS).copy()
    sample[1] *= -1
    sample[3] *= 100
    assert criterion.deviation(signature, sample.reshape(1, -1), labels[:1]) == [2]
    parts = neuron_parts(criterion, signature)(sample.ravel(), labels[0])
    assert np.flatnonzero(parts).tolist() == [1 * CHANNELS, 3 * CHANNELS]


def test_a_head_that_says_nothing_is_covered_where_it_always_does():
    values, labels = head_data(n=60)
    values[:, :CHANNELS] = 0
    criterion = HeadCoverage(CHANNELS)
    signature = learn(criterion, values, labels, CLASSES)
    assert not criterion.deviation(signature, values, labels).any()
    speaking = values.copy()
    speaking[:, 0] = 1
    assert (criterion.deviation(signature, speaking, labels) >= 1).all()


def test_rounding_does_not_leave_the_section_of_a_head_that_never_turns():
    one = np.random.default_rng(0).normal(size=HEADS * CHANNELS).astype(np.float32)
    criterion = HeadCoverage(CHANNELS)
    signature = learn(criterion, one[None].repeat(9, axis=0), np.zeros(9, int), 1)
    nudged = one + np.float32(1e-6) * np.random.default_rng(1).normal(size=(50, len(one))).astype(np.float32)
    turned = nudged / np.repeat(np.linalg.norm(nudged.reshape(50, HEADS, -1), axis=2), CHANNELS, axis=1)
    turned *= np.repeat(np.linalg.norm(one.reshape(HEADS, -1), axis=1), CHANNELS)
    angles = criterion.deviation(signature, turned.astype(np.float32), np.zeros(50, int))
    assert (angles <= HEADS).all(), "only norms, whose sections are as fine as float32, can be new"


@pytest.mark.parametrize("criterion", [HeadCoverage(7), HeadCoverage(70, sections=2), HeadCoverage(2, capacity=3)])
def test_it_conforms_with_heads_of_other_sizes(criterion):
    check_criterion(criterion)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HeadCoverage(-1), "expected 1 or more channels of a head, or 0 for those of the tap, got -1"),
        (lambda: HeadCoverage(sections=9), "expected 2 to 8 sections, got 9"),
        (lambda: HeadCoverage(capacity=0), "expected capacity of at least 1, got 0"),
        (lambda: HeadCoverage().empty(8, 1), "expected the channels of a head, channels=1 or more, got 0"),
        (lambda: HeadCoverage(3).empty(8, 1), "expected neurons in heads of 3 channels, got 8"),
        (lambda: HeadCoverage().for_heads(None), "expected attention heads taken by channel"),
        (lambda: HeadCoverage(4).for_heads(8), "expected 8 channels of a head, as the tap has, got 4"),
    ],
)
def test_heads_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_channels_are_those_of_the_tap():
    assert HeadCoverage(sections=4).for_heads(8) == HeadCoverage(8, sections=4)
    assert HeadCoverage(8).for_heads(8) == HeadCoverage(8).for_heads(None) == HeadCoverage(8)


def test_before_any_sample_nothing_is_covered_and_merging_adds_nothing():
    values, labels = head_data(n=20)
    criterion = HeadCoverage(CHANNELS)
    empty, whole = criterion.empty(HEADS * CHANNELS, CLASSES), learn(criterion, values, labels, CLASSES)
    assert np.isinf(criterion.deviation(empty, values, labels)).all()
    assert not criterion.bitmap(empty).any()
    merged = criterion.merge(criterion.empty(HEADS * CHANNELS, CLASSES), whole)
    assert not criterion.deviation(merged, values, labels).any()
