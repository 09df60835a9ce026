"""The rules on figures worked out by hand, and on their bounds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.studies.reasons.claims import claims, decided, estimate

SIZES = 50, 200


def models(reasons, plain, sets=("unsafe", "borderline", "safe"), prompts=200):
    """Refusals of three seeds, of which a given share of prompts, the first ones, is refused by set and size."""
    shares = {"reasons": reasons, "plain": plain}
    return {
        kind: {
            size: {name: np.tile(np.arange(prompts) < share[size][i] * prompts, (3, 1)) for i, name in enumerate(sets)}
            for size in SIZES
        }
        for kind, share in shares.items()
    }


def found(reasons, plain):
    return {one.statement: one for one in claims(models(reasons, plain))}


def test_an_estimate_is_the_sum_of_means_and_without_spread_its_own_interval():
    constant = [np.full((3, 5), 0.25), np.full((3, 9), -0.5)]
    assert estimate(constant) == (-0.25, -0.25, -0.25)
    value, low, high = estimate([np.array([[0.0, 1.0], [0.0, 1.0]])])
    assert (value, low, high) == (0.5, 0.0, 1.0)


def test_the_spread_over_seeds_is_in_the_interval():
    seeds = np.repeat([[0.0], [0.0], [1.0]], 400, axis=1)
    value, low, high = estimate([seeds])
    assert value == pytest.approx(1 / 3)
    assert (low, high) == (0.0, 1.0)  # all three draws of one seed: 1 in 27, more than 2.5 %


def test_the_interval_over_prompts_is_that_of_the_mean():
    rng = np.random.default_rng(1)
    values = np.tile(rng.normal(size=400), (3, 1))
    value, low, high = estimate([values], resamples=4000)
    expected = 1.96 * values[0].std() / np.sqrt(400)
    assert high - value == pytest.approx(expected, rel=0.1)
    assert value - low == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("low", "high", "held"),
    [(0.1, 0.2, "held"), (0.0, 0.2, "not resolved"), (-0.2, 0.0, "not resolved"), (-0.2, -0.1, "not held")],
)
def test_a_bound_itself_decides_nothing(low, high, held):
    assert decided(low, high, 0.0) == held


def test_less_over_refusal_at_the_same_safety_holds():
    same = {50: (0.9, 0.2, 0.1), 200: (0.9, 0.2, 0.1)}
    rows = found(same, {50: (0.9, 0.6, 0.1), 200: (0.9, 0.5, 0.1)})
    assert rows["less over-refusal, all sizes"].value == pytest.approx(0.35)
    assert rows["less over-refusal, 50 examples"].value == pytest.approx(0.4)
    where = "all sizes", "50 examples", "200 examples"
    assert {rows[f"less over-refusal, {name}"].held for name in where} == {"held"}
    assert rows["clearly safe prompts are not refused more"].held == "held"
    assert rows["unsafe prompts are refused as often"].held == "held"
    assert rows["little data generalises"].held == "held"
    assert rows["more is learned from 50 examples"].value == pytest.approx(0.4)


def test_less_refusal_of_everything_is_no_less_over_refusal():
    rows = found(dict.fromkeys(SIZES, (0.6, 0.2, 0.0)), dict.fromkeys(SIZES, (0.9, 0.5, 0.1)))
    assert rows["less over-refusal, all sizes"].value == pytest.approx(0.3)
    assert rows["less over-refusal, all sizes"].held == "not held"
    assert rows["unsafe prompts are refused as often"].held == "not held"
    assert "+30.0" in rows["less over-refusal, all sizes"].rule


def test_the_opposite_does_not_hold_and_nothing_is_not_resolved():
    rows = found({50: (0.5, 0.6, 0.3), 200: (0.9, 0.6, 0.3)}, {50: (0.9, 0.2, 0.1), 200: (0.9, 0.6, 0.3)})
    assert rows["less over-refusal, 50 examples"].held == "not held"
    assert rows["less over-refusal, 200 examples"].held == "not resolved"
    assert rows["little data generalises"].held == "not held"
    assert rows["more is learned from 50 examples"].value == pytest.approx(-0.8)


def test_one_number_of_examples_has_nothing_to_compare_with_more():
    one = {kind: {50: sizes[50]} for kind, sizes in models(*[dict.fromkeys(SIZES, (0.9, 0.2, 0.1))] * 2).items()}
    assert "little data generalises" not in {row.statement for row in claims(one)}
