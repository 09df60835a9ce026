"""The end of a watch by Ctrl-C, and by the SIGTERM of systemd, docker and kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from outrider.runtime.cli.commands import watch as watch_command
from outrider.runtime.loop import watch as watching

from .outcomes import SOON, save


@pytest.fixture
def watching_process(calibrated, broken, tmp_path):
    """Starts `outrider watch --json` of frames that take very long, in a process of its own, and reads some lines."""
    started = []

    def start(lines, *options):
        command = [sys.executable, "-m", "outrider.runtime.cli.main", "watch", str(calibrated), str(broken), "--json"]
        process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        started.append(process)
        return process, [json.loads(process.stdout.readline())["number"] for _ in range(lines)]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "frames", "status"), [(signal.SIGTERM, 12, 1), (signal.SIGINT, 2, 0)])
def test_a_signal_ends_as_the_last_frame_would(watching_process, outrider, number, frames, status):
    """Whole lines, a whole log, and the exit status of what was seen so far."""
    process, numbers = watching_process(frames, "--rate", "5", "--log", "events.jsonl")
    process.send_signal(number)
    out, err = process.communicate(timeout=SOON)
    assert process.returncode == status
    assert err.endswith("`outrider report events.jsonl` makes a page of it\n")
    numbers += [json.loads(line)["number"] for line in out.splitlines()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) < 26
    facts = json.loads(outrider("report", "events.jsonl", "--json").out)
    assert (facts["counts"]["frames"], facts["log"]["problems"]) == (len(numbers), [])


def test_sigterm_leaves_a_whole_recording(watching_process, tmp_path):
    chunk = pytest.importorskip("rerun.chunk")  # newer than what a recording needs
    process, numbers = watching_process(3, "--rate", "5", "--record", "run.rrd")
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=SOON)
    assert process.returncode == 0
    chunks = chunk.RrdReader(tmp_path / "run.rrd").stream()
    rows = sum(
        part.to_record_batch().num_rows
        for part in chunks
        if part.entity_path == "/camera" and "frame" in part.timeline_names
    )
    assert rows == len(numbers) + len(out.splitlines())


def test_sigterm_while_a_frame_is_waited_for_prints_the_summary(calibrated, noise, tmp_path):
    folder = save(tmp_path / "noise", noise)
    command = [
        sys.executable,
        "-m",
        "outrider.runtime.cli.main",
        "watch",
        str(calibrated),
        str(folder),
        "--rate",
        "0.01",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("frame 1  00:00.0  OK -> ALARM")
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=SOON)
    assert process.returncode == 1
    assert out.startswith("1 frame in ")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_before_the_first_frame_end_at_once(outrider, calibrated, covered, monkeypatch, number, status):
    def opened(*_, **__):
        signal.raise_signal(number)
        pytest.fail("went on")

    monkeypatch.setattr(watch_command, "open_monitor", opened)
    assert outrider("watch", calibrated, covered).code == status


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once(outrider, calibrated, covered, monkeypatch, number, status):
    def stopped_twice(*_):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(number)
        pytest.fail("went on")

    before = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(watching.Watch, "steps", stopped_twice)
    assert outrider("watch", calibrated, covered).code == status
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == before


def test_ctrl_c_ends_with_a_summary_and_a_whole_log(outrider, calibrated, broken, tmp_path, monkeypatch):
    steps = watching.Watch.steps

    def interrupted(self, frame):
        steps(self, frame)
        if self.frames == 12:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(watching.Watch, "steps", interrupted)
    result = outrider("watch", calibrated, broken, "--log", "events.jsonl")
    assert (result.code, result.err) == (1, "")
    assert "12 frames in " in result.out
    facts = json.loads(outrider("report", "events.jsonl", "--json").out)
    assert facts["counts"]["frames"] == 12
    assert facts["log"]["problems"] == []


def test_ctrl_c_while_a_frame_is_waited_for(outrider, calibrated, covered):
    def interrupt():
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = time.monotonic()
    result = outrider("watch", calibrated, covered, "--rate", "0.01")
    thread.join()
    assert result.code == 0
    assert time.monotonic() - began < SOON
    assert "1 frame in " in result.out


def test_a_second_ctrl_c_stops_at_once(outrider, calibrated, covered, monkeypatch):
    def interrupted_twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")

    monkeypatch.setattr(watching.Watch, "steps", interrupted_twice)
    assert outrider("watch", calibrated, covered).code == 130


def test_a_watch_in_a_thread_leaves_signals_alone(outrider, calibrated, covered):
    results = []
    thread = threading.Thread(target=lambda: results.append(outrider("watch", calibrated, covered)))
    thread.start()
    thread.join(SOON)
    assert [result.code for result in results] == [0]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
