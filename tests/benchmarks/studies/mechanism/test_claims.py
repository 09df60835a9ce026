"""The rules of the claims on numbers of which it is known whether they hold."""

from __future__ import annotations

import math

import pytest

from benchmarks.studies.mechanism.claims import HELD, NOT, PARTLY, ClaimFound, PartFound, claims, over_seeds

from .figures import figures


def test_mean_and_interval_are_those_of_the_t_distribution():
    """For three seeds: 4.3027 standard errors."""
    mean, low, high = over_seeds([1.0, 2.0, 3.0])
    assert mean == 2
    assert (low, high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-4)
    assert over_seeds([5.0]) == (5.0, None, None)
    assert math.isnan(over_seeds([1.0, math.nan])[0])


@pytest.mark.parametrize(
    ("values", "bound", "verdict"),
    [
        ([1.0, 1.0, 1.0], 0.99, HELD),
        ([1.0, 1.0, 1.0], 1.0, NOT),
        ([1.0, 2.0, 3.0], 0.0, PARTLY),
        ([1.0, 2.0, 3.0], 2.0, NOT),
        ([3.0, 3.0, -0.1], 0.0, NOT),
        ([9.0], 0.0, PARTLY),
        ([], 0.0, NOT),
        ([1.0, math.nan, 1.0], 0.0, NOT),
    ],
)
def test_a_part_holds_above_its_bound_with_its_interval(values, bound, verdict):
    assert PartFound("a", values, bound=bound).verdict == verdict
    assert PartFound("a", [0.0] * 3, bound=bound, decided=values).verdict == verdict


def test_a_claim_holds_where_all_its_parts_do():
    held, partly, failed = (PartFound("p", values) for values in ([1.0, 1.0], [1.0], [-1.0]))
    assert ClaimFound("", "", [held, held]).verdict == HELD
    assert ClaimFound("", "", [held, failed]).verdict == PARTLY
    assert ClaimFound("", "", [held, failed, failed]).verdict == NOT
    assert ClaimFound("", "", [held, held, partly]).verdict == PARTLY
    assert ClaimFound("", "", [partly, partly]).verdict == PARTLY
    assert ClaimFound("", "", [failed, failed]).verdict == NOT


def test_all_claims_hold_on_figures_made_to():
    found = claims([figures(off=off) for off in (-0.01, 0.0, 0.01)])
    assert [claim.verdict for claim in found] == [HELD] * 13
    assert len({claim.says for claim in found}) == 13


def test_no_claim_holds_on_figures_made_not_to():
    found = claims([figures(hold=False, off=off) for off in (-0.01, 0.0, 0.01)])
    assert {claim.verdict for claim in found} == {NOT}


def test_one_seed_holds_partly_at_best():
    assert {claim.verdict for claim in claims([figures()])} == {PARTLY}
    with pytest.raises(ValueError, match="at least one seed"):
        claims([])


def found_of(seeds, says):
    return next(claim for claim in claims(seeds) if claim.says == says)


def test_the_numbers_of_the_claims_by_hand():
    seeds = [figures() for _ in range(3)]
    depth = found_of(seeds, "safe and unsafe clusters separate more with depth").parts[0]
    assert depth.values == pytest.approx([6 * (5.5 - 1.5) / 6] * 3)
    assert depth.untuned == pytest.approx([0.6 * 4 / 6] * 3)
    assert depth.random == [0.0] * 3
    more = found_of(seeds, "DPO and unlearning separate the clusters more than supervised tuning").parts
    assert [part.values[0] for part in more] == [6, 6]
    assert more[0].untuned[0] == pytest.approx(0.6 - 6)
    assert found_of(seeds, "the unsafe cluster is of low rank").parts[0].values == [0.4] * 3
    assert found_of(seeds, "ΔW lies in the left null space of W_base").parts[0].values == pytest.approx([0.9] * 3)
    only = found_of(seeds, "‖ΔW a‖ is large only for unsafe inputs").parts[0]
    assert (only.values, only.random) == ([5.0] * 3, [1.1] * 3)  # the second matrix has no part in it
    assert found_of(seeds, "the Lipschitz constant falls for unsafe inputs").parts[0].values == [0.5] * 3
    assert found_of(seeds, "the Lipschitz constant rises for safe inputs").parts[0].values == [2.0] * 3
    gain, cost = found_of(seeds, "α = 1.5 strengthens supervised tuning at little cost").parts[:2]
    assert gain.values == pytest.approx([0.4] * 3)
    assert cost.values == pytest.approx([-0.01] * 3)


def test_a_rise_that_a_random_change_has_too_is_none():
    seeds = [figures() for _ in range(3)]
    for seed in seeds:
        for model in seed["models"].values():
            if "random" in model:
                model["random"]["lipschitz"]["safe"]["median"] = 4.0
    assert found_of(seeds, "the Lipschitz constant rises for safe inputs").verdict == NOT


def test_the_untuned_models_own_depth_and_rank_count_against_the_claim():
    seeds = [figures() for _ in range(3)]
    for seed in seeds:
        base = seed["models"]["base"]["separation"]
        base["distance"] = [2.0 * (layer + 1) for layer in range(6)]
        base["ranks"]["unsafe"] = [5] * 6
    assert found_of(seeds, "safe and unsafe clusters separate more with depth").verdict == NOT
    assert found_of(seeds, "the unsafe cluster is of low rank").verdict == NOT
