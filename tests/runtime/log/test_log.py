"""The event log against full, slow and vanishing disks, crashes and clocks: nothing acknowledged is lost."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import OutriderWarning, Status
from outrider.monitor.files import file_sha256
from outrider.monitor.neurons import Neurons
from outrider.runtime.log import file as log_file
from outrider.runtime.log import writer as log_writer
from outrider.runtime.log.events import Dropped, Event, Header, Summary, encode, number
from outrider.runtime.log.file import older_files
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.reader import read_events, read_records
from outrider.runtime.log.thumbnails import list_thumbnails
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.report import drive_statistics, read_drive

WRITE, SYNC, TRUNCATE = os.write, os.fsync, os.ftruncate
EVENT = Event("alarm", 0, 10**18, 10**9, Status.ALARM, Status.OK, 1.5, 1.0, 0.35, 3, ("relu1:unit",), "high", 812.5)


def event(frame):
    return EVENT._replace(frame=frame, wall_ns=EVENT.wall_ns + frame, monotonic_ns=EVENT.monotonic_ns + frame)


def frames(path):
    """The frame ids in a log, the rotated files first."""
    files = [*(old for _, old in older_files(path)), path]
    return [found.frame for file in files for found in read_events(file)]


def records(path, kind):
    return [record for _, record in read_records(path) if isinstance(record, kind)]


def until(condition, seconds=60.0):
    """Wait for a condition that another thread brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """On a busy machine the writer may take longer than a user waits."""
    monkeypatch.setattr(EventLog.flush, "__defaults__", (60.0,))
    monkeypatch.setattr(EventLog.close, "__defaults__", (60.0,))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "events.jsonl"


@pytest.fixture
def disk(monkeypatch):
    """What `os.write` of a log does: swap `disk.write` and `disk.sync`."""

    functions = SimpleNamespace(write=WRITE, sync=SYNC)

    def write(file, data):
        return functions.write(file, data)

    def sync(file):
        return functions.sync(file)

    monkeypatch.setattr(log_file.os, "write", write)
    monkeypatch.setattr(log_file.os, "fsync", sync)
    monkeypatch.setattr(log_writer, "_RETRY_SECONDS", (0.005, 0.02))
    return functions


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


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


def test_files_are_rotated_without_losing_a_line(path):
    with EventLog(path, max_bytes=4096, keep=100) as log:
        for frame in range(200):
            assert log.put(event(frame))
        assert log.flush()
    files = [*(old for _, old in older_files(path)), path]
    assert len(files) > 10
    assert all(file.stat().st_size <= 4096 for file in files)
    assert frames(path) == list(range(200))
    read = [list(read_records(file)) for file in files]
    assert [lines[0][1].part for lines in read] == list(range(len(files)))
    assert [seq for lines in read for seq, _ in lines] == list(range(200 + len(files)))


def test_only_so_many_older_files_are_kept(path):
    with EventLog(path, max_bytes=4096, keep=2) as log:
        for frame in range(200):
            log.put(event(frame))
        assert log.flush()
    numbers = [number for number, _ in older_files(path)]
    assert len(numbers) == 2
    assert numbers[1] == numbers[0] + 1
    assert frames(path) == list(range(frames(path)[0], 200))


def test_files_of_others_with_names_like_older_ones_stay(path):
    """Logs of single days, a live log of another writer, notes and copies: none of them is this log's to remove."""
    kept = {}
    for name in ("events.20260101.jsonl", "events.20261120.jsonl", "events.7.jsonl"):
        with EventLog(path.with_name(name)) as other:
            other.put(event(1))
    path.with_name("events.2.jsonl").write_text("notes\n")
    path.with_name("events.4.jsonl").mkdir()
    os.mkfifo(path.with_name("events.5.jsonl"))
    kept = {file.name: file.is_file() and file.read_bytes() for file in path.parent.glob("events.*.jsonl")}
    with EventLog(path.with_name("events.1.jsonl")) as live, EventLog(path, max_bytes=4096, keep=0) as log:
        live.put(event(7))
        assert live.flush()
        for frame in range(100):
            log.put(event(frame))
        assert log.flush()
        assert older_files(path) == []
        live.put(event(8))
        assert live.flush()
        assert live.health().ok
    assert frames(path.with_name("events.1.jsonl")) == [7, 8]
    kept_now = {name: path.with_name(name).is_file() and path.with_name(name).read_bytes() for name in kept}
    assert kept_now == kept


def test_a_copy_of_the_log_is_none_of_its_older_files(path):
    with EventLog(path, max_bytes=4096, keep=100) as log:
        for frame in range(100):
            log.put(event(frame))
    copy = path.with_name("events.20260101.jsonl")
    shutil.copy(path, copy)
    with EventLog(path, max_bytes=4096, keep=2) as log:
        for frame in range(100, 200):
            log.put(event(frame))
    assert copy.exists()
    numbers = [number for number, _ in older_files(path)]
    assert numbers[1] == numbers[0] + 1 < 100
    assert frames(path) == list(range(frames(path)[0], 200))


def test_a_name_taken_meanwhile_is_left_to_its_owner(path):
    with EventLog(path, max_bytes=4096, keep=0) as log:
        assert log.flush()
        path.with_name("events.1.jsonl").write_text("notes\n")
        for frame in range(100):
            log.put(event(frame))
    assert path.with_name("events.1.jsonl").read_text() == "notes\n"
    assert log.health().failures == 0


def test_an_older_file_that_stays_keeps_none_of_the_others(path, monkeypatch):
    unlink = log_file.Path.unlink

    def refuse(file, **options):
        if file.name == "events.1.jsonl":
            raise PermissionError(errno.EACCES, "no removing today")
        unlink(file, **options)

    monkeypatch.setattr(log_file.Path, "unlink", refuse)
    with EventLog(path, max_bytes=4096, keep=2) as log:
        for frame in range(200):
            log.put(event(frame))
    assert len(older_files(path)) == 3
    assert "no removing today" in log.health().error
    assert log.health().dropped == 0


def test_an_older_file_is_not_opened_as_a_log(path):
    with EventLog(path, max_bytes=4096) as log:
        for frame in range(30):
            log.put(event(frame))
    _, older = older_files(path)[0]
    content = older.read_bytes()
    with pytest.raises(ValueError, match=r"events.1.jsonl: expected an event log or a free name, got an older file"):
        EventLog(older)
    assert older.read_bytes() == content


def test_a_restart_goes_on_behind_the_last_number(path):
    for start in (0, 100):
        with EventLog(path, max_bytes=4096, keep=100) as log:
            for frame in range(start, start + 100):
                log.put(event(frame))
    assert frames(path) == list(range(200))
    assert log.health().failures == 0


def test_a_rotation_that_fails_goes_on_in_the_same_file(path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "no renaming today")

    monkeypatch.setattr(log_file.Path, "rename", refuse)
    with EventLog(path, max_bytes=4096) as log:
        for frame in range(100):
            log.put(event(frame))
        assert log.flush()
        health = log.health()
    assert frames(path) == list(range(100))
    assert health.dropped == 0
    assert health.failures >= 1
    assert "no renaming today" in health.error


def test_a_new_file_that_cannot_be_opened_leaves_the_old_one(path, monkeypatch):
    log = EventLog(path, max_bytes=4096)
    assert log.flush()

    def refuse(_):
        raise PermissionError(errno.EACCES, "no new file")

    monkeypatch.setattr(log_file, "_open", refuse)
    for frame in range(100):
        log.put(event(frame))
    assert log.flush()
    assert log.close()
    assert older_files(path) == []
    assert frames(path) == list(range(100))


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


def test_a_clock_that_steps_back_changes_nothing(path):
    steps = [event(frame)._replace(wall_ns=10**18 - frame * 3600 * 10**9) for frame in range(20)]
    with EventLog(path) as log:
        assert all(map(log.put, steps))
    assert list(read_events(path)) == steps
    assert log.health().failures == 0


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


def test_a_second_writer_is_refused_until_the_first_is_done(path):
    with EventLog(path), pytest.raises(BlockingIOError, match="expected to be the only writer of this event log"):
        EventLog(path)
    EventLog(path).close()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks_is_not_taken_for_another_writer(path, monkeypatch, code):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="expected a file system that can lock an event log, got: ") as error:
        EventLog(path)
    assert (error.value.errno, error.value.filename) == (code, str(path))
    assert not isinstance(error.value, BlockingIOError)


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not synced there")
def test_the_disk_knows_the_names_of_new_files_and_folders(tmp_path, disk):
    synced = []

    def sync(file):
        synced.append(os.fstat(file).st_ino)
        return SYNC(file)

    disk.sync = sync
    path = tmp_path / "new" / "newer" / "events.jsonl"
    with EventLog(path, max_bytes=4096) as log:
        log.put(event(0))
        assert log.flush()
        assert log.health().synced == 1
        assert synced[0] == path.stat().st_ino
        assert set(synced[1:4]) == {folder.stat().st_ino for folder in (path.parent, tmp_path / "new", tmp_path)}
        seen = len(synced)
        for frame in range(1, 20):
            log.put(event(frame))
        assert log.flush()
        assert path.parent.stat().st_ino in synced[seen:]


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not synced there")
@pytest.mark.parametrize(("code", "fine"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_folder_that_cannot_be_synced_holds_no_events_back_but_a_broken_one_does(path, disk, code, fine):
    def sync(file):
        if os.path.isdir(f"/proc/self/fd/{file}"):  # noqa: PTH112
            raise OSError(code, os.strerror(code))
        return SYNC(file)

    if not os.path.exists("/proc/self/fd"):  # noqa: PTH110
        pytest.skip("how to tell a folder by its descriptor is known of Linux only")
    disk.sync = sync
    log = EventLog(path)
    log.put(event(0))
    assert log.flush(60 if fine else 0.1) == fine
    disk.sync = SYNC
    assert log.close() == fine


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file") as error:
        EventLog(tmp_path / "file" / "events.jsonl")
    assert error.value.filename is not None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is allowed to root")
def test_a_folder_without_permission_is_refused_at_once(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=r"events.jsonl"):
        EventLog(tmp_path / "events.jsonl")


def test_something_other_than_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "folder"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(OSError, match="expected a file or a free name for the event log, got something else"):
            EventLog(tmp_path / name)


@pytest.mark.parametrize("content", [b"root:x:0:0\n", b"some text", b'{"seq":0,"type":"event"}\n', b"\n"])
def test_a_file_of_another_kind_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="expected an event log or a free name, got a file of another kind"):
        EventLog(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "setting", [{"capacity": 0}, {"max_bytes": 100}, {"keep": -1}, {"thumbnails": -1}, {"false_alarm_rate": 1.0}]
)
def test_a_setting_out_of_range_is_refused(path, setting):
    with pytest.raises(ValueError, match="expected "):
        EventLog(path, **setting)
    assert not path.exists()


def test_a_restart_repairs_a_line_cut_anywhere(path):
    with EventLog(path) as log:
        log.put(event(0))
    whole, last = path.read_bytes(), number(encode(event(1)), 2)
    for cut in [*range(1, len(last), 37), len(last) - 1]:
        path.write_bytes(whole + last[:cut])
        with EventLog(path) as log:
            log.put(event(2))
        assert frames(path) == [0, 2]
        headers = records(path, Header)
        assert [header.repaired_bytes for header in headers] == [0, cut]
        assert headers[1].run == log.run


@pytest.mark.parametrize("torn", [b"{", b'{"seq":0,"type":"head', b"\0" * 5000])
def test_a_file_torn_in_its_first_line_begins_anew(path, torn):
    path.write_bytes(torn)
    with EventLog(path) as log:
        log.put(event(0))
    assert frames(path) == [0]
    assert records(path, Header)[0].repaired_bytes == len(torn)


def test_a_file_removed_by_others_is_made_again(path):
    with EventLog(path) as log:
        log.put(event(0))
        assert log.flush()
        path.unlink()
        log.put(event(1))
        assert log.flush()
        assert "removed or shortened by others" in log.health().error
    assert records(path, Header)[0].part == 1
    assert frames(path) == [1]


def test_another_file_in_its_place_is_left_alone(path, disk):
    log = EventLog(path)
    assert log.flush()
    path.unlink()
    path.write_text("not ours\n")
    log.put(event(0))
    until(lambda: log.health().failures > 2)
    assert "expected an event log or a free name" in log.health().error
    assert path.read_text() == "not ours\n"
    path.unlink()
    assert log.flush()
    assert log.close()
    assert frames(path) == [0]


def test_a_file_shortened_by_others_stays_readable(path):
    with EventLog(path) as log:
        log.put(event(0))
        log.put(event(1))
        assert log.flush()
        os.truncate(path, path.stat().st_size - 10)
        log.put(event(2))
        assert log.flush()
        assert "removed or shortened by others" in log.health().error
    assert frames(path) == [0, 2]
    assert [header.part for header in records(path, Header)] == [0, 1]


EVENTS = """
import sys
from outrider.monitor import Status
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.events import Event

event = Event("alarm", 0, 10**18, 10**9, Status.ALARM, Status.OK, 1.5, 1.0, .35, 3, ("relu1",), "r" * 300, 812.5)
"""
WRITER = """
log = EventLog(sys.argv[1], max_bytes=20_000, keep=1000)
frame = int(sys.argv[2])
while True:
    if log.put(event._replace(frame=frame)):
        frame += 1
    if frame % 7 == 0:
        log.flush(0.05)
        print(int(sys.argv[2]) + log.health().written, flush=True)
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, resource.RLIM_INFINITY))
log = EventLog(sys.argv[1])
taken = 0
while not log.health().failures:
    taken += log.put(event._replace(frame=taken))
print(log.health().error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(taken)
"""


INTERRUPTED = """
import os, signal, threading, time
from outrider.runtime.log import file, writer as log_writer

write = os.write
file.os.write = lambda file, data: (time.sleep(0.02), write(file, data))[1]
log_writer._LINES_AT_ONCE = 2  # a hundred writes, two seconds: the interrupt is well within
log = EventLog(sys.argv[1])
EventLog.close.__defaults__ = (0.3,)
taken = sum(log.put(event._replace(frame=frame)) for frame in range(200))
threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    with log:
        pass
except KeyboardInterrupt:
    sys.stdout.write(f"{taken} {log.health().written}")
"""
FORKED = """
import os, threading
from outrider.runtime.loop.metrics import Metrics

metrics = Metrics()
log = EventLog(sys.argv[1], thumbnail_seconds=0)
log.attach(metrics)
log.put(event)
log.flush()
held = threading.Thread(target=lambda: (log._writer._dropping.acquire(), log._writer.attaching.acquire(), log._writer.wake._cond.acquire()))
held.start()
held.join()
child = os.fork()
if not child:
    log.put(event)
    health = log.health()
    log.detach(metrics)
    said = log.put(event), log.thumbnail(0, [[1]]), log.flush(), log.close()
    sys.stdout.write(f"{said} {health.ok} {health.dropped} {health.queued} {metrics.counters.dropped_events}")
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)
"""
ORPHAN = """
import os, signal, time

log = EventLog(sys.argv[1])
if not os.fork():
    sys.stdout.write("forked\\n")
    sys.stdout.flush()
    time.sleep(60)
    os._exit(0)
time.sleep(60)
"""
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked there")


def test_an_interrupted_close_is_ended_with_the_interpreter(path):
    code = [sys.executable, "-c", EVENTS + INTERRUPTED, str(path)]
    said = subprocess.run(code, capture_output=True, text=True, check=True).stdout
    taken, written = map(int, said.split())
    assert written < taken == 200
    assert frames(path) == list(range(200))


@FORKS
def test_a_forked_child_takes_nothing_and_says_so(path):
    code = [sys.executable, "-W", "ignore", "-c", EVENTS + FORKED, str(path)]
    said = subprocess.run(code, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said == "(False, False, False, False) False 1 0 1"
    assert frames(path) == [0]


@FORKS
def test_a_forked_child_that_outlives_the_writer_does_not_hold_its_log(path):
    code = [sys.executable, "-W", "ignore", "-c", EVENTS + ORPHAN, str(path)]
    with subprocess.Popen(code, stdout=subprocess.PIPE, text=True, start_new_session=True) as writer:
        try:
            assert writer.stdout.readline() == "forked\n"
            with pytest.raises(BlockingIOError, match="expected to be the only writer"):
                EventLog(path)
            writer.send_signal(signal.SIGKILL)
            writer.wait()
            EventLog(path).close()
        finally:
            os.killpg(writer.pid, signal.SIGKILL)


def test_nothing_acknowledged_is_lost_to_kill_9(path):
    start = 0
    for round_ in range(2):
        writer = subprocess.Popen(
            [sys.executable, "-c", EVENTS + WRITER, str(path), str(start)], stdout=subprocess.PIPE, text=True
        )
        with writer:
            for _ in range(5 + 60 * round_):
                acknowledged = int(writer.stdout.readline())
            with pytest.raises(BlockingIOError, match="expected to be the only writer"):
                EventLog(path)
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    acknowledged = int(line)
        EventLog(path).close()
        found = frames(path)
        assert found == list(range(len(found)))
        assert len(found) >= acknowledged > start
        start = len(found)


def test_the_kernel_refuses_and_the_interpreter_ends_without_a_close(path):
    """A limit on the size of files stands for a full disk; when it is lifted, what was accepted is still there."""
    code = [sys.executable, "-c", EVENTS + LIMITED, str(path)]
    error, taken = subprocess.run(code, capture_output=True, text=True, check=True).stdout.splitlines()
    assert error == "OSError: [Errno 27] File too large"
    assert int(taken) > 10
    assert frames(path) == list(range(int(taken)))


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
        log.attach(first, network="n", profile="p", false_alarm_rate=0.01)
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


def test_the_hash_of_a_file(path):
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_events_that_come_soon_after_others_are_written_together(path, monkeypatch):
    monkeypatch.setattr(log_writer, "_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(log_writer, "_GATHER_SECONDS", 1.5)
    with EventLog(path) as log:
        time.sleep(1.6)  # the header is written; a calm follows
        log.put(event(0))
        until(lambda: log.health().written == 1)
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


def test_an_event_whose_neurons_cannot_be_named_is_kept_without_them(path):
    def fail():
        raise MemoryError("no room for the parts")

    with EventLog(path) as log:
        assert log.put(event(0)._replace(neurons=Neurons([fail])))
        assert log.flush()
        assert log.health().error == "MemoryError: no room for the parts"
        assert log.health().dropped == 0
    assert [(found.frame, found.neurons) for found in read_events(path)] == [(0, ())]


def test_in_the_loop_nothing_is_imported(path):
    """What Pillow and others load on first use would hold up the frame of the first alarm."""
    code = f"""
import sys, time
import numpy as np
from outrider.monitor import Status
from outrider.runtime import EventLog
from outrider.runtime.log.events import Event
from outrider.runtime.loop.metrics import Metrics
metrics = Metrics()
with EventLog({str(path)!r}) as log:
    log.attach(metrics, 0.2)
    assert log.flush()
    before = set(sys.modules)
    assert log.thumbnail(1, np.zeros((100, 100, 3), np.float32))
    assert log.put(Event("alarm", 1, 1, 1, Status.ALARM, Status.OK, 2.0, 1.0, 0.2, 3, ("a",), "why", 5.0, ("a[1]",)))
    end = time.monotonic() + 60
    while not list(log.path.with_name("events.frames").glob("*.*")) or log.health().written < 1:
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.5)  # a summary too
print(sorted(set(sys.modules) - before))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


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
