"""`outrider watch` from end to end: what it says of a stream, when it ends, and what it leaves behind."""

from __future__ import annotations

import inspect
import io
import json
import subprocess
import sys
import time
from fractions import Fraction

import numpy as np
import pytest

from outrider.monitor import Status
from outrider.networks import load_dataset
from outrider.networks.packages import install_hint
from outrider.runtime.cli import cameras
from outrider.runtime.cli import main as command_line
from outrider.runtime.inputs.streams.live import base, camera
from outrider.runtime.log import file as log_file
from outrider.runtime.log.log import EventLog
from outrider.runtime.log.reader import read_events
from outrider.runtime.loop.drift import DriftTest
from outrider.runtime.outlets.ros2 import Ros2Publisher

from ..outcomes import SOON, error_of, lines_of, save

pillow = pytest.importorskip("PIL.Image")


def raise_full(*_):
    raise OSError("no space")


def test_verdicts_go_to_ros_2(outrider, calibrated, broken, monkeypatch):
    heard = []

    class Publisher:
        def __init__(self, guard, name, **options):
            self.name, self.options = name, options

        def verdict(self, verdict, wall_ns, stream):
            heard.append((verdict.status, wall_ns))

        def close(self):
            heard.append((self.name, self.options))

    defaults = inspect.signature(Ros2Publisher).parameters
    topics = [f"/{defaults[name].default.removeprefix('/')}" for name in ("diagnostics", "verdicts")]
    monkeypatch.setattr("outrider.runtime.outlets.ros2.Ros2Publisher", Publisher)
    before = time.time_ns()
    result = outrider("watch", calibrated, broken, "--ros2", "front camera")
    assert result.code == 1
    *verdicts, (name, hashes) = heard
    assert [status == Status.ALARM for status, _ in verdicts] == [False] * 10 + [True] * 6 + [False] * 10
    times = [wall_ns for _, wall_ns in verdicts]
    assert before < times[0] <= times[-1] < time.time_ns()
    assert times == sorted(times)
    assert name == "front camera"
    assert f"\npublished to ROS 2 as 'front camera' on {' and '.join(topics)}\n" in result.out
    assert hashes.pop("maps") == ""
    assert {key: len(value) for key, value in hashes.items()} == {"network": 64, "profile": 64}


def test_covered_frames_end_with_0(outrider, calibrated, covered):
    result = outrider("watch", calibrated, covered)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("10 frames in ")
    assert ": 0 above the threshold (0.00%), 0 faults, 0 stale\n0 episodes (alarm, fault or stale)\n" in result.out


def test_alarms_end_with_1_and_are_told_when_they_begin_and_end(outrider, calibrated, broken):
    result = outrider("watch", calibrated, broken, "--rate", "1000")
    first, second, frames, episodes, _calibration = result.out.splitlines()
    assert result.code == 1
    assert first.startswith("frame 11  00:00.0  OK -> ALARM  score ")
    assert second == "frame 17  00:00.0  ALARM -> OK"
    assert frames.startswith("26 frames in ")
    assert frames.endswith(" s: 6 above the threshold (23.08%), 0 faults, 0 stale")
    assert episodes == "1 episode (alarm, fault or stale)"


def test_with_json_the_summary_goes_to_stderr(outrider, calibrated, broken):
    result = outrider("watch", calibrated, broken, "--json")
    assert len(lines_of(result)) == 26
    assert result.err.splitlines()[1] == "1 episode (alarm, fault or stale)"
    assert outrider("watch", calibrated, broken, "--json", "--quiet").err == ""


def test_the_summary_says_what_was_kept(outrider, calibrated, covered):
    pytest.importorskip("rerun")
    last = [
        outrider("watch", calibrated, covered, "--log", "e.jsonl", "--record", "r.rrd").out.splitlines()[-2:]
        for _ in range(2)
    ]
    page, recorded = "`outrider report e.jsonl` makes a page of it", "recorded in r.rrd; `rerun r.rrd` shows it"
    assert last == [[page, recorded], [f"added to e.jsonl, which holds 2 runs; {page}", recorded]]


def test_frames_are_judged_as_check_judges_them(outrider, calibrated, broken):
    checked = {line["frame"]: line for line in lines_of(outrider("check", calibrated, broken, "--json"))}
    watched = lines_of(outrider("watch", calibrated, broken, "--json", "--rate", "500"))
    assert [line["number"] for line in watched] == list(range(1, 27))
    assert [line["time"] for line in watched] == pytest.approx([row / 500 for row in range(26)])
    assert [line["frame"] for line in watched] == [str(broken / f"{row}.png") for row in range(26)]
    assert all(line["latency"] > 0 for line in watched)
    for line in watched:
        expected = checked[line["frame"]]
        assert {name: line[name] for name in expected} == expected


def test_k_of_n_and_latch(outrider, calibrated, broken):
    def statuses(*options):
        return [line["status"] for line in lines_of(outrider("watch", calibrated, broken, "--json", *options))]

    assert statuses("--alarm", "3/5", "--clear", "4/4") == (
        ["ok"] * 10 + ["warn"] * 2 + ["alarm"] * 4 + ["alarm"] * 3 + ["ok"] * 7
    )
    assert statuses("--latch")[10:] == ["alarm"] * 16
    result = outrider("watch", calibrated, broken, "--alarm", "7/7")
    assert result.code == 0
    assert "OK -> WARN" in result.out


def test_a_frozen_camera_is_stale(outrider, calibrated, clean, tmp_path):
    folder = save(tmp_path / "frozen", [clean[0]] * 5)
    result = outrider("watch", calibrated, folder, "--frozen", "4", "--json")
    assert [line["status"] for line in lines_of(result)] == ["ok"] * 3 + ["stale"] * 2
    assert result.code == 1


def test_a_deadline_that_nothing_can_meet(outrider, calibrated, covered):
    result = outrider("watch", calibrated, covered, "--deadline", "1e-6", "--json")
    assert {line["status"] for line in lines_of(result)} == {"stale"}


def test_a_limit_ends_the_watch(outrider, calibrated, broken):
    assert len(lines_of(outrider("watch", calibrated, broken, "--json", "--limit", "10"))) == 10
    assert outrider("watch", calibrated, broken, "--limit", "10").code == 0


def test_quiet_leaves_the_summary(outrider, calibrated, broken):
    assert len(outrider("watch", calibrated, broken, "--quiet").out.splitlines()) == 3


def test_a_picture_that_cannot_be_read_is_a_fault_with_its_name(outrider, calibrated, covered, tmp_path):
    (covered / "3.png").write_bytes(b"no picture")
    result = outrider("watch", calibrated, covered, "--json", "--log", "events.jsonl")
    lines = lines_of(result)
    assert [line["status"] for line in lines] == ["ok"] * 3 + ["fault"] + ["ok"] * 6
    assert "3.png: expected a picture, got" in lines[3]["reason"]
    (event,) = [event for event in read_events(tmp_path / "events.jsonl") if event.kind == "unreadable"]
    assert (event.frame, event.status, event.reason) == (4, Status.FAULT, lines[3]["reason"])


def test_a_picture_that_is_taken_for_an_attack_ends_no_watch(outrider, calibrated, covered, monkeypatch):
    monkeypatch.setattr(pillow, "MAX_IMAGE_PIXELS", 64)
    pillow.new("L", (100, 100)).save(covered / "3.png")
    result = outrider("watch", calibrated, covered, "--json")
    lines = lines_of(result)
    assert result.code == 1
    assert [line["status"] for line in lines] == ["ok"] * 3 + ["fault"] + ["ok"] * 6
    assert "3.png: expected a picture, got Image size (10000 pixels) exceeds limit" in lines[3]["reason"]


def test_the_summary_says_how_the_calibration_does(outrider, calibrated, broken):
    assert outrider("watch", calibrated, broken).out.endswith("\nthe calibration is not tested yet\n")


def test_a_calibration_that_no_longer_holds_is_told(outrider, calibrated, tmp_path, monkeypatch):
    monkeypatch.setattr(DriftTest, "for_calibration", lambda *_, **__: DriftTest(0.05, stride=1))
    noise = np.random.default_rng(1).integers(0, 256, (40, 8, 8), np.uint8)
    folder = save(tmp_path / "noise", noise)
    options = ("--alarm", "41/41", "--rate", "1000")  # never an alarm of the loop: every frame counts
    change, told, _frames, episodes, summary = outrider("watch", calibrated, folder, *options).out.splitlines()
    assert " OK -> WARN " in change
    assert "  calibration no longer holds: " in told
    assert episodes.startswith("0 episodes ")
    assert summary == "calibration no longer holds: 40 of 40 tested frames alarmed (100 %), tested against 5 %"
    (line,) = (line for line in lines_of(outrider("watch", calibrated, folder, "--json", *options)) if "drift" in line)
    assert line["drift"].startswith("calibration no longer holds: ")
    assert told.startswith(f"frame {line['number']}  ")


def test_a_log_that_fails_may_be_a_warning(outrider, calibrated, covered, monkeypatch):
    monkeypatch.setattr(log_file.os, "write", raise_full)
    monkeypatch.setattr(EventLog, "trouble", "OSError: no space")  # from the first frame on, not from the first try
    result = outrider("watch", calibrated, covered, "--log", "events.jsonl", "--log-failure", "warn")
    assert result.code == 2
    assert " OK -> WARN " in result.out
    assert "the event log fails: OSError: no space" in result.out
    assert "\nthe log failed at 10 frames\n" in result.out
    assert "expected a whole log, got one that lacks events: OSError: no space" in result.err


def test_no_terminal_obeys_a_name(outrider, calibrated, clean, tmp_path):
    folder = save(tmp_path / "covered", clean[:3])
    (folder / "\x1b]0;pwned\x07.png").write_bytes(b"no picture")
    result = outrider("watch", calibrated, folder, "--log", "[red]\x1b[31m.jsonl")
    assert "\\x1b]0;pwned\\x07.png: expected a picture" in result.out
    assert result.out.endswith("`outrider report [red]\\x1b[31m.jsonl` makes a page of it\n")
    assert "\x1b" not in result.out + result.err


def test_pictures_are_brought_to_the_form_of_the_profile(outrider, calibrated, tmp_path):
    colours = np.random.default_rng(3).integers(0, 256, (4, 30, 20, 3), np.uint8)
    folder = save(tmp_path / "large", colours)
    expected = [line["score"] for line in lines_of(outrider("check", calibrated, folder, "--json"))]
    assert [line["score"] for line in lines_of(outrider("watch", calibrated, folder, "--json"))] == expected


def test_a_configuration_file(outrider, calibrated, broken, tmp_path):
    (tmp_path / "watch.yaml").write_text("alarm: 3/5\nclear: 4/4\njson: true\nrate: 500\nlimit: 14\n")
    lines = lines_of(outrider("watch", calibrated, broken, "--config", "watch.yaml"))
    assert [line["status"] for line in lines] == ["ok"] * 10 + ["warn"] * 2 + ["alarm"] * 2


def write_video(path, pictures, times=None):
    """times: of each picture, in tenths of a second."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 8, 8, "gray"
        for place, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "gray")
            frame.pts, frame.time_base = place if times is None else times[place], Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_mcap(path, pictures):
    mcap, typesys = pytest.importorskip("mcap.writer"), pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    image, header, stamp = (
        store.types[name] for name in ("sensor_msgs/msg/Image", "std_msgs/msg/Header", "builtin_interfaces/msg/Time")
    )
    with path.open("wb") as file:
        writer = mcap.Writer(file)
        writer.start()
        schema = writer.register_schema("sensor_msgs/msg/Image", "ros2msg", b"")
        channel = writer.register_channel("/camera", "cdr", schema)
        for row, picture in enumerate(pictures):
            message = image(
                header(stamp(5 + row // 10, row % 10 * 100_000_000), ""), 8, 8, "mono8", 0, 8, picture.reshape(-1)
            )
            data, nanoseconds = bytes(store.serialize_cdr(message, "sensor_msgs/msg/Image")), row * 100_000_000
            writer.add_message(channel, nanoseconds, data, nanoseconds)
        writer.finish()
    return path


@pytest.mark.parametrize("write", [write_video, write_mcap])
def test_the_same_pictures_get_the_same_scores_from_any_source(outrider, calibrated, broken, clean, noise, write):
    path = write(broken.parent / "drive.mcap", [*clean[:10], *noise, *clean[10:20]]) if write is write_mcap else (
        write(broken.parent / "drive.mkv", [*clean[:10], *noise, *clean[10:20]])
    )  # fmt: skip
    expected = lines_of(outrider("watch", calibrated, broken, "--json"))
    lines = lines_of(outrider("watch", calibrated, path, "--json"))
    assert [line["score"] for line in lines] == [line["score"] for line in expected]
    assert np.diff([line["time"] for line in lines]) == pytest.approx([0.1] * 25, abs=1e-3)


def test_what_is_cut_off_is_a_warning(outrider, calibrated, tmp_path, clean):
    path = write_mcap(tmp_path / "drive.mcap", clean[:10])
    path.write_bytes(path.read_bytes()[:-30])
    result = outrider("watch", calibrated, path)
    assert result.code == 0
    assert result.err.startswith("outrider: warning: ")
    assert "the recording is not whole" in result.err
    assert "10 pictures of /camera could be read" in result.err


def test_a_topic_without_frames(outrider, calibrated, tmp_path):
    mcap = pytest.importorskip("mcap.writer")
    pytest.importorskip("rosbags")
    with (tmp_path / "drive.mcap").open("wb") as file:
        writer = mcap.Writer(file)
        writer.start()
        schema = writer.register_schema("sensor_msgs/msg/Image", "ros2msg", b"")
        writer.register_channel("/camera", "cdr", schema)
        writer.finish()
    assert "drive.mcap: expected at least one frame, got none" in error_of(outrider("watch", calibrated, "drive.mcap"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.mp4",), "nowhere.mp4: expected a folder, a video, an .mcap file, a ROS bag, a URL or the index"),
        (("covered", "--alarm", "5/3"), "argument --alarm: expected K/N with 1 <= K <= N, such as 3/5, got '5/3'"),
        (("covered", "--clear", "3"), "argument --clear: expected K/N with 1 <= K <= N, such as 3/5, got '3'"),
        (("covered", "--rate", "0"), "argument --rate: expected a number above 0, got '0'"),
        (("covered", "--deadline", "nan"), "argument --deadline: expected a number above 0, got 'nan'"),
        (("covered", "--silence", "soon"), "argument --silence: expected a number above 0, got 'soon'"),
        (("covered", "--frozen", "1"), "expected frozen as None or a number of frames from 2, got 1"),
        (("covered", "--rate", "3", "--realtime"), "argument --realtime: not allowed with argument --rate"),
        (
            ("covered", "--topic", "/a"),
            "expected --topic TOPIC only for an .mcap file or a ROS bag, got covered, which has no",
        ),
        (("covered", "--log", "covered"), "covered"),
    ],
)
@pytest.mark.usefixtures("covered")
def test_errors(outrider, calibrated, arguments, message):
    assert message in error_of(outrider("watch", calibrated, *arguments))


@pytest.mark.usefixtures("covered")
def test_profiles_that_cannot_watch(outrider, model, profiled, tmp_path):
    command = ("watch", profiled, "covered", "--network", model)
    words = f"got one without a threshold; `outrider calibrate {profiled} HELD_OUT` sets it"
    assert words in error_of(outrider(*command))
    np.save(tmp_path / "floats.npy", load_dataset("digits", "train").floats()[:1000])
    assert outrider("profile", model, "floats.npy", "-o", "floats.outrider", "--quiet", "--rows", ":700").code == 0
    calibrate = ("calibrate", "floats.outrider", "floats.npy", "--network", model, "--quiet", "--rows", "700:")
    assert outrider(*calibrate).code == 0
    message = error_of(outrider("watch", "floats.outrider", "covered", "--network", model))
    assert "floats.outrider: expected a profile of pictures, got one of float samples" in message


@pytest.mark.usefixtures("covered")
def test_a_recording_without_rerun(outrider, calibrated, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    message = error_of(outrider("watch", calibrated, "covered", "--record", "run.rrd"))
    assert message == f"recordings for Rerun need one more package: {install_hint('rerun')}"


def test_the_pace_of_a_recording(outrider, calibrated, tmp_path, clean):
    path = write_video(tmp_path / "drive.mkv", clean[:5])
    began = time.monotonic()
    assert outrider("watch", calibrated, path, "--realtime", "--json").code == 0
    assert time.monotonic() - began >= 0.39


def test_a_gap_of_a_recording_is_a_silence_when_it_is_played_as_it_was(outrider, calibrated, tmp_path, clean):
    path = write_video(tmp_path / "drive.mkv", clean[:3], times=[0, 1, 9])
    result = outrider("watch", calibrated, path, "--realtime", "--silence", "0.25", "--json")
    assert result.code == 1
    told = [line for line in lines_of(result) if line["frame"] is None]
    assert told == [{"frame": None, "status": "stale", "alarm": True}]
    assert ", 1 time no frame came" in result.err


@pytest.fixture
def device(monkeypatch):
    """FFmpeg's test picture as camera 0: `duration` seconds of it, and then nothing more."""
    pytest.importorskip("av")
    monkeypatch.setattr(base, "_RETRY_SECONDS", 30.0)

    def use(duration):
        source = f"testsrc=size=8x8:rate=50:duration={duration},format=gray,realtime"
        monkeypatch.setattr(camera, "_device", lambda _av, _index: (source, "lavfi"))

    return use


def test_a_camera_that_vanishes_is_stale_and_ends(outrider, calibrated, device, tmp_path, monkeypatch):
    device(0.3)
    monkeypatch.setattr(cameras, "PATIENCE", 4)
    result = outrider("watch", calibrated, "0", "--silence", "0.2", "--json", "--log", "events.jsonl")
    *frames, last = lines_of(result)
    assert result.code == 1
    assert all(line["frame"].startswith("camera 0[") for line in frames)
    assert last == {"frame": None, "status": "stale", "alarm": True}
    assert "camera 0 gave no picture for 0.8 s: the end of the stream" in result.err
    *_, event = read_events(tmp_path / "events.jsonl")
    assert (event.kind, event.status) == ("silence", Status.STALE)
    assert event.reason.startswith("no frame for 0.2")


def test_a_camera_that_is_not_there(outrider, calibrated, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.setattr(camera, "_device", lambda _av, _index: ("/dev/nowhere", "v4l2"))
    message = error_of(outrider("watch", calibrated, "0"))
    assert message == "camera 0 (/dev/nowhere): expected pictures, got no such file or directory"


def test_a_pipe_whose_reader_goes_away(calibrated, broken):
    command = [sys.executable, "-m", "outrider.runtime.cli.main", "watch", str(calibrated), str(broken), "--json"]
    with subprocess.Popen(
        [*command, "--rate", "50"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watch:
        assert json.loads(watch.stdout.readline())["number"] == 1
        watch.stdout.close()
        assert watch.wait(SOON) == 2
        assert watch.stderr.read() == ""


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_terminal_gets_the_view(calibrated, broken, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("TERM", "xterm-256color")
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    assert command_line.main(["watch", str(calibrated), str(broken)]) == 1
    text = terminal.getvalue()
    for part in (" OK ", "frames/s", "frame 26", "threshold", "latency", "last alarms", "ALARM", "6 frames"):
        assert part in text
    assert "26 frames in " in text
