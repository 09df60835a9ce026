"""Signatures and values for forms: some on bounds, some with NaN and Inf, and a class that was never seen."""

from __future__ import annotations

import numpy as np
import torch

from outrider.monitor.device.forms import forms_of

SIZES = (8, 12, 8, 40)


def learned(criterion, classes, sizes=SIZES, seed=1, shares=False):
    """(signatures, what they saw) of noise behind a ReLU; the last of several classes is never seen."""
    rng, signatures, known = np.random.default_rng(seed), [], []
    for neurons in sizes:
        values = np.maximum(rng.normal(0.6, 1, (300, neurons)), 0).astype(np.float32)
        values = as_shares(values) if shares else values
        signature = criterion.empty(neurons, classes)
        criterion.observe(signature, values, rng.integers(0, max(classes - 1, 1), 300))
        signatures.append(signature)
        known.append(values)
    return signatures, known


def as_shares(values):
    powers = np.exp(values)
    return (powers / powers.sum(1, keepdims=True)).astype(np.float32)


def asked(known, seed=2, shares=False):
    """Values of 64 rows for each column: trusted ones, extremes of a neuron, wide ones, and numbers that are none."""
    rng, found = np.random.default_rng(seed), []
    for values in known:
        rows = np.maximum(rng.normal(0.6, 2, (64, values.shape[1])), 0).astype(np.float32)
        rows = as_shares(rows) if shares else rows
        rows[:20] = values[:20]
        rows[20:24] = values.max(0)
        rows[24:28] = values.min(0)
        rows[28:31, 1], rows[31:33, 2], rows[33, 3] = np.nan, np.inf, -np.inf
        found.append(rows)
    return found


def on_host(criterion, signatures, values, labels):
    """(n, columns) by the kernels of the host."""
    pairs = zip(signatures, values, strict=True)
    return np.stack([criterion.deviation(signature, rows, labels) for signature, rows in pairs], 1)


def on_device(criterion, signatures, values, labels):
    """The same by forms; infinite for classes that were never seen, which the bench sees to."""
    found = np.full((len(labels), len(signatures)), np.nan, np.float32)
    for form, lot in forms_of(criterion, signatures):
        result = form(torch.cat([torch.from_numpy(values[i]) for i in lot], 1), torch.from_numpy(labels))
        assert result.dtype == torch.float32
        found[:, lot] = result.numpy()
    seen = np.stack([signature.counts > 0 for signature in signatures], 1)[labels]
    return np.where(seen, found, np.inf)


def hold(criterion, classes, rtol, shares=False):
    """Hold the forms of a criterion to the kernels."""
    signatures, known = learned(criterion, classes, shares=shares)
    values, labels = asked(known, shares=shares), np.random.default_rng(3).integers(0, classes, 64)
    expected = on_host(criterion, signatures, values, labels)
    found = on_device(criterion, signatures, values, labels)
    assert np.isfinite(expected).any()
    assert np.isinf(expected[28:34]).all()
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
