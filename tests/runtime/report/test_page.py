"""The page of a drive: whole, nothing of the log in its markup, and what the command says of it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace

import numpy as np
import pytest

from outrider.monitor import Status
from outrider.networks.packages import install_hint
from outrider.runtime.log.events import Event, Header
from outrider.runtime.log.thumbnails import Thumbnails
from outrider.runtime.loop.metrics import Metrics
from outrider.runtime.report import drive_statistics, read_drive, render_report
from outrider.runtime.report.page import clock, duration, figure, share

from ..parsed_page import whole
from .logs import HOSTILE, RUN, START, WALL, counted, event, header, killed, page_of, summary, write

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def text(original):
    return page_of(original)


def test_the_page_is_whole_and_needs_nothing_else(text):
    page = whole(text)
    assert "300 of 3,600 frames alarmed in 2\u202fmin" in text
    assert "Calibration no longer holds." in text
    assert "The log has gaps." in text
    assert (page.names().count("svg"), page.names().count("img")) == (2, 1)
    identifiers = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    assert not re.search(r"#0[1-9a]0[1-9a]0[1-9a]\b", text)
    assert "var(--alarm)" in text


def test_nothing_of_the_log_becomes_markup(text):
    page = whole(text)
    assert not any("onerror" in attributes for _, attributes in page.tags)
    said = "".join(page.text)
    assert HOSTILE in said
    assert "{{ 7 * 7 }}" in said


def test_what_cannot_be_seen_or_written_is_shown_as_a_code(outrider, tmp_path):
    """Names of files hold any bytes: no UTF-8, escapes of a terminal, signs that turn the direction of writing."""
    odd = "/data/\udcff\x1b]0;pwned\x07\u202e.png"
    head = Header("0.1.0", odd, 0, odd, odd, None, WALL, START)
    write(tmp_path / "e.jsonl", [head, event(1, Status.FAULT, reason=odd, kind=odd, layers=(odd,))])
    assert outrider("report", "e.jsonl", "-o", "a\x1bb.html").out.endswith("the page is a\\x1bb.html\n")
    text = (tmp_path / "a\x1bb.html").read_text("utf-8")
    assert not set(text) & {"\x1b", "\x07", "\u202e"}
    assert r"/data/\udcff\x1b]0;pwned\x07\u202e.png" in text
    assert "1\u202fs" in text
    assert outrider("report", "e.jsonl", "--json").out.isascii()


def test_a_hostile_header_stays_text(tmp_path):
    head = Header(HOSTILE, HOSTILE, 0, HOSTILE, HOSTILE, None, WALL, START)
    page = whole(page_of(write(tmp_path / "events.jsonl", [head, event(1, Status.ALARM, kind=HOSTILE)])))
    assert not any("onerror" in attributes for _, attributes in page.tags)


def test_what_the_calibration_promises_is_said_once(tmp_path):
    heads = [replace(header("ab"[i] * 32, start=WALL + i), promise="of new frames <at most> 0.01") for i in range(2)]
    for i, head in enumerate(heads):
        write(tmp_path / f"{i}.jsonl", [head, event(1, Status.ALARM)])
    text = page_of(tmp_path / "0.jsonl", tmp_path / "1.jsonl")
    assert text.count("The calibration promises: of new frames &lt;at most&gt; 0.01.") == 1
    assert "promises" not in page_of(write(tmp_path / "old.jsonl", [header(), event(1, Status.ALARM)]))


def test_a_run_without_an_end_is_named(outrider, tmp_path):
    path = killed(tmp_path / "events.jsonl")
    text = re.sub(r"<[^>]+>", "", page_of(path))
    assert "At least 7 of at least 66 frames alarmed" in text
    assert "The log does not show the end of run aaaaaaaa." in text
    assert "without an event left no trace. Events show at least 36 frames, 7 alarms and 1 episode" in text
    assert "≥\u202f1episode (alarm, fault or stale)" in text
    assert outrider("report", path).out == (
        "7 events, at least 7 alarms in at least 66 frames, at least 1 episode (alarm, fault or stale); run aaaaaaaa"
        " has no end in the log, its frames are not in the rates; the page is report.html\n"
    )


def test_one_of_each_is_no_plural(outrider, tmp_path):
    metrics = Metrics()
    metrics.record(Status.ALARM, 2.0, 1.0, 100.0)
    metrics.counters.episodes = 1
    path = write(tmp_path / "e.jsonl", [header(), event(1, Status.ALARM, frame=1, score=2.0), summary(1, metrics)])
    assert outrider("report", path).out.startswith("1 event, 1 alarm in 1 frame, 1 episode (alarm")
    assert "1 of 1 frame alarmed" in (tmp_path / "report.html").read_text("utf-8")


def test_what_a_live_source_left_out_is_said(tmp_path):
    metrics = Metrics()
    metrics.record(Status.OK, 0.5, 1.0, 100.0)
    metrics.counters.frames_dropped, metrics.counters.reconnects = 1200, 1
    text = page_of(write(tmp_path / "e.jsonl", [header(), summary(1, metrics)]))
    assert "; none was faulty; 1,200 frames dropped for newer ones; 1 reconnect." in text


def test_many_unfinished_runs_are_counted_and_the_last_named(outrider, tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_bytes(
        b"".join(write(path, [header(letter * 32, start=WALL + k)]).read_bytes() for k, letter in enumerate("abcdef"))
    )
    said = outrider("report", path).out
    assert "; run ffffffff has no end in the log, its frames are not in the rates; 3 earlier runs too; the" in said


def test_where_frame_numbers_repeat_the_run_is_named(original, tmp_path):
    path = killed(tmp_path / "events.jsonl")
    folder = Thumbnails(path.with_name("events.frames"), 10)
    for run in (RUN, "b" * 32):
        folder.save(run, 30, np.zeros((4, 4, 3)))
    text = page_of(path)
    cards = re.findall(r"<b>30</b><br><small>run (\w+)</small>", text)
    assert sorted(cards) == [RUN[:8], "b" * 8]
    assert "<td>36<br><small>run aaaaaaaa</small></td>" in text
    assert "<small>run aaaaaaaa</small>" not in page_of(original)


def test_neighbouring_times_are_told_apart(tmp_path):
    changes = [event(1.034, Status.ALARM, frame=31), event(1.04, Status.OK, Status.ALARM, frame=32)]
    path = write(tmp_path / "e.jsonl", [header(), *changes, counted(3, 40)])
    assert "<td>1.034\u202fs</td><td>1.040\u202fs</td><td>0.006\u202fs</td>" in page_of(path)
    shorter = event(1.0345, Status.OK, Status.ALARM, frame=32)
    write(path, [header(), changes[0], shorter, counted(3, 40)])
    assert "<td>1.034000\u202fs</td><td>1.034500\u202fs</td><td>0.000500\u202fs</td>" in page_of(path)
    assert [clock(seconds, 3) for seconds in (0, 59.9999, 725.034, 12005.0341)] == [
        "0.000\u202fs", "1\u202fmin 0.000\u202fs", "12\u202fmin 5.034\u202fs", "3\u202fh 20\u202fmin 5.034\u202fs",
    ]  # fmt: skip


def test_times_far_apart_make_a_page(tmp_path):
    far = Event(
        "x", -1, 2**62, -(2**62), Status.STALE, Status.FAULT, float("nan"), float("-inf"), 0.0, -1, (), "", -1.0
    )
    path = write(
        tmp_path / "events.jsonl", [header(), far, event(10**8, Status.OK, Status.STALE), event(1, Status.WARN)]
    )
    whole(page_of(path))


def test_an_empty_drive_makes_a_page(tmp_path):
    text = page_of(write(tmp_path / "events.jsonl", [header()]))
    assert "0 events in 0\u202fs; the frames were not counted." in text
    assert "no rate can be stated" in text


def test_a_picture_that_is_none_is_left_out(drive):
    folder = drive.with_name("events.frames")
    (folder / f"{RUN}-0000000001.png").write_bytes(b"<svg onload=alert(1)>")
    (folder / f"{RUN}-0000000002.npy").write_bytes(b"\x93NUMPY rubbish")
    (folder / f"{'c' * 32}-0000000003.png").write_bytes(b"\x89PNG of another log")
    np.save(folder / f"{RUN}-0000000004.npy", np.zeros((4, 5, 3), np.uint8))
    found = read_drive([drive])
    assert {frame for _, frame in found.pictures} == {900, 1, 2, 4}
    assert whole(render_report(found, drive_statistics(found))).names().count("img") == 2


def test_the_command_writes_the_page_and_prints_the_numbers(outrider, drive):
    result = outrider("report", drive, "-o", "drive.html")
    assert (result.code, result.err) == (0, "")
    assert result.out == (
        "303 events, 300 alarms in 3,600 frames, 0 episodes (alarm, fault or stale); the page is drive.html\n"
    )
    assert (drive.parent / "drive.html").read_text("utf-8").startswith("<!doctype html>")
    result = outrider("report", drive, "--json")
    assert json.loads(result.out) == drive_statistics(read_drive([drive]))
    assert not (drive.parent / "report.html").exists()


def test_the_command_names_a_file_that_is_missing_or_of_another_kind(outrider, tmp_path):
    result = outrider("report", "nothing.jsonl")
    assert (result.code, result.err) == (2, "outrider: error: nothing.jsonl: no such file or directory\n")
    (tmp_path / "notes.txt").write_text("hello\n")
    result = outrider("report", "notes.txt")
    assert result.code == 2
    assert result.err.startswith("outrider: error: notes.txt:1: expected a line of an event log, got ")


@pytest.mark.parametrize("package", ["jinja2", "matplotlib"])
def test_a_missing_package_is_named_with_its_extra(drive, monkeypatch, package):
    found = read_drive([drive])
    numbers = drive_statistics(found)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs {package}: " + re.escape(install_hint("report"))):
        render_report(found, numbers)


def test_numbers_for_readers():
    assert [share(value) for value in (None, 0.0, 0.00013, 0.0123, 0.5, 0.99999, 1.0)] == [
        "–", "0\u202f%", "0.013\u202f%", "1.2\u202f%", "50\u202f%", "99.999\u202f%", "100\u202f%",
    ]  # fmt: skip
    assert [figure(value) for value in (None, 0.01234, 4.567, 12345.6, float("inf"))] == [
        "–", "0.0123", "4.57", "12,346", "∞",
    ]  # fmt: skip
    assert [duration(seconds) for seconds in (0, 0.85, 42, 725, 12000, 3600)] == [
        "0\u202fs", "850\u202fms", "42\u202fs", "12\u202fmin 5\u202fs", "3\u202fh 20\u202fmin", "1\u202fh",
    ]  # fmt: skip
