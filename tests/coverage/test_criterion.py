"""What holds for all criteria: sizes, codes, shards and memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import (
    Box,
    CoverageBitmap,
    Gaussian,
    HeadCoverage,
    Mahalanobis,
    MultiRange,
    NearestNeighbour,
    Neighbours,
    NeuronRank,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
)

from .samples import CLASSES, learn, relu_data, samples, some_codes

CODED = [
    SingleRange(), SingleRange(quantile=0.1), SingleRange(magnitude=True), MultiRange(4), MultiRange(3, "log"),
    CoverageBitmap(), CoverageBitmap(2), CoverageBitmap(5), NeuronRank(2), NearestNeighbour(capacity=4), Gaussian(),
    Mahalanobis(), RelativeMahalanobis(), Pattern(4), Box(capacity=4),
]  # fmt: skip


@given(trusted=samples)
@settings(deadline=None)
def test_no_trusted_sample_is_outside_its_own_coverage(trusted):
    labels = np.zeros(len(trusted), int)
    for criterion in (SingleRange(), SingleRange(magnitude=True), CoverageBitmap(), CoverageBitmap(sections=2)):
        signature = learn(criterion, trusted, labels)
        np.testing.assert_array_equal(criterion.deviation(signature, trusted, labels), 0)


@given(data=samples, split=st.integers(0, 40), seed=st.integers(0, 9))
@settings(deadline=None)
@pytest.mark.parametrize(
    "criterion",
    [
        MultiRange(4),
        CoverageBitmap(),
        SingleRange(quantile=0.1),
        NearestNeighbour(capacity=3),
        Pattern(3),
        Box(capacity=3),
    ],
    ids=repr,
)
def test_shards_of_any_data_add_up_to_one_pass(criterion, data, split, seed):
    labels = np.random.default_rng(seed).integers(0, CLASSES, len(data))
    whole = learn(criterion, data, labels)
    a, b = (learn(criterion, data[rows], labels[rows]) for rows in (slice(split, None), slice(0, split)))
    merged = criterion.merge(a, b)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(merged.arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(merged.counts, whole.counts)


@given(trusted=some_codes, new=some_codes)
@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("criterion", CODED, ids=repr)
def test_codes_are_the_same_numbers_as_floats(criterion, trusted, new):
    if len(trusted) < CLASSES:
        trusted = np.concatenate([trusted] * CLASSES)  # relative distances compare classes
    labels, new_labels = np.arange(len(trusted)) % CLASSES, np.arange(len(new)) % CLASSES
    signature, expected = (learn(criterion, values, labels) for values in (trusted, trusted.astype(np.float32)))
    for name, array in expected.arrays.items():
        np.testing.assert_array_equal(signature.arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(
        criterion.deviation(signature, new, new_labels),
        criterion.deviation(expected, new.astype(np.float32), new_labels),
    )


@given(trusted=samples, new=some_codes, scale=st.sampled_from([1e-6, 1e-3, 1e-2]))
@settings(deadline=None)
@pytest.mark.parametrize(
    "criterion", [SingleRange(), SingleRange(quantile=0.1), CoverageBitmap(), Gaussian()], ids=repr
)
def test_codes_against_bounds_that_are_no_codes(criterion, trusted, new, scale):
    labels, new_labels = np.zeros(len(trusted), int), np.zeros(len(new), int)
    signature = learn(criterion, (trusted * scale).astype(np.float32), labels)
    np.testing.assert_array_equal(
        criterion.deviation(signature, new, new_labels),
        criterion.deviation(signature, new.astype(np.float32), new_labels),
    )


@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), MultiRange(2)], ids=repr)
def test_a_large_batch_of_codes_is_never_copied(criterion):
    values, labels = np.zeros((1, 20_000), np.uint8), np.zeros(1, int)
    signature = learn(criterion, values, labels, 1)
    tracemalloc.start()
    try:
        criterion.observe(signature, values, labels)
        _, observing = tracemalloc.get_traced_memory()
        criterion.prepare(signature, codes=True)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        criterion.deviation(signature, values, labels)
        _, comparing = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(observing, comparing - before) < values.nbytes


def test_memory_does_not_grow_with_the_number_of_samples():
    values, labels = relu_data()
    for criterion in (
        SingleRange(),
        MultiRange(),
        CoverageBitmap(),
        NeuronRank(),
        NearestNeighbour(),
        Mahalanobis(),
        Pattern(),
        Box(),
    ):
        signature = learn(criterion, values, labels)
        before = signature.nbytes
        for _ in range(3):
            criterion.observe(signature, *relu_data(seed=9))
        assert signature.nbytes == before


def test_criteria_keep_what_is_their_own_unless_they_say_so():
    keeping = {criterion: criterion.keeps() for criterion in CODED}
    alike = {a: {b for b in CODED if keeping[a] == keeping[b]} for a in CODED}
    both = {Mahalanobis(), RelativeMahalanobis()}
    assert all(alike[one] == (both if one in both else {one}) for one in CODED)
    assert Mahalanobis(shrinkage=0.5).keeps() == Mahalanobis().keeps()


def test_a_signature_of_another_criterion_is_refused():
    signature = SingleRange().empty(4, 2)
    with pytest.raises(ValueError, match=r"expected a signature of MultiRange.*, got one of SingleRange"):
        MultiRange().deviation(signature, np.zeros((1, 4), np.float32), np.zeros(1, int))


def test_stored_arrays_of_another_size_are_refused():
    signature = SingleRange().empty(4, 2)
    with pytest.raises(ValueError, match="expected arrays"):
        SingleRange().restore(5, signature.counts, signature.arrays)


@pytest.mark.parametrize(("neurons", "classes"), [(0, 1), (1, 0)])
def test_nothing_to_observe_is_refused(neurons, classes):
    with pytest.raises(ValueError, match="expected at least 1 neuron and 1 class"):
        SingleRange().empty(neurons, classes)


@pytest.mark.parametrize(
    "criterion",
    [
        SingleRange(), SingleRange(quantile=0.1), MultiRange(4), CoverageBitmap(), NeuronRank(2), Pattern(9),
        NearestNeighbour(capacity=9), Neighbours(samples=9), Box(capacity=9), HeadCoverage(2),
    ],
    ids=repr,
)  # fmt: skip
def test_what_merges_exactly_has_the_same_bits_in_any_order(criterion):
    """Also where a neuron is 0 in some samples and -0 in others."""
    assert criterion.merges_exactly
    rng = np.random.default_rng(3)
    values = np.maximum(rng.normal(size=(90, 12)), 0).astype(np.float32)
    values[rng.random(values.shape) < 0.3] = -0.0
    labels = rng.integers(0, CLASSES, 90)
    found = []
    for trial in range(3):
        order = rng.permutation(90) if trial else np.arange(90)
        parts = [learn(criterion, values[rows], labels[rows]) for rows in np.array_split(order, 1 + 2 * trial)]
        merged = parts[-1]
        for part in parts[:-1]:
            merged = criterion.merge(merged, part)
        found.append({name: array.tobytes() for name, array in merged.arrays.items()})
    assert found[0] == found[1] == found[2]


def test_absorbing_is_merging_in_place():
    values, labels = relu_data(60)
    a, b = (learn(Mahalanobis(), values[rows], labels[rows]) for rows in (slice(30), slice(30, None)))
    Mahalanobis().prepare(a)
    merged = Mahalanobis().merge(a, b)
    Mahalanobis().absorb(a, b)
    np.testing.assert_array_equal(a.counts, merged.counts)
    for name, array in a.arrays.items():
        np.testing.assert_array_equal(array, merged.arrays[name])
    np.testing.assert_array_equal(
        Mahalanobis().deviation(a, values, labels), Mahalanobis().deviation(merged, values, labels)
    )
    with pytest.raises(ValueError, match="expected signatures of the same size"):
        Mahalanobis().absorb(a, Mahalanobis().empty(3, CLASSES))
