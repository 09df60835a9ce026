"""The event log as a guard and a user call it."""

from __future__ import annotations

import itertools
import json
import time

import numpy as np
import pytest

from outrider.monitor import Status
from outrider.runtime.log.events import Header, Summary
from outrider.runtime.log.file import older_files
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.reader import read_events, read_records
from outrider.runtime.log.thumbnails import list_thumbnails
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.report import drive_statistics, read_drive

from .logs import event, frames, records, until


def test_what_was_put_is_written_in_order_under_a_header(path):
    with EventLog(path, network="n" * 64, profile="p" * 64, false_alarm_rate=0.01) as log:
        assert all(log.put(event(frame)) for frame in range(50))
        assert log.flush()
        health = log.health()
        assert (health.ok, health.written, health.synced, health.queued, health.dropped) == (True, 50, 50, 0, 0)
        assert "50 written, 0 dropped" in repr(log)
    assert frames(path) == list(range(50))
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["seq"] for line in lines] == list(range(51))
    assert (lines[0]["type"], lines[0]["format"], lines[0]["run"]) == ("header", "outrider-events/1", log.run)
    assert {(line["network"], line["profile"]) for line in lines} == {("n" * 64, "p" * 64)}


def test_a_drive_without_events_leaves_a_header(path):
    with EventLog(path) as log:
        assert log.flush()
        assert log.run == records(path, Header)[0].run
    assert [type(record) for _, record in read_records(path)] == [Header]


def test_close_drains_and_says_so(path):
    log = EventLog(path)
    for frame in range(500):
        log.put(event(frame))
    assert log.close()
    assert log.close()
    assert not log.put(event(500))
    assert log.health().dropped == 1
    assert log.flush()
    assert frames(path) == list(range(500))


def test_a_clock_that_steps_back_changes_nothing(path):
    steps = [event(frame)._replace(wall_ns=10**18 - frame * 3600 * 10**9) for frame in range(20)]
    with EventLog(path) as log:
        assert all(map(log.put, steps))
    assert list(read_events(path)) == steps
    assert log.health().failures == 0


@pytest.mark.parametrize(
    "setting", [{"capacity": 0}, {"max_bytes": 100}, {"keep": -1}, {"thumbnails": -1}, {"false_alarm_rate": 1.0}]
)
def test_a_setting_out_of_range_is_refused(path, setting):
    with pytest.raises(ValueError, match="expected "):
        EventLog(path, **setting)
    assert not path.exists()


def test_summaries_come_by_themselves_and_at_the_end(path):
    metrics = Metrics(false_alarm_rate=0.01)
    with EventLog(path) as log:
        log.attach(metrics, 0.01)
        metrics.record(Status.OK, 0.5, 1.0, 100.0)
        until(lambda: path.exists() and len(records(path, Summary)) > 1)
        metrics.record(Status.ALARM, 1.5, 1.0, 100.0)
        with pytest.raises(ValueError, match="expected seconds above 0, got 0"):
            log.attach(metrics, 0)
    assert records(path, Summary)[-1].values["counters"]["frames"] == 2
    assert records(path, Summary)[-1].values["counters"]["alarms"] == 1


def test_the_first_summary_comes_after_a_second_whatever_the_pace(path):
    metrics = Metrics()
    with EventLog(path) as log:
        log.attach(metrics, 3600)
        metrics.record(Status.ALARM, 1.5, 1.0, 100.0)
        until(lambda: path.exists() and len(records(path, Summary)) == 1, 20)
        (first,) = records(path, Summary)
        assert first.monotonic_ns - records(path, Header)[0].started_monotonic_ns >= 0.9e9
        assert first.values["counters"]["alarms"] == 1
        assert log._writer.summary_at > time.monotonic() + 3000


def test_a_second_guard_waits_for_the_first_to_leave(path):
    first, second = Metrics(), Metrics()
    first.record(Status.ALARM, 1.5, 1.0, 100.0)
    second.record(Status.OK, 0.5, 1.0, 100.0)
    second.record(Status.OK, 0.5, 1.0, 100.0)
    with EventLog(path) as log:
        run = log.run
        log.attach(first, network="n", profile="p", false_alarm_rate=0.01, promise="of frames like these")
        with pytest.raises(ValueError, match="expected a log of its own for each guard, got one that another guard"):
            log.attach(second, network="m", profile="q", false_alarm_rate=0.02)
        log.detach(second)
        assert log.attached
        log.put(event(1))
        log.detach(first)
        assert not log.attached
        log.put(event(2))
        log.attach(second, network="m", profile="q", false_alarm_rate=0.02)
        assert log.run != run
        log.put(event(3))
    headers = records(path, Header)
    assert [head.promise for head in headers[-2:]] == ["of frames like these", ""]
    assert [(head.run, head.network, head.profile, head.false_alarm_rate) for head in headers[-2:]] == [
        (run, "n", "p", 0.01),
        (log.run, "m", "q", 0.02),
    ]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    told = [(line["frame"], line["network"], line["profile"]) for line in lines if line["type"] == "event"]
    assert told == [(1, "n", "p"), (2, "n", "p"), (3, "m", "q")]
    assert [summary.values["counters"]["frames"] for summary in records(path, Summary)] == [1, 2]
    numbers = drive_statistics(read_drive([path]))
    assert numbers["counts"]["frames"] == 3
    assert [one["run"] for one in numbers["unfinished"]] == [log.run]  # closed before its guard left
    assert numbers["rates"]["alarms"]["calibrated"] is None
    assert [run["false_alarm_rate"] for run in numbers["runs"]] == [0.01, 0.02]
    assert [(run["network"], run["frames"]) for run in numbers["runs"]] == [("n", 1), ("m", 2)]
    assert numbers["log"]["problems"] == []


def test_summaries_of_a_user_do_not_tell_whether_there_are_more_frames(path):
    with EventLog(path) as log:
        assert log.summary(Metrics())
    assert [summary.values["ended"] for summary in records(path, Summary)] == [None]
    assert drive_statistics(read_drive([path]))["unfinished"] == []


def test_a_guard_that_was_calibrated_anew_says_so_in_the_same_run(path):
    metrics = Metrics()
    with EventLog(path, max_bytes=4096) as log:
        log.attach(metrics, profile="p", false_alarm_rate=0.01)
        for frame in range(30):
            log.put(event(frame))
        assert log.flush()
        log.attach(metrics, profile="q", false_alarm_rate=0.02)
        log.attach(metrics, profile="q", false_alarm_rate=0.02)
        log.put(event(30))
    (run,) = read_drive([path]).runs
    assert (run.header.profile, run.header.false_alarm_rate) == ("q", 0.02)
    assert [event.frame for event in run.events] == list(range(31))
    heads = [head for file in (*(old for _, old in older_files(path)), path) for head in records(file, Header)]
    assert [profile for profile, _ in itertools.groupby(head.profile for head in heads if head.profile)] == ["p", "q"]
    assert json.loads(path.read_text().splitlines()[-2])["profile"] == "q"


def test_what_the_constructor_was_told_holds_for_every_guard(path):
    first, second = Metrics(), Metrics()
    with EventLog(path, network="mine", false_alarm_rate=0.5) as log:
        log.attach(first, network="n", profile="p", false_alarm_rate=0.01)
        log.detach(first)
        log.attach(second, network="m", profile="q", false_alarm_rate=0.02)
        with pytest.raises(ValueError, match="expected a false-alarm rate between 0 and 1"):
            log.attach(second, false_alarm_rate=2)
    header = records(path, Header)[-1]
    assert (header.network, header.profile, header.false_alarm_rate) == ("mine", "q", 0.5)


def test_a_guard_may_leave_a_closed_log_and_come_back_to_an_open_one(path):
    metrics = Metrics()
    with EventLog(path) as log:
        run = log.run
        for _ in range(2):
            log.attach(metrics)
            log.detach(metrics)
        assert log.run == run
        log.attach(metrics)
    log.detach(metrics)
    log.attach(Metrics())
    assert (log.health().queued, log.health().dropped) == (0, 0)
    assert log.close()
    assert [summary.values["ended"] for summary in records(path, Summary)] == [True, False, True, False, False]


def test_a_summary_can_be_handed_over(path):
    with EventLog(path) as log:
        assert log.summary(Metrics())
        assert not log.summary(None)
        assert "AttributeError" in log.health().error
    assert records(path, Summary)[0].values["latency_us"] == []


def test_broken_metrics_do_not_keep_events_from_the_disk(path):
    with EventLog(path) as log:
        log.attach(object(), 1e-6)
        log.put(event(0))
        assert log.flush()
        assert "AttributeError" in log.health().error
        log.put(None)
        assert log.flush()
        assert log.health().dropped == 1
    assert frames(path) == [0]


def test_thumbnails_are_kept_at_most_every_so_often(path):
    picture = np.random.default_rng(0).random((3, 40, 50), np.float32)
    with EventLog(path, thumbnails=3, thumbnail_seconds=3600) as log:
        assert log.thumbnail(7, picture)
        assert not log.thumbnail(8, picture)
    (kept,) = list_thumbnails(path.with_name("events.frames"))
    assert kept.name == f"{log.run}-0000000007.png"


def test_a_thumbnail_that_is_no_picture_reaches_nobody(path):
    with EventLog(path, thumbnail_seconds=0) as log:
        assert not log.thumbnail(0, np.zeros(10))
        assert log.health().error == "ValueError: expected a picture of 1, 3 or 4 channels, got shape (10,)"
        (path.with_name("events.frames")).write_text("in the way")
        assert log.thumbnail(1, np.zeros((4, 4)))
        until(lambda: log.health().failures == 2)
        assert log.put(event(0))
    assert frames(path) == [0]
    assert log.health().dropped == 0


def test_no_thumbnails_are_kept_when_none_are_wanted(path):
    with EventLog(path, thumbnails=0) as log:
        assert not log.thumbnail(0, np.zeros((4, 4)))
    assert not path.with_name("events.frames").exists()


def test_pictures_keep_the_distance_of_a_recording_and_some_are_always_kept(path):
    picture = np.zeros((4, 4))
    with EventLog(path, thumbnail_seconds=1.0) as log:
        taken = [log.thumbnail(at, picture, at * 10**8) for at in range(25)]
        assert np.flatnonzero(taken).tolist() == [0, 10, 20]
        assert log.thumbnail(25, picture, 25 * 10**8, always=True)
        assert log.thumbnail(26, picture, 0), "the recording began anew"
        assert not log.thumbnail(27, picture, 1)
    kept = [int(file.stem.split("-")[1]) for file in list_thumbnails(path.with_name("events.frames"))]
    assert sorted(kept) == [0, 10, 20, 25, 26]
