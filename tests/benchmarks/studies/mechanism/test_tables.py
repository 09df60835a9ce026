from __future__ import annotations

from benchmarks.studies.mechanism.tables import mechanism
from benchmarks.tables import Table, markdown

from .figures import figures


def tables(**more):
    kept = {"seeds": {str(i): figures(off=i / 100) for i in range(3)}, "minutes": 11.6, "quick": False} | more
    return mechanism(kept)


def named(parts, title):
    return next(part for part in parts if isinstance(part, Table) and part.title.startswith(title))


def test_the_claims_come_first_with_their_verdicts():
    parts = tables()
    assert parts[0].startswith("Intervals are t-intervals over 3 seeds: few, so wide. Inputs a seed: 7 safe, 7 unsafe")
    assert "12 core-minutes" in parts[0]
    rows = {row[0]: row[1:] for row in parts[1].rows}
    assert len(rows) == 13
    assert rows["jailbreaks lie nearer the safe cluster"] == ["held", "9 / 0 / 0"]
    assert len(parts) == 2 + 13 + 2 + 1 + 2
    assert markdown(parts).count("| held |") >= 13


def test_a_part_has_its_interval_and_its_baselines():
    table = named(tables(), "the Lipschitz constant falls")
    assert table.rows[0] == ["SSFT", "0.50 (0.50 to 0.50)", "1.00 (1.00 to 1.00)", "1.00 (1.00 to 1.00)", "held"]
    one = named(mechanism({"seeds": {"0": figures()}, "minutes": 1, "quick": True}), "the Lipschitz constant falls")
    assert one.rows[0] == ["SSFT", "0.50", "1.00", "1.00", "partly"]


def test_shares_along_alpha_are_means_over_seeds():
    table = named(tables(), "W_base + α ΔW: share refused")
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert rows["SSFT-M", "1.5"][:2] == ["0 %", "90 %"]
    assert rows["SSFT-M, random change", "–"][1] == "0 %"
    assert len(rows) == 6 * 3


def test_a_quick_run_says_so():
    assert "A quick run" in mechanism({"seeds": {"0": figures()}, "minutes": 1, "quick": True})[0]
    assert "One seed has no interval." in mechanism({"seeds": {"0": figures()}, "minutes": 1, "quick": True})[0]
    assert "A quick run" not in tables()[0]
