from __future__ import annotations

import logging
import sys
import threading
from copy import copy
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import CalibrationError, Monitor, NotReadyError, clopper_pearson
from outrider.runtime import Guard

from ..conftest import batches, frames


def test_the_threshold_is_one_number_or_one_for_each_class(monitor, network):
    assert monitor.threshold == monitor.calibration.thresholds[0]
    assert type(monitor.threshold) is float
    monitor.calibrate(batches(frames(4000, seed=1)), 0.05, per_class=True)
    np.testing.assert_array_equal(monitor.threshold, monitor.calibration.thresholds)
    monitor.threshold[:] = 0  # a copy
    assert (monitor.calibration.thresholds > 0).all()
    with pytest.raises(NotReadyError, match=r"call profile\(\)"):
        Monitor(network, SingleRange()).threshold  # noqa: B018


@pytest.mark.parametrize("value", [2, 3.5, np.float32(1.25), [0.5, 1.0, 4.0], np.zeros(3)])
def test_a_threshold_by_hand_holds_and_its_rate_is_counted_anew(monitor, value, tmp_path, network):
    held_out = frames(4000, seed=1)
    monitor.threshold = value
    expected = np.broadcast_to(np.float64(value), 3)
    np.testing.assert_array_equal(monitor.calibration.thresholds, expected)
    _, verdicts = monitor.check(held_out)
    own = slice(1, None, 2)  # the half that set the threshold
    alarms = (verdicts.score > expected[verdicts.prediction])[own]
    assert monitor.calibration.realised == alarms.mean()
    assert monitor.calibration.interval == clopper_pearson(int(alarms.sum()), 2000)
    np.testing.assert_array_equal(verdicts.alarm[own], alarms)
    np.testing.assert_array_equal(verdicts.threshold, expected[verdicts.prediction])
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network)
    np.testing.assert_array_equal(again.threshold, monitor.threshold)
    assert again.learned.history == monitor.learned.history


def test_a_change_is_logged_and_kept_with_both_thresholds_and_the_reason(monitor, caplog):
    before = monitor.threshold
    with caplog.at_level(logging.INFO, "outrider"):
        monitor.set_threshold(9.0, "rain\nin the camera")
        monitor.threshold = [1.0, 2.0, 3.0]
    assert [record.levelname for record in caplog.records] == ["INFO", "INFO"]
    assert caplog.messages[0] == f"threshold set: threshold {before:.4g} -> 9 (rain in the camera)"
    assert caplog.messages[1] == "threshold set: threshold 9 -> 1 to 3"
    first, second = monitor.learned.history[-2:]
    assert (first.what, first.before, first.after) == ("threshold set", before, 9.0)
    assert first.reason == "rain in the camera"
    assert (second.before, second.after, second.reason) == (9.0, (1.0, 2.0, 3.0), "")


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (-1, ValueError, "finite and not negative, got -1"),
        (np.float64(-2.5), ValueError, "finite and not negative, got -2.5$"),
        (np.nan, ValueError, "finite and not negative, got nan"),
        (np.nextafter(np.longdouble(np.finfo(np.float64).max), np.inf) * 2, ValueError, "finite and not negative"),
        ([1, 2, np.inf], ValueError, "finite and not negative"),
        ([1, 2], ValueError, r"one threshold, or 3, one for each class, got shape \(2,\)"),
        ([[1, 2, 3]], ValueError, r"got shape \(1, 3\)"),
        ("3", TypeError, "as a number, or one for each class, got '3'"),
        (None, TypeError, "got None"),
        (True, TypeError, "got True"),
    ],
)
def test_what_is_no_threshold_is_refused_and_changes_nothing(monitor, value, error, said):
    calibration, history = monitor.calibration, monitor.learned.history
    with pytest.raises(error, match=said):
        monitor.threshold = value
    assert (monitor.calibration, monitor.learned.history) == (calibration, history)


def test_a_file_saved_while_others_set_the_threshold_can_be_loaded(monitor, tmp_path, network):
    """What is saved between the two halves of a change would say two thresholds, and no one could load it."""
    interval, over = sys.getswitchinterval(), threading.Event()

    def change(seed):
        numbers = np.random.default_rng(seed)
        while not over.is_set():
            monitor.threshold = float(numbers.uniform(1, 9))

    threads = [threading.Thread(target=change, args=(seed,)) for seed in range(2)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for _ in range(40):
            monitor.save(tmp_path / "m.outrider")
            Monitor.load(tmp_path / "m.outrider", network)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(interval)
    changes = monitor.learned.history
    assert all(one.after == two.before for one, two in pairwise(changes))
    assert changes[-1].after == monitor.threshold


def test_the_threshold_of_a_copy_is_its_own_and_so_is_its_history(monitor, tmp_path, network):
    other, before = copy(monitor), monitor.learned.history
    other.threshold = 9.0
    assert (monitor.learned.history, other.learned.history[:-1]) == (before, before)
    for one in (monitor, other):
        one.save(tmp_path / "m.outrider")
        assert Monitor.load(tmp_path / "m.outrider", network).threshold == one.threshold


def test_an_older_calibration_has_nothing_to_count_a_rate_on(monitor):
    monitor.calibration = replace(monitor.calibration, scores=None, predictions=None)
    with pytest.raises(CalibrationError, match="got one of an older file; calibrate anew"):
        monitor.threshold = 1.0


def test_warnings_never_lie_above_the_threshold(monitor):
    monitor.calibrate(batches(frames(4000, seed=1)), 0.01, warning_rate=0.2)
    warning = monitor.calibration.warning_thresholds[0]
    monitor.threshold = 2 * warning
    assert monitor.calibration.warning_thresholds[0] == warning
    monitor.threshold = warning / 2
    assert monitor.calibration.warning_thresholds[0] == warning / 2


def test_a_running_guard_holds_its_next_frame_to_the_new_threshold_and_a_judge_to_its_own(monitor):
    frame = frames(1, seed=5)[0]
    judge = monitor.bind()
    with Guard(monitor) as guard:
        score = guard(frame)[1].score
        assert guard(frame)[1].threshold == monitor.threshold
        old, monitor.threshold = monitor.threshold, score / 2
        assert guard(frame)[1].threshold == score / 2
        assert guard(frame)[1].alarm
        assert judge(frame)[1].threshold == old
        assert monitor(frame)[1].threshold == score / 2
