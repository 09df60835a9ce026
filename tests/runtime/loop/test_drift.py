"""The drift test against exact sums, its promise under the calibrated rate, and its power beyond."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import special, stats

from outrider.coverage import Mahalanobis
from outrider.monitor import Monitor, Status
from outrider.monitor.calibration import clopper_pearson, conformal_threshold
from outrider.networks import OnnxNetwork
from outrider.runtime.loop.drift import _BETS, DriftTest, confidence_sequence
from outrider.runtime.loop.temporal import KOfN


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
    for outcomes in itertools.product((0, 1), repeat=10):
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
    assert test.message == ("calibration no longer holds: 20 of 20 tested frames alarmed (100 %), tested against 1 %")
    test.reset()
    assert not test.rejected
    assert (test.tested, test.evidence) == (0, 1.0)
    test.update(False)
    assert repr(test).startswith("DriftTest(rate=0.01, level=0.01, stride=1: calibration: too few frames tested")


@pytest.mark.parametrize(("rate", "level"), [(0.01, 0.01), (0.052, 0.005), (0.5, 0.05)])
def test_it_says_nothing_of_a_calibration_that_it_could_not_have_rejected(rate, level):
    worst = DriftTest(rate, level, stride=1)
    needed = next(frame for frame in itertools.count(1) if worst.update(True))
    test = DriftTest(rate, level, stride=1)
    for frame in range(1, needed + 3):
        test.update(False)
        tells = test.message.startswith(f"no sign against the calibration: 0 of {frame} tested frames alarmed (0 %), ")
        few = f"calibration: too few frames tested to tell ({frame} tested, one in 1, alarms of the loop left out)"
        assert tells if frame >= needed else test.message == few


def test_a_snapshot_holds_what_a_report_needs():
    assert DriftTest(0.01, 0.05, 10).snapshot() == {
        "rate": 0.01, "level": 0.05, "stride": 10, "tested": 0, "alarmed": 0, "evidence": 1.0, "rejected": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [{"rate": 0}, {"rate": 1}, {"rate": math.nan}, {"rate": 0.1, "level": 0}, {"rate": 0.1, "stride": 0},
     {"rate": 0.1, "patience": -1}],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused(settings):
    with pytest.raises(ValueError, match="expected 0 < rate < 1, 0 < level < 1, stride >= 1 and patience >= 0, got"):
        DriftTest(**settings)


# A loop in alarm.


def test_frames_of_an_alarm_are_left_out_until_it_lasts():
    test = DriftTest(0.01, stride=1, patience=20)
    for _ in range(5):
        test.update(True)
        for _ in range(20):
            test.update(True, calm=False)
    assert (test.tested, test.alarmed) == (5, 5)
    test = DriftTest(0.01, stride=1, patience=20)
    for _ in range(30):
        test.update(False, calm=False)
    assert (test.tested, test.alarmed) == (10, 0)


@pytest.mark.parametrize(("alarm", "clear"), [((1, 1), (1, 1)), ((3, 5), (10, 10))])
@pytest.mark.parametrize("share", [0.8, 1.0])
def test_a_loop_that_hardly_leaves_its_alarm_is_found(alarm, clear, share):
    rng, logic, test = np.random.default_rng(6), KOfN(alarm, clear), DriftTest(0.01)
    for _ in range(1000):
        alarmed, calm = bool(rng.random() < share), not logic.active
        logic.update(alarmed, 0.5)
        if test.update(alarmed, calm):
            break
    assert test.rejected


@pytest.mark.parametrize(("alarm", "clear"), [((1, 1), (1, 1)), ((2, 5), (10, 10))])
def test_leaving_frames_out_by_the_past_breaks_no_promise(alarm, clear):
    """At the rate itself, every frame tested that the loop of a guard lets through, with little patience."""
    rng, false = np.random.default_rng(7), 0
    for _ in range(150):
        logic, test = KOfN(alarm, clear), DriftTest(0.2, level=0.2, stride=1, patience=12)
        for alarmed in (rng.random(600) < 0.2).tolist():
            calm = not logic.active
            logic.update(alarmed, 0.5)
            test.update(alarmed, calm)
        false += test.rejected
    assert false / 150 <= 0.2


# A calibration.


def drawn(rng, n, rate, uncovered=0.0, classes=1, ties=0):
    """A calibration on n held-out frames of scores that are uniform, as `Monitor.calibrate` sets it, and the true rate.

    uncovered: the share of frames that alarm whatever the threshold. classes: thresholds, each for an equal share.
    ties: how many values a score may have, 0 for any.
    """
    values = (lambda k: rng.integers(0, ties, k) / ties) if ties else rng.random
    infinite = int(rng.binomial(n, uncovered))
    alarms, true_rate = infinite, uncovered
    for c in range(classes):
        scores = values((n - infinite + c) // classes)
        threshold = conformal_threshold(scores, rate)
        alarms += int((scores > threshold).sum())
        above = math.ceil(ties * (1 - threshold) - 1e-9) - 1 if ties else 0
        true_rate += (1 - uncovered) * (above / ties if ties else 1 - threshold) / classes
    own = np.full(classes, classes > 1)
    return SimpleNamespace(false_alarm_rate=rate, n=n, realised=alarms / n, own=own), true_rate


DRAWS = [
    {"n": 200, "rate": 0.05}, {"n": 500, "rate": 0.01}, {"n": 400, "rate": 0.05, "uncovered": 0.05},
    {"n": 400, "rate": 0.05, "classes": 10}, {"n": 300, "rate": 0.05, "ties": 40},
]  # fmt: skip


@pytest.mark.parametrize("draw", DRAWS)
def test_the_true_rate_exceeds_the_bound_in_few_draws(draw):
    rng, draws, level = np.random.default_rng(8), 1500, 0.2
    exceeded = 0
    for _ in range(draws):
        calibration, true_rate = drawn(rng, **draw)
        exceeded += true_rate > DriftTest.for_calibration(calibration, level).rate
    assert exceeded / draws <= level / 2 + 3 * math.sqrt(level / 2 / draws)


@pytest.mark.parametrize("draw", DRAWS)
def test_no_drift_is_reported_in_few_draws(draw):
    """Over draws of the held-out frames too, where a test against the calibrated rate itself reports often."""
    rng, draws, level = np.random.default_rng(9), 100, 0.2
    false = naive = 0
    for _ in range(draws):
        calibration, true_rate = drawn(rng, **draw)
        outcomes = (rng.random(4000) < true_rate).tolist()
        test = DriftTest.for_calibration(calibration, level, stride=1)
        false += any(map(test.update, outcomes))
        naive += any(map(DriftTest(draw["rate"], level, stride=1).update, outcomes))
    assert false / draws <= level
    assert naive / draws > level or "ties" in draw


@pytest.mark.parametrize(("n", "rate", "frames"), [(200, 0.05, 200), (500, 0.01, 800), (2000, 0.01, 1500)])
def test_drift_beyond_the_bound_is_found(n, rate, frames):
    rng = np.random.default_rng(10)
    for _ in range(20):
        test = DriftTest.for_calibration(drawn(rng, n, rate)[0], stride=1)
        assert any(map(test.update, (rng.random(frames) < 3 * test.rate).tolist()))
        test.reset()
        while not test.update(True):
            pass
        assert test.tested <= 6


@pytest.mark.parametrize(("n", "bound"), [(99, 0.052), (500, 0.025), (10_000, 0.013)])
def test_the_bound_is_that_of_clopper_and_pearson(n, bound):
    calibration, _ = drawn(np.random.default_rng(11), n, 0.01)
    test = DriftTest.for_calibration(calibration, stride=7, patience=9)
    assert test.rate == pytest.approx(clopper_pearson(round(calibration.realised * n), n, 0.99)[1], rel=1e-9)
    assert test.rate == pytest.approx(bound, abs=5e-4)
    assert (test.level, test.stride, test.patience) == (0.005, 7, 9)


def test_it_says_what_was_seen_and_against_what_it_was_tested():
    calibration = SimpleNamespace(false_alarm_rate=0.01, n=500, realised=0.008, own=np.zeros(3, bool))
    test = DriftTest.for_calibration(calibration, stride=1)
    while not test.update(True):
        pass
    assert test.message.endswith(f"{test.tested} of {test.tested} tested frames alarmed (100 %), tested against 2.5 %")


def test_real_monitors_without_drift_and_with():
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from ..small_network import frames, model

    network = OnnxNetwork(model(), taps="auto", neurons="channel", classes=None)
    false = naive = 0
    for seed in range(20):
        monitor = Monitor(network, {"r": Mahalanobis()})
        monitor.profile([frames(400, 1000 + seed)], minimum_per_class=0)
        monitor.calibrate([frames(400, 2000 + seed)], 0.05)
        test = DriftTest.for_calibration(monitor.calibration, stride=1)
        known = DriftTest(0.05, stride=1)
        for alarmed in monitor.check(frames(4000, 3000 + seed))[1].status == Status.ALARM:
            test.update(bool(alarmed))
            known.update(bool(alarmed))
        false, naive = false + test.rejected, naive + known.rejected
        test.reset()
        brighter = monitor.check(np.float32(1.5) * frames(300, 4000 + seed))[1].status == Status.ALARM
        assert any(map(test.update, brighter.tolist()))
    assert false == 0
    assert naive >= 2
    network.close()


# The confidence sequence.


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
