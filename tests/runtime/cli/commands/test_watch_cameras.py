"""`outrider watch cameras.yaml` from end to end: several streams, one of which dies."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from outrider.monitor import Status
from outrider.runtime.cli import cameras
from outrider.runtime.cli import main as command_line
from outrider.runtime.inputs.streams import Several
from outrider.runtime.inputs.streams.live import base, camera
from outrider.runtime.log.reader import read_events
from outrider.runtime.report import drive_statistics, read_drive

from ..outcomes import SOON, error_of, lines_of

pytest.importorskip("PIL.Image")


@pytest.fixture
def two(tmp_path, calibrated, covered, broken):
    """A file of two folders, one with frames that alarm."""
    path = tmp_path / "cameras.yaml"
    path.write_text(
        f"profile: {calibrated}\nlog: events.jsonl\ncameras:\n"
        f"  left: {{source: {covered}, rate: 400}}\n  right: {{source: {broken}, rate: 400}}\n"
    )
    return path


def test_streams_alarm_one_by_one_in_one_process_and_one_log(outrider, two, broken, calibrated, tmp_path):
    result = outrider("watch", two, "--json")
    assert result.code == 1
    lines = {name: [line for line in lines_of(result) if line["stream"] == name] for name in ("left", "right")}
    assert [line["status"] for line in lines["left"]] == ["ok"] * 10
    assert [line["status"] for line in lines["right"]] == ["ok"] * 10 + ["alarm"] * 6 + ["ok"] * 10
    assert [line["number"] for line in lines["right"]] == list(range(1, 27))
    alone = lines_of(outrider("watch", calibrated, broken, "--json"))
    assert [line["score"] for line in lines["right"]] == pytest.approx([line["score"] for line in alone], rel=1e-4)
    first, second, *each = result.err.splitlines()
    assert first.startswith("36 frames in ")
    assert first.endswith(" s: 6 above the threshold (16.67%), 0 faults, 0 stale")
    assert second == "1 episode (alarm, fault or stale)"
    assert each[:2] == [
        "left: 10 frames: 0 above the threshold (0.00%), 0 faults, 0 stale, 0 episodes",
        "right: 26 frames: 6 above the threshold (23.08%), 0 faults, 0 stale, 1 episode",
    ]
    assert "the log takes the pictures as" not in result.err, "each has a rate of its own"
    assert {event.stream for event in read_events(tmp_path / "events.jsonl")} == {"right"}
    numbers = drive_statistics(read_drive([tmp_path / "events.jsonl"]))
    assert sorted((run["frames"], run["source"]) for run in numbers["runs"]) == [
        (10, f"{two}: left"), (26, f"{two}: right"),
    ]  # fmt: skip


def test_flags_win_over_the_file_and_a_profile_may_be_given(outrider, two, calibrated):
    result = outrider("watch", calibrated, two, "--alarm", "7/7", "--json")
    assert result.code == 0
    assert {line["status"] for line in lines_of(result)} == {"ok", "warn"}


def test_changes_of_status_are_told_with_the_name_of_the_camera(outrider, two):
    lines = outrider("watch", two).out.splitlines()
    assert lines[0].startswith("right  frame 11  00:00.0  OK -> ALARM  score ")
    assert lines[1] == "right  frame 17  00:00.0  ALARM -> OK"


@pytest.fixture
def device(monkeypatch):
    """FFmpeg's test picture as camera 0: 0.3 seconds of it, and then nothing more."""
    pytest.importorskip("av")
    monkeypatch.setattr(base, "_RETRY_SECONDS", 30.0)
    source = "testsrc=size=8x8:rate=50:duration=0.3,format=gray,realtime"
    monkeypatch.setattr(camera, "_device", lambda _av, _index: (source, "lavfi"))
    monkeypatch.setattr(cameras, "PATIENCE", 4)


@pytest.mark.usefixtures("device")
def test_a_camera_that_dies_is_stale_and_the_others_go_on(outrider, calibrated, covered, tmp_path):
    (tmp_path / "cameras.yaml").write_text(
        f"cameras:\n  dying: {{source: '0', silence: 0.2}}\n  going: {{source: {covered}, rate: 5}}\n"
    )
    result = outrider("watch", calibrated, "cameras.yaml", "--json", "--log", "events.jsonl")
    assert result.code == 1
    lines = lines_of(result)
    stale = lines.index({"stream": "dying", "frame": None, "status": "stale", "alarm": True})
    assert [line["status"] for line in lines if line["stream"] == "going"] == ["ok"] * 10
    assert [line for line in lines[stale:] if line["stream"] == "going"], "frames after the death of the other"
    assert "dying: camera 0 gave no picture for 0.8 s: the end of the stream; it is taken up again" in result.err
    (event,) = [event for event in read_events(tmp_path / "events.jsonl") if event.kind == "silence"]
    assert (event.stream, event.status) == ("dying", Status.STALE)


def test_a_recording_that_ends_is_not_silent(outrider, calibrated, covered, broken, tmp_path):
    (tmp_path / "cameras.yaml").write_text(
        f"cameras:\n  long: {{source: {covered}, rate: 10}}\n  short: {{source: {covered}, rate: 500, silence: 0.3}}\n"
    )
    result = outrider("watch", calibrated, "cameras.yaml", "--json")
    assert result.code == 0
    assert {line["status"] for line in lines_of(result)} == {"ok"}


def test_the_time_that_closing_takes_is_no_silence(outrider, calibrated, covered, tmp_path, monkeypatch):
    close = Several.close
    monkeypatch.setattr(Several, "close", lambda self: (time.sleep(0.6), close(self)))
    (tmp_path / "cameras.yaml").write_text(
        f"log: events.jsonl\nsilence: 0.3\ncameras:\n"
        f"  one: {{source: {covered}, rate: 50}}\n  two: {{source: {covered}, rate: 50}}\n"
    )
    assert outrider("watch", calibrated, "cameras.yaml", "--limit", "4").code == 0
    assert not list(read_events(tmp_path / "events.jsonl"))
    numbers = drive_statistics(read_drive([tmp_path / "events.jsonl"]))
    assert (numbers["blind_seconds"], numbers["availability"]) == (0, 1)


def test_a_limit_and_what_cannot_be_opened(outrider, calibrated, two, covered, tmp_path):
    assert len(lines_of(outrider("watch", two, "--json", "--limit", "5"))) in (5, 6)  # two may come together
    (tmp_path / "bad.yaml").write_text(
        f"cameras: {{a: nowhere.mp4, b: {covered}, c: 'rtsp://me:secret@127.0.0.1:9/1'}}"
    )
    message = error_of(outrider("watch", calibrated, "bad.yaml"))
    assert message.startswith("camera a: nowhere.mp4: expected a folder, a video")
    assert "; camera c: rtsp://***@127.0.0.1:9/1: expected pictures, got connection refused" in message
    assert "secret" not in message
    assert "expected SOURCE after net.outrider, or a .yaml file of cameras" in error_of(
        outrider("watch", "net.outrider")
    )
    (tmp_path / "odd.yaml").write_text("cameras: {a: '0'}\nlatsh: true\n")
    assert "odd.yaml: unknown key 'latsh'; did you mean latch?" in error_of(outrider("watch", calibrated, "odd.yaml"))


def test_ctrl_c_ends_all(two):
    two.write_text(two.read_text().replace("rate: 400", "rate: 2"))
    command = [sys.executable, "-m", "outrider.runtime.cli.main", "watch", str(two), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=two.parent) as watch:
        names = {watch.stdout.readline()[:18] for _ in range(2)}
        os.kill(watch.pid, signal.SIGINT)
        timer = threading.Timer(SOON, watch.kill)
        timer.start()
        _, err = watch.communicate()
        timer.cancel()
    assert len(names) == 2
    assert watch.returncode == 0
    assert "frames in " in err
    assert "left: " in err


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_terminal_gets_a_line_for_each_camera(two, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert command_line.main(["watch", str(two)]) == 1
    text = terminal.getvalue()
    for part in ("2 streams", "left", "right", "frames/s", "dropped"):
        assert part in text
    assert "36 frames in " in text
