"""Frames that a guard believed clean, kept in its log, and the threshold set anew on them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, SingleRange
from outrider.monitor import CalibrationError, MismatchError, Monitor, Status, Sum
from outrider.networks import OnnxNetwork
from outrider.runtime import EventLog, Guard, read_kept

from ..small_network import frames, model

RATE = 0.1


def network():
    return OnnxNetwork(model(), taps="auto", neurons="channel", classes=None)


def calm(n, seed):
    """Frames with less contrast than those of the calibration."""
    return (0.5 + 0.5 * (frames(n, seed) - 0.5)).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    monitor = Monitor(network(), {"r": Mahalanobis()}, logic=Sum())
    monitor.profile([frames(600)], minimum_per_class=0)
    monitor.calibrate([frames(600, 1)], RATE)
    monitor.save(tmp_path / "m.outrider")
    return tmp_path / "m.outrider"


def drive(path, scene, log, every=1, **options):
    """The guard's own verdicts on the frames of a drive."""
    with (
        EventLog(log, keep_clean=every, thumbnails=0) as events,
        Guard.load(path, network(), log=events, **options) as guard,
    ):
        return [guard(frame)[1] for frame in scene], guard.metrics.counters.snapshot()


@pytest.mark.parametrize("every", [1, 3])
def test_one_in_n_frames_that_were_not_flagged_is_kept_as_judged(path, tmp_path, every):
    scene = frames(200, 2)
    verdicts, counters = drive(path, scene, tmp_path / "e.jsonl", every)
    clean = [verdict for verdict in verdicts if verdict.status < Status.ALARM]
    kept = read_kept(tmp_path / "e.jsonl")
    expected = clean[every - 1 :: every]
    np.testing.assert_array_equal(kept.deviations, [verdict.deviation for verdict in expected])  # to the last bit
    np.testing.assert_array_equal(kept.scores, [verdict.score for verdict in expected])
    assert kept.predictions.tolist() == [verdict.prediction for verdict in expected]
    assert (kept.clean, kept.flagged) == (len(expected) * every, counters["alarms"])
    assert (kept.frames, kept.broken, kept.drifted) == (200, 0, False)


def test_frames_of_an_alarm_that_holds_on_are_not_believed(path, tmp_path):
    scene = np.concatenate([frames(30, 2), 50 * frames(3, 3), frames(30, 4)])
    verdicts, _ = drive(path, scene, tmp_path / "e.jsonl", alarm=(2, 3), clear=(10, 10))
    believed = [v.score for v in verdicts if v.status < Status.ALARM and v.score <= v.threshold]
    held = [v for v in verdicts if v.status == Status.ALARM and v.score <= v.threshold]
    assert held
    assert read_kept(tmp_path / "e.jsonl").scores.tolist() == believed


def test_a_log_keeps_none_unless_it_is_asked_to(path, tmp_path):
    with EventLog(tmp_path / "e.jsonl", thumbnails=0) as log, Guard.load(path, network(), log=log) as guard:
        guard(frames(1)[0])
    with pytest.raises(ValueError, match=r"expected frames that were kept .* watch --log FILE --keep-clean 30"):
        read_kept(tmp_path / "e.jsonl")
    with pytest.raises(ValueError, match="expected keep_clean as a whole number from 1 on, got 0"):
        EventLog(tmp_path / "f.jsonl", keep_clean=0)


def test_a_quieter_place_lowers_the_threshold_through_log_and_file(path, tmp_path):
    drive(path, calm(900, 5), tmp_path / "e.jsonl", 2)
    monitor = Monitor.load(path, network())
    before = monitor.threshold
    found = monitor.recalibrate(read_kept(tmp_path / "e.jsonl"), reason="indoors")
    assert found.changed
    assert monitor.threshold < before
    monitor.save(path)
    verdicts, counters = drive(path, calm(900, 6), tmp_path / "next.jsonl")
    assert counters["alarms"] / 900 == pytest.approx(RATE, abs=0.05)
    with pytest.raises(MismatchError, match="profile: expected"):  # the log of the profile of before
        Monitor.load(path, network()).recalibrate(read_kept(tmp_path / "e.jsonl"))
    assert verdicts[0].threshold == monitor.threshold


def test_faults_flagged_frames_and_several_files_are_counted(path, tmp_path):
    broken = np.full((1, *frames(1).shape[1:]), np.nan, np.float32)
    scene = np.concatenate([frames(50, 2), broken, 50 * frames(2, 3)])
    for name in ("a", "b"):
        _, counters = drive(path, scene, tmp_path / f"{name}.jsonl")
    kept = read_kept([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])
    assert (kept.frames, kept.broken, kept.flagged) == (106, 2, 2 * counters["alarms"])
    with pytest.raises(CalibrationError, match="expected runs without faults, got 2 frames of 106"):
        Monitor.load(path, network()).recalibrate(kept)


def test_what_was_rotated_away_is_counted_neither_as_clean_nor_as_flagged(path, tmp_path):
    log = tmp_path / "e.jsonl"
    scene = np.concatenate([50 * frames(5, 3), frames(60, 2)])
    verdicts, _ = drive(path, scene, log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    cut = [i for i, line in enumerate(lines) if line["type"] == "clean"][20]
    header = [line for line in lines if line["type"] == "header"][-1] | {"seq": lines[cut]["seq"] - 1}
    log.write_text("".join(json.dumps(line) + "\n" for line in [header, *lines[cut:]]))
    kept = read_kept(log)
    last = [i for i, v in enumerate(verdicts) if v.status < Status.ALARM][20]
    assert len(kept.scores) == kept.clean == sum(v.status < Status.ALARM for v in verdicts[last:])
    assert kept.flagged == sum(v.status == Status.ALARM for v in verdicts[last:])


def test_streams_count_for_themselves_and_add_up(path, tmp_path):
    with (
        EventLog(tmp_path / "e.jsonl", keep_clean=1, thumbnails=0) as log,
        Guard.load(path, network(), log=log, streams=("left", "right")) as guard,
    ):
        own = [guard(frame, stream=name)[1] for frame in frames(40, 2) for name in ("left", "right")]
    kept = read_kept(tmp_path / "e.jsonl")
    clean = sum(verdict.status < Status.ALARM for verdict in own)
    assert (kept.clean, kept.flagged, kept.frames) == (clean, 80 - clean, 80)


def test_frames_of_other_columns_do_not_mix(path, tmp_path):
    drive(path, frames(30, 2), tmp_path / "a.jsonl")
    other = Monitor(network(), {"r": [SingleRange(), Mahalanobis()]}, logic=Sum())
    other.profile([frames(600)], minimum_per_class=0)
    other.calibrate([frames(600, 1)], RATE)
    with EventLog(tmp_path / "b.jsonl", keep_clean=1, thumbnails=0) as log, Guard(other, log=log) as guard:
        for frame in frames(30, 2):
            guard(frame)
    with pytest.raises(ValueError, match="expected frames of one profile, got some of 1 and 2 columns"):
        read_kept([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])


def test_a_log_without_its_lines_of_high_scores_lowers_no_threshold(path, tmp_path):
    drive(path, frames(200, 2), tmp_path / "e.jsonl")
    lines = (tmp_path / "e.jsonl").read_text().splitlines(keepends=True)
    scores = [record["score"] for line in lines if (record := json.loads(line))["type"] == "clean"]
    below = [line for line in lines if (one := json.loads(line))["type"] != "clean" or one["score"] < np.median(scores)]
    (tmp_path / "e.jsonl").write_text("".join(below))
    with pytest.raises(ValueError, match=r"got a run in which some are missing, .* give all files of the log"):
        read_kept(tmp_path / "e.jsonl")
    assert len(read_kept(tmp_path / "e.jsonl", salvage=True).scores) == len(scores) // 2
    (tmp_path / "e.jsonl").write_text("".join(lines[: len(lines) // 2]))  # cut short: what is there is whole
    assert 0 < len(read_kept(tmp_path / "e.jsonl").scores) < len(scores)
