"""Each criterion against its formula in plain numpy, and against the identities of the paper."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outrider.coverage import (
    CoverageBitmap,
    Gaussian,
    Mahalanobis,
    MultiRange,
    NearestNeighbour,
    NeuronRank,
    SingleRange,
    Softmax,
)

CLASSES, NEURONS = 2, 5
finite = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
samples = arrays(np.float32, st.tuples(st.integers(1, 40), st.just(NEURONS)), elements=finite)
anything = arrays(
    np.float32, st.tuples(st.integers(1, 10), st.just(NEURONS)), elements=st.floats(width=32, allow_nan=True)
)


def relu_data(seed=0, n=400, neurons=NEURONS, classes=CLASSES):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    values = np.maximum(rng.normal(labels[:, None], 1, (n, neurons)), 0).astype(np.float32)
    return values, labels


def learn(criterion, values, labels, classes=CLASSES):
    signature = criterion.empty(values.shape[1], classes)
    criterion.observe(signature, values, labels)
    return signature


def outside(values, labels, trusted, trusted_labels):
    """SRC in plain numpy, neuron by neuron."""
    result = []
    for v, c in zip(values, labels, strict=True):
        of_class = trusted[trusted_labels == c]
        result.append(sum(not (of_class[:, j].min() <= v[j] <= of_class[:, j].max()) for j in range(len(v))))
    return np.array(result, np.float32)


@given(trusted=samples, new=anything)
@settings(deadline=None)
def test_single_range_counts_what_lies_outside(trusted, new):
    labels, new_labels = np.zeros(len(trusted), int), np.zeros(len(new), int)
    deviation = SingleRange().deviation(learn(SingleRange(), trusted, labels), new, new_labels)
    expected = outside(new, new_labels, trusted, labels)
    expected[~np.isfinite(new).all(axis=1)] = np.inf
    np.testing.assert_array_equal(deviation, expected)


@given(trusted=samples, new=samples)
@settings(deadline=None)
def test_multi_range_with_one_section_is_single_range(trusted, new):
    labels, new_labels = np.zeros(len(trusted), int), np.zeros(len(new), int)
    one = MultiRange(sections=1)
    np.testing.assert_array_equal(
        one.deviation(learn(one, trusted, labels), new, new_labels),
        SingleRange().deviation(learn(SingleRange(), trusted, labels), new, new_labels),
    )


@given(trusted=samples)
@settings(deadline=None)
def test_no_trusted_sample_is_outside_its_own_coverage(trusted):
    labels = np.zeros(len(trusted), int)
    for criterion in (SingleRange(), SingleRange(magnitude=True), CoverageBitmap(), CoverageBitmap(sections=2)):
        signature = learn(criterion, trusted, labels)
        np.testing.assert_array_equal(criterion.deviation(signature, trusted, labels), 0)


def test_magnitude_is_the_distance_in_widths_of_the_range():
    trusted = np.array([[0, 2, 1], [4, 6, 1]], np.float32)
    criterion = SingleRange(magnitude=True)
    signature = learn(criterion, trusted, np.zeros(2, int), 1)
    new = np.array([[6, 3, 1], [-4, 2, 3], [4, 6, 1]], np.float32)
    # widths 4, 4 and, for the neuron that never moved, their median 4
    np.testing.assert_allclose(criterion.deviation(signature, new, np.zeros(3, int)), [0.5, 1.5, 0])


@pytest.mark.parametrize("quantile", [0.01, 0.1])
def test_quantile_bounds_are_within_a_section_of_the_true_quantiles(quantile):
    values, labels = relu_data(n=5000)
    criterion = SingleRange(quantile=quantile)
    low, high = criterion._prepare(learn(criterion, values, labels))
    for c in range(CLASSES):
        of_class = values[labels == c]
        section = (of_class.max(axis=0) - of_class.min(axis=0)) / 32
        assert (abs(low[c] - np.quantile(of_class, quantile, axis=0)) <= section).all()
        assert (abs(high[c] - np.quantile(of_class, 1 - quantile, axis=0)) <= section).all()


def exact_shares(values, sections):
    """λ of the paper for one class: (neurons, sections)."""
    low, high = values.min(axis=0), values.max(axis=0)
    width = (high - low) / sections
    with np.errstate(invalid="ignore", divide="ignore"):
        q = np.where(width > 0, np.clip(np.ceil((values - low) / width), 1, sections), 1).astype(int)
    return np.stack([(q == k).mean(axis=0) for k in range(1, sections + 1)], axis=1)


@pytest.mark.parametrize("sections", [2, 8, 32])
def test_shares_of_sections_are_close_to_the_papers(sections):
    values, labels = relu_data(n=8000)
    criterion = MultiRange(sections)
    signature = learn(criterion, values, labels)
    for c in range(CLASSES):
        exact, shares = exact_shares(values[labels == c].astype(np.float64), sections), criterion.shares(signature, c)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        # two borders, each inside one fine section: at most a quarter of the smallest power-of-two grid each
        bound = 2 * max(np.histogram(v, 4 * sections)[0].max() for v in values[labels == c].T) / (labels == c).sum()
        assert abs(exact - shares).max() <= bound
        assert abs(exact - shares).mean() < 0.15 / sections


@pytest.mark.parametrize("cost", ["share", "log"])
def test_multi_range_sums_the_cost_of_each_section(cost):
    values, labels = relu_data()
    new, new_labels = relu_data(seed=1, n=60)
    new[::7] += 9
    criterion = MultiRange(4, cost)
    signature = learn(criterion, values, labels)
    deviation = criterion.deviation(signature, new, new_labels)
    for v, c, got in zip(new, new_labels, deviation, strict=True):
        of_class, shares, expected = values[labels == c], criterion.shares(signature, c), 0.0
        never = 0.5 / len(of_class)
        for j in range(NEURONS):
            low, high = of_class[:, j].min(), of_class[:, j].max()
            share = 0.0
            if low <= v[j] <= high:
                share = shares[j, min(max(int(np.ceil((v[j] - low) / (high - low) * 4)), 1), 4) - 1]
            expected += 1 - share if cost == "share" else -np.log(max(share, never))
        assert got == pytest.approx(expected, rel=1e-4)


@given(trusted=samples, new=samples, sections=st.integers(2, 8))
@settings(deadline=None)
def test_bitmap_counts_neurons_in_sections_new_to_the_class(trusted, new, sections):
    criterion = CoverageBitmap(sections)
    signature = learn(criterion, trusted, np.zeros(len(trusted), int), 1)
    deviation = criterion.deviation(signature, new, np.zeros(len(new), int))
    scale, base = signature.arrays["scale"].astype(np.float64), signature.arrays["base"].astype(np.float64)
    assert (np.frexp(scale)[0] == 0.5).all(), "a section's width is a power of two"
    seen = np.floor(trusted * scale) - base
    assert seen.min() >= 0
    assert seen.max() < sections
    section = np.floor(new * scale) - base
    expected = [sum(row[j] not in seen[:, j] for j in range(NEURONS)) for row in section]
    np.testing.assert_array_equal(deviation, expected)


@given(trusted=samples, sections=st.integers(2, 8))
@settings(deadline=None)
def test_bitmap_grid_is_the_finest_that_spans_the_data(trusted, sections):
    signature = learn(CoverageBitmap(sections), trusted, np.zeros(len(trusted), int), 1)
    for j, scale in enumerate(signature.arrays["scale"].astype(np.float64)):
        low, high = float(trusted[:, j].min()), float(trusted[:, j].max())
        finer = np.floor(high * scale * 2) - np.floor(low * scale * 2)
        exact_in_float32 = max(abs(low), abs(high)) * scale * 2 < 2**23
        assert finer >= sections or not exact_in_float32 or scale >= 2.0**125


def test_neuron_rank_weighs_the_rare_among_the_highest():
    values, labels = relu_data(neurons=16)
    new, new_labels = relu_data(seed=3, n=30, neurons=16)
    criterion = NeuronRank(top=4)
    signature = learn(criterion, values, labels)
    ranked = np.argsort(-values, axis=1, kind="stable")[:, :4]
    share = np.stack([[(ranked[labels == c] == j).any(axis=1).mean() for j in range(16)] for c in range(CLASSES)])
    weights = 1 / np.log2(np.arange(2, 6))
    for v, c, got in zip(new, new_labels, criterion.deviation(signature, new, new_labels), strict=True):
        top = np.argsort(-v, kind="stable")[:4]
        assert got == pytest.approx(np.average(1 - share[c][top], weights=weights), rel=1e-5)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("neurons", [5, 64, 130])
def test_nearest_neighbour_is_the_hamming_distance_to_the_kth_pattern(k, neurons):
    values, labels = relu_data(n=100, neurons=neurons)
    new, new_labels = relu_data(seed=4, n=30, neurons=neurons)
    criterion = NearestNeighbour(k=k, capacity=1000)
    deviation = criterion.deviation(learn(criterion, values, labels), new, new_labels)
    kept = np.unique(np.column_stack([labels, values]), axis=0)  # equal samples are kept once
    reference = np.median(kept[:, 1:], axis=0).astype(np.float32)
    for v, c, got in zip(new, new_labels, deviation, strict=True):
        patterns = kept[kept[:, 0] == c][:, 1:] > reference
        assert got == np.sort((patterns != (v > reference)).sum(axis=1))[k - 1]


def test_nearest_neighbour_keeps_no_more_than_its_capacity_and_does_not_mind_the_order():
    values, labels = relu_data(n=500)
    criterion = NearestNeighbour(capacity=16)
    forward, backward = learn(criterion, values, labels), learn(criterion, values[::-1], labels[::-1])
    np.testing.assert_array_equal(forward.arrays["samples"], backward.arrays["samples"])
    assert forward.arrays["samples"].shape == (CLASSES, 16, NEURONS)
    kept = {row.tobytes() for row in forward.arrays["samples"].reshape(-1, NEURONS)}
    assert kept <= {row.tobytes() for row in values}


def test_gaussian_votes_beyond_two_standard_deviations():
    values, labels = relu_data()
    new, new_labels = relu_data(seed=5, n=50)
    deviation = Gaussian().deviation(learn(Gaussian(), values, labels), new, new_labels)
    for v, c, got in zip(new, new_labels, deviation, strict=True):
        of_class = values[labels == c].astype(np.float64)
        assert got == (abs(v - of_class.mean(axis=0)) > 2 * of_class.std(axis=0)).sum()


def test_mahalanobis_is_the_distance_under_the_shared_covariance():
    values, labels = relu_data(neurons=13)
    new, new_labels = relu_data(seed=6, n=50, neurons=13)
    deviation = Mahalanobis().deviation(learn(Mahalanobis(), values, labels), new, new_labels)
    means = np.stack([values[labels == c].mean(axis=0, dtype=np.float64) for c in range(CLASSES)])
    centred = values - means[labels]
    covariance = centred.T @ centred / len(values)
    covariance = 0.999 * covariance + 0.001 * np.trace(covariance) / 13 * np.eye(13)
    step = new - means[new_labels]
    expected = np.sqrt(np.einsum("ni,ij,nj->n", step, np.linalg.inv(covariance), step))
    np.testing.assert_allclose(deviation, expected, rtol=1e-4)


def test_mahalanobis_of_a_layer_that_never_moved_is_finite_for_the_same_value():
    still = np.ones((10, 4), np.float32)
    signature = learn(Mahalanobis(), still, np.zeros(10, int), 1)
    assert Mahalanobis().deviation(signature, still[:1], np.zeros(1, int)) == 0


def test_softmax_reads_logits_and_distributions_alike():
    logits = np.random.default_rng(0).normal(0, 5, (20, 7)).astype(np.float32)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    signature = learn(Softmax(), logits, np.zeros(20, int), 1)
    expected = -np.log(shares.max(axis=1))
    for values in (logits, logits + 1000, shares):
        deviation = Softmax().deviation(signature, values.astype(np.float32), np.zeros(len(values), int))
        np.testing.assert_allclose(deviation, expected, atol=2e-4)


@given(data=samples, split=st.integers(0, 40), seed=st.integers(0, 9))
@settings(deadline=None)
@pytest.mark.parametrize(
    "criterion", [MultiRange(4), CoverageBitmap(), SingleRange(quantile=0.1), NearestNeighbour(capacity=3)], ids=repr
)
def test_shards_of_any_data_add_up_to_one_pass(criterion, data, split, seed):
    labels = np.random.default_rng(seed).integers(0, CLASSES, len(data))
    whole = learn(criterion, data, labels)
    a, b = (learn(criterion, data[rows], labels[rows]) for rows in (slice(split, None), slice(0, split)))
    merged = criterion.merge(a, b)
    for name, array in whole.arrays.items():
        np.testing.assert_array_equal(merged.arrays[name], array, err_msg=name)
    np.testing.assert_array_equal(merged.counts, whole.counts)


CODED = [
    SingleRange(), SingleRange(quantile=0.1), SingleRange(magnitude=True), MultiRange(4), MultiRange(3, "log"),
    CoverageBitmap(), CoverageBitmap(2), CoverageBitmap(5), NeuronRank(2), NearestNeighbour(capacity=4), Gaussian(),
    Mahalanobis(),
]  # fmt: skip
some_codes = arrays(np.uint8, st.tuples(st.integers(1, 12), st.just(NEURONS)), elements=st.integers(0, 255))


@given(trusted=some_codes, new=some_codes)
@settings(deadline=None, max_examples=40)
@pytest.mark.parametrize("criterion", CODED, ids=repr)
def test_codes_are_the_same_numbers_as_floats(criterion, trusted, new):
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
    for criterion in (SingleRange(), MultiRange(), CoverageBitmap(), NeuronRank(), NearestNeighbour(), Mahalanobis()):
        signature = learn(criterion, values, labels)
        before = signature.nbytes
        for _ in range(3):
            criterion.observe(signature, *relu_data(seed=9))
        assert signature.nbytes == before
