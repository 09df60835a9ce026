"""A drive read from its log: rotated, cut, restarted, and what it makes of broken files."""

from __future__ import annotations

import re
import shutil

import pytest

from outrider.monitor import Status
from outrider.runtime.log.events import Summary
from outrider.runtime.report import drive as drive_module
from outrider.runtime.report import drive_statistics, read_drive

from .logs import RUN, SECOND, START, WALL, counted, event, header, write


def test_rotated_files_come_with_their_log_and_files_may_be_given_twice(tmp_path):
    rounds = [[header(part=part), event(part, Status.ALARM, frame=part)] for part in range(3)]
    for part, name in enumerate(("events.1.jsonl", "events.2.jsonl", "events.jsonl")):
        write(tmp_path / name, rounds[part], first=2 * part)
    found = read_drive([tmp_path / "events.jsonl"])
    assert [path.name for path in found.files] == ["events.1.jsonl", "events.2.jsonl", "events.jsonl"]
    assert [one.frame for one in found.runs[0].events] == [0, 1, 2]
    assert found.problems == []
    shutil.copy(tmp_path / "events.1.jsonl", tmp_path / "copy.jsonl")
    again = read_drive(reversed([*found.files, tmp_path / "copy.jsonl"]))
    assert [one.frame for one in again.runs[0].events] == [0, 1, 2]
    (tmp_path / "events.2.jsonl").unlink()
    assert read_drive([tmp_path / "events.jsonl"]).problems == ["run aaaaaaaa: lines 2 to 3 missing"]
    (tmp_path / "events.1.jsonl").unlink()
    assert read_drive([tmp_path / "events.jsonl"]).problems == ["run aaaaaaaa: lines 0 to 3 rotated away or not given"]


def test_files_of_other_logs_are_none_of_the_drive(tmp_path):
    write(
        tmp_path / "events.20260101.jsonl", [header("b" * 32, aside="events.20260101.1.jsonl"), event(1, Status.ALARM)]
    )
    write(tmp_path / "events.3.jsonl", [header("c" * 32, part=1), event(1, Status.ALARM)])
    (tmp_path / "events.4.jsonl").write_text("notes\n")
    path = write(tmp_path / "events.jsonl", [header(), event(2, Status.ALARM)])
    found = read_drive([path])
    assert (found.files, [run.header.run for run in found.runs]) == ([path], [RUN])


def rotate(folder, parts):
    """The log as it stands after so many parts, each of two lines; the newest three are kept."""
    for file in folder.glob("events*.jsonl"):
        file.unlink()
    for part in range(max(0, parts - 3), parts):
        name = "events.jsonl" if part == parts - 1 else f"events.{part + 1}.jsonl"
        write(folder / name, [header(part=part), event(part, Status.ALARM, frame=part)], first=2 * part)


@pytest.mark.parametrize("moment", range(4))
def test_a_log_may_be_rotated_while_it_is_read(tmp_path, monkeypatch, moment):
    """After so many files that were read, the log goes on by two parts, and the older ones go away."""
    rotate(tmp_path, 3)
    reads = []

    def read_records(file, **options):
        if len(reads) == moment:
            rotate(tmp_path, 5)
        reads.append(file)
        return read_really(file, **options)

    read_really = drive_module.read_records
    monkeypatch.setattr(drive_module, "read_records", read_records)
    found = read_drive([tmp_path / "events.jsonl"])
    seen = [one.frame for one in found.runs[0].events]
    assert seen == list(range(seen[0], seen[-1] + 1))
    assert [problem for problem in found.problems if "missing" in problem] == []
    assert 2 in seen


def test_between_two_files_of_a_log_its_older_ones_are_read(tmp_path):
    rotate(tmp_path, 3)
    (tmp_path / "events.jsonl").unlink()
    found = read_drive([tmp_path / "events.jsonl"])
    assert [one.frame for one in found.runs[0].events] == [0, 1]
    with pytest.raises(FileNotFoundError, match=r"nothing.jsonl"):
        read_drive([tmp_path / "nothing.jsonl"])
    with pytest.raises(FileNotFoundError, match=r"nowhere/events.jsonl"):
        read_drive([tmp_path / "nowhere" / "events.jsonl"])


def test_the_last_header_of_a_run_holds(tmp_path):
    first = header(network="", profile="", false_alarm_rate=None, repaired_bytes=9)
    path = write(tmp_path / "events.jsonl", [first, header(repaired_bytes=9), event(1, Status.ALARM), header(part=1)])
    found = read_drive([path])
    assert (found.runs[0].header.network, found.runs[0].header.part) == ("n" * 64, 1)
    assert [problem.split(",")[0] for problem in found.problems] == ["run aaaaaaaa: a line of 9 bytes"]


SILENCE = {"kind": "silence", "frame": 50}


SHARES = [
    # The end of a silence is written down.
    (
        [event(5, Status.STALE, **SILENCE), event(9, Status.OK, Status.STALE, frame=51), counted(10, 60)],
        {"ok": 6, "stale": 4},
    ),
    # It is not: the summaries show how long no frame came, the next one that frames came again.
    ([event(5, Status.STALE, **SILENCE), counted(6, 50), counted(7, 50), counted(10, 99)], {"ok": 8, "stale": 2}),
    ([event(5, Status.STALE, **SILENCE), counted(10, 99)], {"ok": 10}),
    ([event(5, Status.STALE, **SILENCE), counted(7, 50), counted(10, 50)], {"ok": 5, "stale": 5}),
    ([event(5, Status.STALE, **SILENCE)], {"ok": 5}),
    # Nor this one, but the next event tells of the status before it.
    (
        [event(5, Status.STALE, **SILENCE), counted(6, 50), event(9, Status.ALARM, frame=60), counted(10, 90)],
        {"ok": 8, "stale": 1, "alarm": 1},
    ),
    # A silence after which the loop is not clear at once.
    (
        [
            event(2, Status.ALARM, frame=20), event(5, Status.STALE, Status.ALARM, **SILENCE),
            event(6, Status.ALARM, Status.STALE, frame=51), event(8, Status.OK, Status.ALARM, frame=70),
            counted(10, 90),
        ],
        {"ok": 4, "alarm": 5, "stale": 1},
    ),
    # Several events of one frame.
    (
        [event(5, Status.ALARM, frame=50, kind="drift"), event(5, Status.ALARM, frame=50), counted(10, 90)],
        {"ok": 5, "alarm": 5},
    ),
    # The end of an alarm was dropped.
    (
        [
            event(2, Status.ALARM, frame=20), event(3, Status.ALARM, Status.ALARM, frame=30, kind="alarm"),
            event(8, Status.FAULT, frame=80), counted(10, 90),
        ],
        {"ok": 7, "alarm": 1, "fault": 2},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("records", "shares"), SHARES)
def test_a_status_lasts_as_long_as_the_log_shows_it(tmp_path, records, shares):
    numbers = drive_statistics(read_drive([write(tmp_path / "events.jsonl", [header(), *records])]))
    assert {name: seconds for name, seconds in numbers["seconds_by_status"].items() if seconds} == pytest.approx(shares)


def test_a_cut_last_line_is_named_and_a_broken_one_refused_unless_salvaged(drive):
    whole = drive.read_bytes()
    drive.write_bytes(whole[:-20])
    (problem,) = read_drive([drive]).problems
    assert re.search(r"events.jsonl:\d+: the last line is cut off after \d+ bytes and left out", problem)
    lines = whole.splitlines(keepends=True)
    drive.write_bytes(b"".join([*lines[:3], b"rubbish\n", *lines[4:]]))
    with pytest.raises(ValueError, match=r"events.jsonl:4: expected a line of an event log, got "):
        read_drive([drive])
    problems = read_drive([drive], salvage=True).problems
    assert [problem.split(": ")[1][:8] for problem in problems] == ["expected", "line 3 m"]


def test_a_log_without_a_header_is_refused(tmp_path):
    path = write(tmp_path / "events.jsonl", [event(1, Status.ALARM), header()])
    with pytest.raises(ValueError, match=r"events.jsonl:1: expected the header of an event log, got another line"):
        read_drive([path])
    assert [problem.split(";")[-1] for problem in read_drive([path], salvage=True).problems] == [
        " the lines before the first header are left out",
        "run aaaaaaaa: line 0 rotated away or not given",
    ]
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"events.jsonl: expected an event log, got no line of one"):
        read_drive([path])


def test_a_silence_in_a_log_of_before_is_blind_time(tmp_path):
    values = {"counters": {"frames": 60}}
    end = Summary(WALL + 30 * SECOND, START + 30 * SECOND, values)
    silence = event(10, Status.STALE, frame=30, kind="silence")._replace(latency_us=2e6)
    back = event(16, Status.OK, Status.STALE, frame=31)
    (run,) = read_drive([write(tmp_path / "e.jsonl", [header(), silence, back, end])]).runs
    assert run.gaps() == [(8, 16)]
    assert run.sight == (30, 8)


def test_the_time_after_the_last_frame_is_blind_where_the_last_summary_says_so(tmp_path):
    values = {"counters": {"frames": 60}, "watched_ns": 20 * SECOND, "blind_ns": 5 * SECOND}
    end = Summary(WALL + 30 * SECOND, START + 30 * SECOND, values)
    (run,) = read_drive([write(tmp_path / "e.jsonl", [header(), end])]).runs
    assert run.gaps() == [(25, 30)]
    assert run.sight == (20, 5)
    run.last.values["blind_ns"] = "much"
    assert (run.gaps(), run.sight) == ([], (30, 0))
