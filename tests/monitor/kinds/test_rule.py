"""The rule, against densities that are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.kinds.rule import fit, left_out, shares

CAUSES = {
    ("sensor", "a"): (0, 0), ("sensor", "b"): (8, 0), ("adversarial", "c"): (0, 8), ("unsure", "d"): (8, 8),
}  # fmt: skip


@pytest.fixture
def patterns():
    """400 of each cause, around a mean with deviations 1 and 0.5 that are correlated."""
    rng = np.random.default_rng(0)
    turn = np.array([[1, 0.3], [0, 0.4]])
    return {cause: rng.normal(0, 1, (400, 2)) @ turn + mean for cause, mean in CAUSES.items()}


def test_probabilities_are_those_of_gaussian_mixtures(patterns):
    rule = fit(patterns, 0.7)
    points = np.array([[3.5, 4.0], [0.0, 0.0], [8.0, 4.2]])
    pooled = np.mean([np.cov(rows.T, bias=True) for rows in patterns.values()], axis=0)
    shrunk = 0.8 * pooled + 0.2 * np.diag(np.diag(pooled)) + 1e-3 * np.diag(np.diag(pooled))
    density = {}
    for (kind, name), rows in patterns.items():
        away = points - rows.mean(0)
        density[kind, name] = np.exp(-0.5 * np.einsum("ni,ij,nj->n", away, np.linalg.inv(shrunk), away))
    of = {
        "sensor": (density["sensor", "a"] + density["sensor", "b"]) / 2,
        "adversarial": density["adversarial", "c"],
        "unsure": density["unsure", "d"],
    }
    total = sum(of.values())
    found = rule.probabilities(rule.distances(points))
    for i, kind in enumerate(("sensor", "adversarial", "unfamiliar", "unsure")):
        np.testing.assert_allclose(found[:, i], of.get(kind, 0) / total, rtol=1e-9, atol=1e-12)
    assert rule.kinds == ("sensor", "adversarial", "unsure")


def test_what_is_between_kinds_and_what_is_far_is_unknown(patterns):
    rule = fit(patterns, 0.7)
    assert rule.named(np.array([[0, 0], [8, 0], [0, 8], [8, 8.0]])) == ["sensor", "sensor", "adversarial", "unsure"]
    halfway = (rule.means[0] + rule.means[2]) / 2
    assert rule.named(halfway[None]) == ["unknown"]
    assert rule.named(np.array([[-40.0, 0]])) == ["unknown"]
    nearest = np.concatenate([rule.distances(rows).min(1) for rows in patterns.values()])
    assert rule.far == pytest.approx(1.5 * np.quantile(nearest, 0.99))


def test_a_cause_that_was_left_out_is_named_by_the_others(patterns):
    patterns["sensor", "near a"] = patterns["sensor", "a"] + 0.2
    told = left_out(patterns, 0.7)
    assert np.isnan(told[1:]).all()
    assert told[0].sum() == pytest.approx(1)
    assert told[0, 0] == pytest.approx(2 / 3, abs=0.05)  # "a" and "near a" stand for each other, nothing for "b"


def test_a_number_that_never_moves_breaks_nothing(patterns):
    still = {cause: np.c_[rows, np.full(len(rows), 3.0)] for cause, rows in patterns.items()}
    rule = fit(still, 0.7)
    assert np.isfinite(rule.precision).all()
    assert rule.named(np.array([[0, 0, 3.0]])) == ["sensor"]


def test_shares_of_names():
    assert shares(["sensor", "unknown", "unsure", "unknown"]).tolist() == [0.25, 0, 0, 0.25, 0.5]
