"""The writer against full, slow and failing disks: nothing acknowledged is lost, and nobody waits."""

from __future__ import annotations

import errno
import os
import threading
import time

import numpy as np
import pytest

from outrider.monitor import OutriderWarning, Status
from outrider.monitor.judging.neurons import Neurons
from outrider.runtime.log import file as log_file
from outrider.runtime.log import writer as log_writer
from outrider.runtime.log.events import Dropped, Summary
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.reader import read_events
from outrider.runtime.loop.metrics import Metrics

from .logs import SYNC, WRITE, event, frames, full, records, until

TRUNCATE = os.ftruncate


def test_flushes_that_fail_take_no_place_in_the_queue(path, disk):
    log = EventLog(path, capacity=20)
    assert log.flush()
    disk.write = full
    for frame in range(20):
        assert log.put(event(frame))
        assert not log.flush(0.001)
    disk.write = WRITE
    assert log.flush()
    assert log.close()
    assert frames(path) == list(range(20))


def test_a_full_disk_reaches_nobody_and_costs_nothing_that_fits_the_queue(path, disk):
    log = EventLog(path)
    assert log.flush()
    disk.write = full
    assert all(log.put(event(frame)) for frame in range(100))
    until(lambda: log.health().failures > 2)
    health = log.health()
    assert not health.ok
    assert health.error == "OSError: [Errno 28] No space left on device"
    assert (health.written, health.queued, health.dropped) == (0, 100, 0)
    assert not log.flush(0.05)
    disk.write = WRITE
    assert log.flush()
    assert log.health().ok
    assert log.close()
    assert frames(path) == list(range(100))


def test_a_disk_that_fills_in_mid_line_leaves_no_half_line(path, disk):
    log = EventLog(path)
    assert log.put(event(0))
    assert log.flush()

    def half(file, data):
        disk.write = full
        return WRITE(file, data[: len(data) // 2])

    disk.write = half
    log.put(event(1))
    until(lambda: log.health().failures > 1)
    assert [found.frame for found in read_events(path)] == [0]
    disk.write = WRITE
    assert log.flush()
    log.close()
    assert frames(path) == [0, 1]


def test_half_a_line_that_could_not_be_undone_is_undone_later(path, disk, monkeypatch):
    log = EventLog(path)
    assert log.flush()

    def half(file, data):
        disk.write = full
        return WRITE(file, data[: len(data) // 2])

    monkeypatch.setattr(log_file.os, "ftruncate", full)
    disk.write = half
    log.put(event(0))
    until(lambda: log.health().failures > 1)
    with pytest.warns(OutriderWarning, match="the last line is cut off after"):
        assert list(read_events(path)) == []
    monkeypatch.setattr(log_file.os, "ftruncate", TRUNCATE)
    disk.write = WRITE
    assert log.flush()
    log.close()
    assert frames(path) == [0]


def test_what_a_full_queue_drops_is_counted_in_the_log(path, disk):
    log = EventLog(path, capacity=10)
    assert log.flush()
    disk.write = full
    log.put(event(0))
    until(lambda: not log.health().ok)
    taken = [log.put(event(frame)) for frame in range(1, 40)]
    dropped = taken.count(False)
    assert dropped >= 20
    assert log.health().dropped == dropped
    disk.write = WRITE
    assert log.flush()
    assert log.close()
    assert sum(record.count for record in records(path, Dropped)) == dropped
    assert records(path, Dropped)[-1].total == dropped
    assert len(frames(path)) == 40 - dropped


def test_a_slow_disk_holds_nobody_up(path, disk):
    going, gate = threading.Event(), threading.Event()

    def slow(file, data):
        going.set()
        assert gate.wait(60)
        return WRITE(file, data)

    log = EventLog(path, capacity=16)
    assert log.flush()
    disk.write = slow
    log.put(event(0))
    assert going.wait(60)
    taken = sum(log.put(event(frame)) for frame in range(1, 1000))
    assert taken == 16
    assert not log.close(0.02)
    assert log.health().queued == 17
    gate.set()
    assert log.close()
    assert frames(path) == list(range(17))
    assert log.health().dropped == 1000 - 17
    assert records(path, Dropped)[-1].total == 1000 - 17


def test_close_on_a_full_disk_gives_up_and_counts(path, disk):
    log = EventLog(path)
    assert log.put(event(0))
    assert log.flush()
    disk.write = full
    for frame in range(1, 30):
        log.put(event(frame))
    assert not log.close()
    health = log.health()
    assert (health.written, health.queued, health.dropped, health.ok) == (1, 0, 29, False)
    assert frames(path) == [0]


def test_a_failed_sync_is_not_forgotten(path, disk):
    log = EventLog(path)
    assert log.flush()

    def fail(_):
        disk.sync = SYNC
        raise OSError(errno.EIO, "the disk is dying")

    disk.sync = fail
    log.put(event(0))
    assert not log.flush()
    log.put(event(1))
    until(lambda: log.health().synced == 1)
    health = log.health()
    assert (health.written, health.synced, health.failures) == (2, 1, 1)
    assert health.error == "OSError: [Errno 5] the disk is dying"
    assert not log.close()
    assert frames(path) == [0, 1]


def test_an_event_made_of_the_wrong_things_is_lost_alone(path):
    with EventLog(path) as log:
        for frame, wrong in enumerate([{"score": "high"}, {"layers": 5}, {"status": 99}, {"reason": None}, {}]):
            assert log.put(event(frame)._replace(**wrong))
        assert log.put(None)
        assert log.put(event(5)._replace(score=np.float32(2), frame=np.int64(5), prediction=np.int32(1)))
        assert log.flush()
        assert log.health().dropped == 5
        assert log.health().failures == 5
    assert frames(path) == [4, 5]
    assert records(path, Dropped)[-1].total == 5


def test_an_event_whose_neurons_cannot_be_named_is_kept_without_them(path):
    def fail():
        raise MemoryError("no room for the parts")

    with EventLog(path) as log:
        assert log.put(event(0)._replace(neurons=Neurons([fail])))
        assert log.flush()
        assert log.health().error == "MemoryError: no room for the parts"
        assert log.health().dropped == 0
    assert [(found.frame, found.neurons) for found in read_events(path)] == [(0, ())]


def test_events_that_come_soon_after_others_are_written_together(path, monkeypatch):
    monkeypatch.setattr(log_writer, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(log_writer, "_GATHER_SECONDS", 2)
    with EventLog(path) as log:
        time.sleep(2.1)  # the header is written; a calm follows
        log.put(event(0))
        until(lambda: log.health().synced == 1)
        time.sleep(0.1)  # the writer has looked for more
        for frame in range(1, 4):
            log.put(event(frame)._replace(status=Status.WARN))
        time.sleep(0.1)
        assert log.health().written == 1
        until(lambda: log.health().written == 4)
    assert frames(path) == [0, 1, 2, 3]


def test_a_turn_for_the_worse_and_a_queue_that_fills_wait_for_no_gathering(path, monkeypatch):
    monkeypatch.setattr(log_writer, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(log_writer, "_GATHER_SECONDS", 600)
    with EventLog(path, capacity=16) as log:
        log.put(event(0))
        until(lambda: log.health().written == 1)
        log.put(event(1)._replace(status=Status.WARN))
        log.put(event(2)._replace(status=Status.ALARM, before=Status.WARN))
        until(lambda: log.health().written == 3)
        log.put(event(3)._replace(status=Status.FAULT, before=Status.ALARM))
        until(lambda: log.health().written == 4)
        for frame in range(4, 9):
            assert log.put(event(frame)._replace(status=Status.OK, before=Status.WARN))
        until(lambda: log.health().written == 9)
    assert frames(path) == list(range(9))


def test_gathering_puts_off_no_sync_and_no_summary(path, monkeypatch):
    monkeypatch.setattr(log_writer, "_GATHER_SECONDS", 600)
    with EventLog(path, sync_seconds=0.2) as log:
        log.put(event(0))
        until(lambda: log.health().synced == 1)
        log.attach(Metrics(), 0.2)
        until(lambda: len(records(path, Summary)) >= 3)


def test_whoever_asks_for_the_disk_waits_for_no_gathering(path, monkeypatch):
    monkeypatch.setattr(log_writer, "_GATHER_SECONDS", 600)
    log = EventLog(path)
    for frame in range(3):
        log.put(event(frame))
        assert log.flush()
        assert log.health().synced == frame + 1
    log.put(event(3))
    assert log.close()
    assert frames(path) == [0, 1, 2, 3]


def test_a_sync_that_fails_before_a_rotation_is_not_forgotten(path, disk):
    with EventLog(path, max_bytes=4096, sync_seconds=600) as log:
        for frame in range(5):
            log.put(event(frame))
        until(lambda: log.health().written == 5)
        failures = iter([OSError(errno.EIO, "Input/output error")])

        def sync(file):
            for failure in failures:
                raise failure
            SYNC(file)

        disk.sync = sync
        for frame in range(5, 30):
            log.put(event(frame))
        assert not log.flush(), "what was written before may be gone"
        assert log.health().failures == 1


def test_one_flush_leaves_no_sync_for_each_line_behind(path, disk):
    syncs = []
    disk.sync = lambda file: (syncs.append(file), SYNC(file))
    with EventLog(path, sync_seconds=600) as log:
        log.put(event(0))
        assert log.flush()
        before = len(syncs)
        for frame in range(1, 101):
            log.put(event(frame))
        until(lambda: log.health().written == 101)
        assert len(syncs) == before
