from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from outrider.monitor import CalibrationError, MismatchError, NotReadyError, OutriderWarning, ProfileError, Status
from outrider.monitor.heads import CriticalHead, HeadGuard, ReadOut

from .conftest import TELLING, FakeDecoder, safe, unsafe


def test_unsafe_prompts_are_caught_and_safe_ones_mostly_passed(guard):
    verdicts = guard.check([*unsafe(40, 300), *safe(40, 300)])
    assert sum(verdict.alarm for verdict in verdicts[:40]) >= 38
    assert sum(verdict.alarm for verdict in verdicts[40:]) <= 12
    assert guard.chosen[0] == TELLING
    assert all(verdict.threshold == guard.threshold for verdict in verdicts)
    scores = guard.scores([*unsafe(40, 300), *safe(40, 300)])
    assert [verdict.score for verdict in verdicts] == scores.tolist()
    assert [verdict.alarm for verdict in verdicts] == (scores > guard.threshold).tolist()


def test_a_prompt_that_cannot_be_judged_is_a_fault_in_its_place(guard):
    verdicts = guard.check(["help a", "", "word " * 50, "harm b"])
    assert [verdict.status == Status.FAULT for verdict in verdicts] == [False, True, True, False]
    assert "empty" in verdicts[1].reason
    assert verdicts[1].score == math.inf
    assert np.isnan(guard.scores(["help a", ""])).tolist() == [False, True]
    broken = HeadGuard(guard.decoder, ReadOut(), 12)
    broken.search(unsafe(10), safe(10), permutations=0)
    broken.calibrate(safe(30, 50), 0.1)
    assert broken.check(["broken"])[0].reason == "NaN or Inf in the model, at layer 2 head 3"


def test_a_pass_that_was_run_already_is_judged_the_same(guard):
    prompts = ["harm one", "help one"]
    verdicts = guard.judge(guard.decoder.prefill(guard.decoder.encode(prompts), keep=guard.keep))
    for mine, theirs in zip(verdicts, guard.check(prompts), strict=True):
        assert mine[:5] == theirs[:5]
        np.testing.assert_array_equal(mine.deviation, theirs.deviation)


def test_prompts_of_the_search_do_not_calibrate(decoder):
    guard = HeadGuard(decoder)
    guard.search(unsafe(12), safe(12), permutations=0)
    told = "12 of 42 safe prompts were left out: the search has seen them"
    with pytest.warns(OutriderWarning, match=told) as caught:
        calibration = guard.calibrate(safe(42), 0.1)
    assert caught[0].filename == __file__
    assert calibration.n == 30
    assert calibration.excluded["the search has seen them"] == 12
    with pytest.warns(OutriderWarning), pytest.raises(CalibrationError, match="at least 19"):
        guard.calibrate(safe(20))
    with pytest.warns(OutriderWarning, match="1 of 31 safe prompts were left out: they cannot be judged"):
        assert guard.calibrate([*safe(30, 50), ""], 0.1).n == 30


def test_a_prompt_that_is_called_both_is_refused(decoder):
    with pytest.raises(ProfileError, match="1 that are called both"):
        HeadGuard(decoder).search([*unsafe(10), "help number 3"], safe(10))


def test_recalibration_keeps_the_heads_and_the_rate(guard):
    chosen, before = guard.chosen, guard.calibration
    after = guard.recalibrate(safe(50, 400))
    assert guard.chosen == chosen
    assert after.false_alarm_rate == before.false_alarm_rate
    assert after.threshold != before.threshold
    assert guard.recalibrate(safe(50, 400), 0.2).threshold < after.threshold


def test_safe_prompts_of_another_style_are_told_and_recalibration_mends_it(guard):
    style = [f"harm is no word to fear {i}" for i in range(60)]
    assert not guard.compare(safe(60, 800)).changed
    with pytest.warns(OutriderWarning, match="not as they were when the threshold was set") as caught:
        found = guard.compare(style[:30])
    assert caught[0].filename == __file__
    assert found.share > 0.9
    guard.recalibrate(style[:30], 0.1)
    assert np.mean([verdict.alarm for verdict in guard.check(style[30:])]) < 0.35


def test_what_was_measured_once_serves_every_step(decoder):
    guard = HeadGuard(decoder, heads=2)
    features = guard.measure([*unsafe(20), *safe(60)])
    guard.search(features[:20], features[20:40], permutations=0)
    guard.calibrate(features[40:], 0.1)
    assert decoder.passes == 80
    verdicts = guard.check(features[:20])
    assert decoder.passes == 80
    again = HeadGuard(decoder, heads=2)
    again.search(unsafe(20), safe(20), permutations=0)
    again.calibrate(safe(40, 20), 0.1)
    assert again.chosen == guard.chosen
    assert [verdict.score for verdict in again.check(unsafe(20))] == [verdict.score for verdict in verdicts]
    with pytest.raises(MismatchError, match="fingerprint"):
        HeadGuard(FakeDecoder("a" * 64)).search(features[:20], features[20:])


def test_nothing_is_said_before_its_time(decoder):
    guard = HeadGuard(decoder)
    for ask in (lambda: guard.chosen, lambda: guard.check([]), lambda: guard.calibrate(safe(20))):
        with pytest.raises(NotReadyError, match=r"call search\(\)"):
            ask()
    guard.search(unsafe(10), safe(10), permutations=0)
    for ask in (lambda: guard.threshold, lambda: guard.check([]), lambda: guard.recalibrate(safe(20))):
        with pytest.raises(NotReadyError, match=r"call calibrate\(\)"):
            ask()
    guard.calibrate(safe(30, 30), 0.1)
    assert "calibrated" in repr(guard)
    guard.search(unsafe(10), safe(10), permutations=0)
    assert guard.calibration is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"heads": 13}, "1 to 12 heads"),
        ({"heads": 0}, "1 to 12 heads"),
        ({"batch": 0}, "a batch of at least 1 prompt"),
        ({"rule": "best"}, "among auroc, paper"),
        ({"rule": "paper"}, "an angle for the published rule"),
        ({"statistic": "angle"}, "expected a statistic among"),
    ],
)
def test_what_cannot_be_is_refused(decoder, arguments, message):
    with pytest.raises(ValueError, match=message):
        HeadGuard(decoder, **arguments)


@pytest.mark.parametrize("statistic", ["full", "exact", "last_query"])
@pytest.mark.parametrize("rule", ["auroc", "paper"])
def test_the_critical_head_is_the_one_that_deflects_on_unsafe_prompts(decoder, statistic, rule):
    guard = CriticalHead(decoder, statistic, rule=rule)
    report = guard.search(unsafe(20), safe(20), permutations=19)
    assert guard.head == TELLING
    assert report.p_value == 1 / 20
    assert guard.keep == (1 if statistic == "exact" else None)
    guard.calibrate(safe(40, 100), 0.1)
    verdicts = guard.check(unsafe(20, 300))
    assert np.mean([verdict.alarm for verdict in verdicts]) > 0.6
    assert verdicts[0].deviation.shape == (1,)
    angle = guard.measure(unsafe(1, 300), [TELLING]).values[0, 0, 0]
    assert verdicts[0].score == angle


def test_a_critical_head_is_of_a_deflection(decoder):
    with pytest.raises(ValueError, match="take HeadGuard"):
        CriticalHead(decoder, "read_out")


def test_the_room_opens_without_torch_or_transformers(tmp_path):
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'sklearn'): sys.modules[name] = None\n"
        "from outrider.monitor.heads import HeadGuard, statistic_names\n"
        "print(*statistic_names())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["deflection_profile", "exact", "full", "last_query", "read_out"]
