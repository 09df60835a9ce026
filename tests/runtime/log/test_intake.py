"""What threads hand over is written or counted, also while the log closes."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from outrider.runtime.log.events import Clean, Dropped
from outrider.runtime.log.log import EventLog
from outrider.runtime.loop.metrics import Metrics

from .logs import WRITE, event, frames, full, records, until


def test_several_threads_may_put(path):
    with EventLog(path, capacity=10_000) as log:
        threads = [
            threading.Thread(target=lambda k=k: [log.put(event(1000 * k + i)) for i in range(300)]) for k in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert log.flush()
    assert sorted(frames(path)) == sorted(1000 * k + i for k in range(4) for i in range(300))


def test_an_event_that_comes_as_the_log_closes_is_written_or_counted(path):
    """`put` finds the log open, and is held up until it is closed."""
    log = EventLog(path)
    log.put(event(0))
    assert log.flush()
    there, go, answers = threading.Event(), threading.Event(), []

    class Slow(deque):
        def append(self, item):
            there.set()
            assert go.wait(60)
            super().append(item)

    log._writer.queue = Slow(log._writer.queue)
    putting = threading.Thread(target=lambda: answers.append(log.put(event(1))))
    putting.start()
    assert there.wait(60)
    assert log.close()
    go.set()
    putting.join()
    assert answers == [False]
    assert (log.health().written, log.health().queued, log.health().dropped) == (1, 0, 1)
    assert frames(path) == [0]


def test_threads_that_put_while_the_log_closes_are_answered_truly(path):
    for round_ in range(8):
        log = EventLog(path.with_name(f"{round_}.jsonl"), capacity=10_000, thumbnails=0)
        answers = [[] for _ in range(4)]

        def put(place, log=log, answers=answers):
            answers[place] = [log.put(event(place)) for _ in range(1000)]

        threads = [threading.Thread(target=put, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        assert log.close()
        for thread in threads:
            thread.join()
        found = frames(log.path)
        assert [found.count(place) for place in range(4)] == [answer.count(True) for answer in answers]
        assert log.health().dropped == sum(answer.count(False) for answer in answers)
        assert log.health().queued == 0


def test_what_is_dropped_reaches_the_counters_while_the_disk_fails(path, disk):
    first, second = Metrics(), Metrics()
    log = EventLog(path, capacity=8)
    log.attach(first)
    assert log.flush()
    disk.write = full
    taken = [log.put(event(frame)) for frame in range(100)]
    assert first.counters.dropped_events == taken.count(False) >= 80
    disk.write = WRITE
    assert log.flush()
    assert log.close()
    with EventLog(path, capacity=8) as log:
        log.attach(first)
        log.put(None)
        assert log.flush()
        log.detach(first)
        log.attach(second)
        log.put(None)
        assert log.flush()
        assert (first.counters.dropped_events, second.counters.dropped_events) == (1, 1)
    assert [(record.count, record.total) for record in records(path, Dropped)][-2:] == [(1, 1), (1, 1)]


def test_clean_frames_give_way_to_events(path, monkeypatch):
    clean = Clean(1, 2, 3, 0, 0.5, 1.0, np.ones(2, np.float32), 4, 0)
    with EventLog(path, capacity=10, thumbnails=0) as log:
        log.put(event(0))
        assert log.flush()
        monkeypatch.setattr("os.write", full)
        log.put(event(1))
        until(lambda: not log.health().ok and not log._writer.queue)  # taken, and it cannot be written
        taken = [log.clean(clean) for _ in range(8)]
        assert taken == [True] * 5 + [False] * 3
        assert all(log.put(event(2 + i)) for i in range(5))
        assert log.health().dropped == 0
        monkeypatch.setattr("os.write", WRITE)
    assert frames(path) == list(range(7))
    assert len(records(path, Clean)) == 5
