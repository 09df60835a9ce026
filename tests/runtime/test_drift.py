"""The drift test against exact sums, its promise under the calibrated rate, and its power beyond."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import special, stats

from outrider.runtime.drift import _BETS, DriftTest, confidence_sequence


def exact_evidence(outcomes, rate):
    """The mean over bets of the sum over beginnings, each a product of likelihood ratios, without the recursion."""
    left = [Fraction(math.log(2) / math.log(t + 2)) for t in range(len(outcomes) + 1)]
    odds = Fraction(rate) / (1 - Fraction(rate))
    total = Fraction(0)
    for bet in _BETS:
        q = Fraction(bet) * odds / (1 + Fraction(bet) * odds)
        factors = [q / Fraction(rate) if x else (1 - q) / (1 - Fraction(rate)) for x in outcomes]
        for start in range(len(outcomes)):
            total += (left[start] - left[start + 1]) * math.prod(factors[start:])
    return total / len(_BETS) + left[-1]


def fed(outcomes, **settings):
    test = DriftTest(stride=1, **settings)
    for alarmed in outcomes:
        test.update(bool(alarmed))
    return test


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.5])
def test_the_evidence_is_the_exact_one(rate):
    outcomes = np.random.default_rng(1).random(60) < rate
    test = fed(outcomes, rate=rate, level=1e-12)
    assert test.evidence == pytest.approx(float(exact_evidence(outcomes.tolist(), rate)), rel=1e-12)


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_the_evidence_is_1_in_the_mean_at_the_calibrated_rate(rate):
    """Over all 1,024 streams of ten frames: what makes it a martingale, and with Ville the promise."""
    mean = 0.0
    for outcomes in product((0, 1), repeat=10):
        alarmed = sum(outcomes)
        mean += rate**alarmed * (1 - rate) ** (10 - alarmed) * fed(outcomes, rate=rate, level=1e-300).evidence
    assert mean == pytest.approx(1, rel=1e-9)


def rejections(rng, streams, frames, true_rate, **settings):
    """At which frame each stream was rejected, -1 for never."""
    found = []
    for _ in range(streams):
        test = DriftTest(stride=1, **settings)
        outcomes = (rng.random(frames) < true_rate).tolist()
        found.append(next((frame for frame, alarmed in enumerate(outcomes) if test.update(alarmed)), -1))
    return np.array(found)


@pytest.mark.parametrize(("rate", "level"), [(0.002, 0.05), (0.01, 0.2), (0.05, 0.05), (0.3, 0.2)])
def test_false_reports_stay_below_the_level(rate, level):
    found = rejections(np.random.default_rng(2), 150, 1000, rate, rate=rate, level=level)
    assert (found >= 0).mean() <= level


@pytest.mark.parametrize(("rate", "frames"), [(0.01, 2500), (0.05, 500), (0.2, 150)])
def test_three_times_the_rate_is_found(rate, frames):
    found = rejections(np.random.default_rng(3), 40, frames, 3 * rate, rate=rate)
    assert (found >= 0).mean() >= 0.95


def test_a_rate_that_rises_late_is_found_nearly_as_soon():
    rng = np.random.default_rng(4)
    clean, risen = rng.random(20_000) < 0.008, rng.random(4000) < 0.03
    test = DriftTest(0.01, stride=1)
    assert not any(test.update(bool(alarmed)) for alarmed in clean)
    assert any(test.update(bool(alarmed)) for alarmed in risen)


def test_only_one_frame_in_a_stride_is_tested():
    test = DriftTest(0.01, stride=5)
    for frame in range(25):
        test.update(frame % 5 != 4)
    assert (test.tested, test.alarmed) == (5, 0)


def test_it_says_so_once_and_remembers():
    test = DriftTest(0.01, stride=1)
    assert test.message == "the calibration is not tested yet"
    answers = [test.update(True) for _ in range(20)]
    assert answers.count(True) == 1
    assert test.rejected
    assert test.evidence >= 100
    assert (test.tested, test.alarmed) == (20, 20)
    assert test.message.startswith("calibration no longer holds: 20 of 20 tested frames alarmed, 1 (0.99 confidence ")
    assert test.message.endswith(f"where 0.01 was calibrated; evidence {test.evidence:.3g}, 100 needed")
    test.reset()
    assert not test.rejected
    assert (test.tested, test.evidence) == (0, 1.0)
    test.update(False)
    assert test.message.startswith("no sign against the calibration: 0 of 1 tested frames alarmed")
    assert repr(test).startswith("DriftTest(rate=0.01, level=0.01, stride=1: no sign")


def test_a_snapshot_holds_what_a_report_needs():
    assert DriftTest(0.01, 0.05, 10).snapshot() == {
        "rate": 0.01, "level": 0.05, "stride": 10, "tested": 0, "alarmed": 0, "evidence": 1.0, "rejected": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [{"rate": 0}, {"rate": 1}, {"rate": math.nan}, {"rate": 0.1, "level": 0}, {"rate": 0.1, "stride": 0}],
)
def test_a_setting_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match="expected 0 < rate < 1, 0 < level < 1 and stride >= 1, got"):
        DriftTest(**settings)


@pytest.mark.parametrize(("count", "n"), [(0, 1), (1, 1), (0, 500), (3, 100), (50, 100), (10**4, 10**6)])
def test_the_bounds_are_where_the_likelihood_ratio_is_1_over_level(count, n):
    low, high = confidence_sequence(count, n, 0.05)
    assert 0 <= low <= count / n <= high <= 1
    mixture = special.betaln(count + 0.5, n - count + 0.5) - special.betaln(0.5, 0.5)
    for bound in {low, high} - {0.0, 1.0}:
        log_likelihood = special.xlogy(count, bound) + special.xlog1py(n - count, -bound)
        assert mixture - log_likelihood == pytest.approx(math.log(20), rel=1e-6)


def test_the_bounds_contain_those_of_one_look():
    low, high = confidence_sequence(12, 400, 0.05)
    once = stats.binomtest(12, 400).proportion_ci(0.95, method="exact")
    assert low < once.low
    assert high > once.high


def test_all_bounds_of_a_stream_hold_at_once():
    rng = np.random.default_rng(5)
    missed = 0
    for _ in range(60):
        counts = np.cumsum(rng.random(400) < 0.05)
        bounds = [confidence_sequence(int(counts[n - 1]), n, 0.1) for n in range(1, 401, 7)]
        missed += any(not low <= 0.05 <= high for low, high in bounds)
    assert missed / 60 <= 0.1


def test_bounds_of_nothing_and_of_nonsense():
    assert confidence_sequence(0, 0, 0.05) == (0.0, 1.0)
    with pytest.raises(ValueError, match=r"expected 0 <= count <= n and 0 < level < 1, got 3, 2 and 0.05"):
        confidence_sequence(3, 2, 0.05)
