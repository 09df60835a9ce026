"""What is kept of a set's verdicts, and by what its frames are ranked."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, NotReadyError, Status
from outrider.monitor.evaluation import JudgedSet, judge_set

from ..conftest import CLASSES, NumpyNetwork, batches, frames


def made(status, score, threshold, prediction=None, label=None, **facts):
    n = len(status)
    return JudgedSet(
        np.array(status, np.int64), np.array(score, float), np.array(threshold, float),
        np.zeros(n, np.int64) if prediction is None else np.array(prediction), label, **facts,
    )  # fmt: skip


def test_it_keeps_what_check_says_of_each_frame_in_order(monitor):
    data = frames(130, seed=5, far=1.0)
    seen = []
    found = judge_set(monitor, batches(data, 40), name="far", kind="given", unread=3, progress=seen.append)
    verdicts = monitor.check(data)[1]
    assert found.status.tolist() == verdicts.status.tolist()
    assert found.prediction.tolist() == verdicts.prediction.tolist()
    np.testing.assert_allclose(found.score, verdicts.score, rtol=1e-6)
    np.testing.assert_allclose(found.deviation, verdicts.deviation, rtol=1e-5)
    assert (found.alarm == verdicts.alarm).all()
    assert (found.name, found.kind, found.unread, found.label, seen) == ("far", "given", 3, None, [40, 80, 120, 130])


def test_the_margin_agrees_with_the_alarm_of_each_class():
    # The second score is on the threshold, which is no alarm; the third is lower than the first and alarms.
    found = made([0, 0, 2, 1], [5.0, 2.0, 3.0, 4.0], [6.0, 2.0, 2.5, 4.5])
    assert found.margin.tolist() == [-1.0, 0.0, 0.5, -0.5]
    assert ((found.margin > 0) == found.alarm).all()


def test_what_was_not_judged_ranks_highest_and_is_flagged():
    found = made([Status.FAULT, Status.STALE, Status.ALARM], [0.1, np.nan, np.nan], [1.0, 1, 1])
    assert found.margin.tolist() == [np.inf] * 3
    assert found.alarm.all()


def test_a_frame_of_nan_is_a_fault_and_not_dropped(monitor):
    data = frames(6)
    data[2, 0] = np.nan
    found = judge_set(monitor, data)
    assert (len(found), found.status[2], found.margin[2]) == (6, Status.FAULT, np.inf)


def test_errors_are_those_of_frames_with_a_label():
    found = made([0] * 4, [0] * 4, [1] * 4, [0, 1, 2, -1], np.array([0, 2, -1, -1]))
    assert found.wrong.tolist() == [False, True, False, False]
    assert made([0], [0], [1]).wrong is None


def test_labels_count_only_where_they_are_of_the_networks_classes(network, monitor):
    data = frames(50, seed=8)
    right = network.run(data).argmax(1)
    assert not judge_set(monitor, (data, right)).wrong.any()
    assert judge_set(monitor, (data, (right + 1) % CLASSES)).wrong.all()
    assert judge_set(monitor, (data, right + 70), labelled=False).label is None
    with pytest.raises(ValueError, match="below 3"):
        judge_set(monitor, (data, right + 70))


def test_a_network_without_classes_has_no_errors():
    network = NumpyNetwork(classes=None)
    monitor = Monitor(network, SingleRange())
    monitor.profile(frames(200))
    monitor.calibrate(frames(300, seed=1), 0.05)
    found = judge_set(monitor, (frames(10, seed=2), np.zeros(10, np.int64)))
    assert (found.label, found.wrong, found.prediction.tolist()) == (None, None, [-1] * 10)


def test_frames_that_were_profiled_are_counted(monitor):
    mixed = np.concatenate([frames(2000)[:7], frames(5, seed=77)])
    assert judge_set(monitor, mixed).profiled == 7


def test_frames_that_cannot_be_read_can_be_faults():
    found = made(
        [0, 2], [0, 3], [1, 1], label=np.array([0, 1]), drives=np.array([4, 4]), deviation=np.ones((2, 3))
    ).with_faults(2)
    assert found.status.tolist() == [0, 2, Status.FAULT, Status.FAULT]
    assert found.margin.tolist() == [-1, 2, np.inf, np.inf]
    assert found.wrong.tolist() == [False, True, False, False]
    assert found.drives is None
    assert found.deviation[:, 1].tolist() == [1, 1, np.inf, np.inf]
    assert (found.prediction[2:] == -1).all()


def test_drives_are_numbered_and_one_a_frame(monitor):
    data = frames(4)
    found = judge_set(monitor, data, drives=["b", "a", "b", "c"])
    assert (found.drives.tolist(), found.drive_names) == ([0, 1, 0, 2], ("b", "a", "c"))
    assert judge_set(monitor, data, drives=[[1, 2], [1, 2], [0, 7], [1, 2]]).drive_names == ("1 2", "0 7")
    with pytest.raises(ValueError, match="drive of each of 4 frames"):
        judge_set(monitor, data, drives=[1, 2])


def test_no_frame_and_no_threshold_are_refused(network, monitor):
    with pytest.raises(ValueError, match="night: expected at least one frame"):
        judge_set(monitor, iter([]), name="night")
    monitor.calibration = None
    with pytest.raises(NotReadyError):
        judge_set(monitor, frames(4))
