"""The file of a log: rotated, repaired, locked, and restored where others meddled with it."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import pytest

from outrider.runtime.log import file as log_file
from outrider.runtime.log.events import Header, encode, number
from outrider.runtime.log.file import older_files
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.reader import read_records

from .logs import SYNC, event, frames, records, until


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
