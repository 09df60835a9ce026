from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Energy,
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

EVERY = (
    SingleRange(), SingleRange(quantile=0.1), MultiRange(4), CoverageBitmap(), CoverageBitmap(sections=3),
    HeadCoverage(channels=4, capacity=20), NearestNeighbour(capacity=20), Gaussian(), Mahalanobis(), NeuronRank(3),
    RelativeMahalanobis(), Pattern(capacity=20), Box(capacity=20), Energy(), ClassMahalanobis(), Neighbours(samples=20),
)  # fmt: skip
CLASSES, NEURONS = 3, 12


def learned(criterion, values, labels, step=37):
    signature = criterion.empty(values.shape[1], CLASSES)
    for start in range(0, len(values), step):
        criterion.observe(signature, values[start : start + step], labels[start : start + step])
    return signature


@pytest.mark.parametrize("criterion", EVERY, ids=repr)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 120), spread=st.sampled_from([0, 1e-20, 1, 1e20]))
@settings(max_examples=25, deadline=None)
def test_whatever_was_learned_and_merged_is_restored(criterion, seed, n, spread):
    """Whatever the data: constant ones, tiny, huge, whole numbers, classes that were not seen."""
    rng = np.random.default_rng(seed)
    values = (rng.normal(0, 1, (n, NEURONS)) * spread + rng.integers(-3, 3, NEURONS)).astype(np.float32)
    labels = rng.integers(0, rng.integers(1, CLASSES + 1), n)
    half = n // 2
    whole, first, rest = (
        learned(criterion, values[rows], labels[rows]) for rows in (slice(None), slice(half), slice(half, None))
    )
    for signature in (whole, criterion.merge(first, rest), criterion.merge(rest, first)):
        again = criterion.restore(NEURONS, signature.counts, signature.arrays)
        assert all(np.array_equal(again.arrays[name], array) for name, array in signature.arrays.items())


def put(name, at, value):
    def spoil(arrays, counts):
        arrays[name][at] = value

    return spoil


def one_less(arrays, counts):
    arrays["times"][2, arrays["times"][2].argmax()] -= 1


RANGE = "class 1, neuron 2: expected a range low <= high of finite numbers, got "
BITS = "class 1, neuron 2: expected "
WRONG = {
    "swapped range": (SingleRange(), put("low", (1, 2), 1e30), RANGE + r"1\.0*\d*e\+30 to"),
    "endless range": (SingleRange(), put("high", (1, 2), np.inf), RANGE),
    "no number": (SingleRange(), put("high", (1, 2), np.nan), "expected numbers in high, got 'NaN'"),
    "widened histogram": (MultiRange(4), put("high", (1, 2), 1e30), "the dyadic grid of the range"),
    "another scale": (MultiRange(4), put("scale", (1, 2), 0.25), "the dyadic grid of the range"),
    "another count": (MultiRange(4), put("counts", (1, 2, 3), 999), "as many samples in its sections as in its class"),
    "quantile's range": (SingleRange(quantile=0.1), put("low", (1, 2), np.inf), RANGE),
    "all of a bitmap": (CoverageBitmap(), put("bits", ..., 255), "sections within the range that was seen|not reached"),
    "none of a bitmap": (CoverageBitmap(), put("bits", (1, 2), 0), BITS + "a section for every class that was seen"),
    "wide bitmap": (CoverageBitmap(), put("high", 2, 1e30), "the dyadic grid of the range"),
    "bitmap elsewhere": (CoverageBitmap(), put("base", 2, -100), "the dyadic grid of the range"),
    "fewer bits": (CoverageBitmap(), put("bits", (..., 2), 2), "lowest and the highest value, of any class"),
    "bits of heads": (HeadCoverage(channels=4, capacity=20), put("bits", (1, 2), 0), BITS),
    "samples of heads": (HeadCoverage(channels=4, capacity=20), put("samples", (1, 2, 3), np.inf), "finite numbers"),
    "order": (
        NearestNeighbour(capacity=20),
        put("hashes", (1, 3), 0),
        "class 1, place 2: expected samples in the orde",
    ),
    "samples": (NearestNeighbour(capacity=20), put("samples", (1, 2, 3), np.inf), "class 1, place 2: expected samples"),
    "another sample": (
        NearestNeighbour(capacity=20),
        put("samples", (1, 2, 3), 7.5),
        "place 2: expected a sample of its",
    ),
    "another pattern": (Pattern(capacity=20), put("samples", (1, 2, 0), 2), "place 2: expected a sample of its hash"),
    "order of patterns": (Pattern(capacity=20), put("hashes", (1, 3), 0), "class 1, place 2: expected samples in the"),
    "negative times": (Pattern(capacity=20), put("times", (1, 2), -1), "class 1, place 2: expected a number of times"),
    "no time": (Pattern(capacity=20), put("times", (1, 2), 0), "class 1, place 2: expected a number of times up to"),
    "too many times": (
        Pattern(capacity=20),
        put("times", (1, slice(2, 4)), 60),
        "class 1, sum 0: expected as many times",
    ),
    "lost times": (Pattern(), put("times", (1, slice(0, 3)), 1), "class 1, sum 0: expected as many times as samples"),
    "level": (Box(capacity=20), put("level", 1, 9999), "class 1, place 0: expected the level of a grid, got 9999"),
    "order of cells": (Box(capacity=20), put("hashes", (1, 3), 0), "class 1, place 2: expected cells in the order"),
    "cells without samples": (
        Box(capacity=20),
        put("times", (1, 2), 0),
        "class 1, place 2: expected a number of times",
    ),
    "fewer samples": (Box(capacity=20), one_less, "class 2, sum 0: expected a cell for every sample"),
    "swapped cell": (Box(capacity=20), put("low", (1, 2, 3), 1e30), "class 1, place 2: expected ranges low <= high"),
    "endless cell": (Box(capacity=20), put("high", (1, 2, 3), np.inf), "class 1, place 2: expected ranges low <= high"),
    "another cell": (Box(capacity=20), put("places", (1, 2, 1), 1e9), "class 1, place 2: expected a cell of its hash"),
    "widened sample": (Box(capacity=200), put("high", (1, 2, 3), 1e9), "class 1, place 2: expected a cell of its hash"),
    "moved sample": (Box(capacity=200), put("places", (1, 2, 1), 1e9), "class 1, place 2: expected a cell of its hash"),
    "mean": (Gaussian(), put("mean", (1, 2), np.inf), BITS + "a finite mean and squares from 0 on"),
    "negative variance": (Gaussian(), put("squares", (1, 2), -1), BITS + "a finite mean and squares from 0 on, got"),
    "endless mean": (Mahalanobis(), put("mean", (1, 2), np.inf), BITS + "a finite mean, got inf"),
    "endless squares": (Mahalanobis(), put("squares", (1, 2), np.inf), "expected finite squares"),
    "no mirror image": (Mahalanobis(), put("squares", (1, 2), 1e6), "expected a covariance"),
    "negative squares": (Mahalanobis(), put("squares", (2, 2), -1), "expected a covariance"),
    "endless relative mean": (RelativeMahalanobis(), put("mean", (1, 2), np.inf), BITS + "a finite mean, got inf"),
    "many ranks": (NeuronRank(3), put("ranked", (1, 2), 10_000), BITS + "no more ranks than samples, got 10000"),
    "few ranks": (NeuronRank(3), put("ranked", (1, ...), 0), "class 1, sum 0: expected 3 ranks a sample, got 0"),
}


@pytest.mark.parametrize(("criterion", "spoil", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_no_sample_can_have_left_is_refused(criterion, spoil, message):
    rng = np.random.default_rng(3)
    signature = learned(criterion, rng.normal(2, 1, (200, NEURONS)).astype(np.float32), rng.integers(0, CLASSES, 200))
    spoil(signature.arrays, signature.counts)
    with pytest.raises(ValueError, match=message):
        criterion.restore(NEURONS, signature.counts, signature.arrays)


def test_a_bitmap_that_holds_every_section_is_refused_where_data_is_real():
    """One value in each of the eight sections of every neuron, for a class: no network does that."""
    values = np.repeat(np.arange(8, dtype=np.float32)[:, None], NEURONS, axis=1)
    signature = learned(CoverageBitmap(), values, np.ones(8, np.int64))
    assert (signature.arrays["bits"][1] == 255).all()
    with pytest.raises(ValueError, match="class 1: expected sections that were not reached, got all of all neurons"):
        CoverageBitmap().restore(NEURONS, signature.counts, signature.arrays)
    few = learned(CoverageBitmap(), values[:, :3], np.ones(8, np.int64))
    CoverageBitmap().restore(3, few.counts, few.arrays)


def test_more_bits_than_samples_are_refused():
    values = np.repeat(np.arange(8, dtype=np.float32)[:, None], 3, axis=1)
    signature = learned(CoverageBitmap(), values, np.zeros(8, np.int64))
    signature.counts[0] = 7
    with pytest.raises(ValueError, match="no more sections than samples, got 8"):
        CoverageBitmap().restore(3, signature.counts, signature.arrays)
