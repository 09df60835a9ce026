"""The commands from end to end: exit statuses, what they print, and every error a user can cause."""

from __future__ import annotations

import argparse
import json
import shutil
import signal

import numpy as np
import pytest

from outrider.networks import load_dataset
from outrider.runtime.cli.commands import check as check_command
from outrider.runtime.cli.options import COMMANDS
from outrider.runtime.inputs import samples as sources

PROFILE = ("-o", "new.outrider", "--rows", ":1000")


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8))
    return path


def error_of(result):
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("outrider: error: ")
    assert result.err.count("\n") == 1
    return result.err.removeprefix("outrider: error: ").strip()


def test_profile_calibrate_check_inspect(outrider, model):
    result = outrider("profile", model, "digits:train", *PROFILE)
    assert (result.code, result.err) == (0, "")
    assert "of 1,000 frames" in result.out
    result = outrider(
        "calibrate", "new.outrider", "digits:train", "--rows", "1000:", "--network", model, "--false-alarm-rate", "0.05"
    )
    assert result.code == 0
    assert result.out.startswith("437 held-out frames: 219 set the scales, 218 the threshold\nfalse-alarm rate 0.05")
    result = outrider("inspect", "new.outrider")
    assert result.code == 0
    assert "for a false-alarm rate of 0.05" in result.out


def test_a_tap_that_moves_is_told(outrider, model):
    result = outrider("profile", model, "digits:train", *PROFILE, "--taps", "conv")
    assert result.code == 0
    assert result.err.startswith("outrider: warning: tapped 'conv' at 'relu', as ")


def test_the_exit_status_tells_clean_from_alarms(outrider, calibrated, noise):
    assert outrider("check", calibrated, noise).code == 1
    verdicts = outrider("check", calibrated, "digits:test", "--json").out.splitlines()
    clean = next(row for row, line in enumerate(verdicts) if not json.loads(line)["alarm"])
    assert outrider("check", calibrated, "digits:test", "--rows", f"{clean}:{clean + 1}").code == 0


def test_check_prints_a_table(outrider, calibrated, noise):
    result = outrider("check", calibrated, noise.name)
    assert "noise.npy[3]" in result.out
    assert "ALARM" in result.out
    assert "20 frames, 20 alarms (100.00%)" in result.out
    assert "1 frame, 1 alarm (100.00%)" in outrider("check", calibrated, noise.name, "--rows", ":1").out


@pytest.mark.parametrize("size", ["1", "7", "64"])
def test_every_frame_is_named_and_judged_whatever_the_batch_size(outrider, calibrated, noise, size):
    result = outrider("check", calibrated, noise.name, "--batch-size", size, "--json")
    names = [json.loads(line)["frame"] for line in result.out.splitlines()]
    assert names == [f"noise.npy[{i}]" for i in range(20)]


def test_a_long_table_lists_alarms_only(outrider, calibrated, monkeypatch):
    monkeypatch.setattr(check_command, "_ROWS", 5)
    result = outrider("check", calibrated, "digits:test")
    assert " OK " not in result.out
    assert "360 frames" in result.out


def test_a_pipe_gets_whole_names_and_faults_their_reason(outrider, calibrated, tmp_path):
    samples = np.zeros((2, 1, 8, 8), np.float32)
    samples[1, 0, 3, 3] = np.nan
    name = f"{'long' * 30}.npy"
    np.save(tmp_path / name, samples)
    result = outrider("check", calibrated, name)
    line = next(line for line in result.out.splitlines() if "FAULT" in line)
    assert line.startswith(f"{name}[1]")
    assert line.rstrip().endswith("the input holds NaN or Inf")
    assert "1 of them faults" in result.out.splitlines()[-1]


def test_json_is_a_line_per_frame(outrider, calibrated, noise):
    result = outrider("check", calibrated, noise, "digits:test", "--rows", ":20", "--json")
    lines = [json.loads(line, parse_constant=pytest.fail) for line in result.out.splitlines()]
    assert [line["frame"] for line in lines] == [
        *(f"{noise}[{i}]" for i in range(20)),
        *(f"digits:test[{i}]" for i in range(20)),
    ]
    assert {line["status"] for line in lines[:20]} == {"alarm"}
    assert all(line["layers"] and line["reason"] and line["score"] > line["threshold"] for line in lines[:20])


def test_nan_is_a_fault_and_its_json_is_strict(outrider, calibrated, tmp_path):
    samples = load_dataset("digits", "test").floats()[:2]
    samples[1, 0, 3, 3] = np.nan
    np.save(tmp_path / "broken.npy", samples)
    result = outrider("check", calibrated, "broken.npy", "--json")
    line = json.loads(result.out.splitlines()[1], parse_constant=pytest.fail)
    assert result.code == 1
    assert (line["status"], line["score"]) == ("fault", None)


@pytest.mark.parametrize("command", ["profile", "calibrate", "inspect"])
def test_json_of_the_other_commands(outrider, model, profiled, command):
    arguments = {
        "profile": (model, "digits:train", *PROFILE),
        "calibrate": (profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", "other.outrider"),
        "inspect": (profiled,),
    }[command]
    facts = json.loads(outrider(command, *arguments, "--json").out)
    assert facts["false_alarm_rate"] == 0.01 if command == "calibrate" else facts["trusted"]["frames"] == 1000


def test_calibrate_in_place_or_elsewhere(outrider, model, profiled, tmp_path):
    shutil.copy(profiled, tmp_path / "mine.outrider")
    before = profiled.read_bytes()
    calibrate = ("calibrate", "mine.outrider", "digits:train", "--rows", "1000:", "--network", model)
    outrider(*calibrate, "-o", "other.outrider")
    assert (tmp_path / "mine.outrider").read_bytes() == before
    outrider(*calibrate)
    assert (tmp_path / "mine.outrider").read_bytes() == (tmp_path / "other.outrider").read_bytes()


def test_frames_per_second_and_hours_mean_a_rate(outrider, model, profiled):
    result = outrider(
        "calibrate", profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", "other.outrider",
        "--fps", "0.01", "--hours", "2", "--json",
    )  # fmt: skip
    assert json.loads(result.out)["false_alarm_rate"] == pytest.approx(1 / 72)


def test_a_warning_rate_gives_warn(outrider, model, profiled):
    outrider(
        "calibrate", profiled, "digits:train", "--rows", "1000:", "--network", model, "-o", "other.outrider",
        "--false-alarm-rate", "0.02", "--warning-rate", "0.3",
    )  # fmt: skip
    result = outrider("check", "other.outrider", "digits:test", "--network", model, "--json")
    assert {"ok", "warn"} <= {json.loads(line)["status"] for line in result.out.splitlines()}


def test_criteria_taps_and_neurons(outrider, model):
    result = outrider(
        "profile", model, "digits:train", *PROFILE, "--taps", "@relu", "--neurons", "unit,grid2",
        "--criterion", "*:unit=single_range", "--criterion", "relu:grid2=multi_range(sections=8, cost=log)",
        "--criterion", "softmax", "--json",
    )  # fmt: skip
    columns = [(column["tap"], column["criterion"]["name"]) for column in json.loads(result.out)["columns"]]
    assert columns == [("relu:unit", "single_range"), ("relu:grid2", "multi_range"), ("logits:unit", "softmax")]


def test_a_configuration_file_says_what_flags_say(outrider, model, tmp_path):
    flags = ("--neurons", "unit,channel", "--trusted-confidence", "0.8", "--criterion", "multi_range(sections=4)")
    outrider("profile", model, "digits:train", "-o", "flags.outrider", "--rows", "1:500", *flags)
    (tmp_path / "settings.yaml").write_text(
        "output: yaml.outrider\nrows: 1:500\nneurons: [unit, channel]\ntrusted_confidence: 0.8\n"
        "criterion:\n  - multi_range(sections=4)\n"
    )
    assert outrider("profile", model, "digits:train", "--config", "settings.yaml").code == 0
    assert (tmp_path / "flags.outrider").read_bytes() == (tmp_path / "yaml.outrider").read_bytes()


def test_flags_win_over_the_file(outrider, model, tmp_path):
    (tmp_path / "settings.yaml").write_text("rows: :500\nbatch-size: 50\njson: true\ncriterion: neuron_rank\n")
    command = ("profile", model, "digits:train", "-o", "new.outrider", "--config=settings.yaml", "--rows=:300")
    facts = json.loads(outrider(*command, "--criterion", "gaussian").out)
    assert facts["trusted"]["frames"] == 300
    assert {column["criterion"]["name"] for column in facts["columns"]} == {"gaussian"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minimum-per-clas: 3", "unknown key 'minimum-per-clas'; did you mean minimum-per-class"),
        ("speed: 3", "unknown key 'speed'; known are batch-size, classes, criterion,"),
        ("config: other.yaml", "unknown key 'config'"),
        ("- rows", "expected lines of the form `flag: value`, got list"),
        ("rows: {a: 1}", "rows: expected a value or a list of values, got {'a': '1'}"),
        ("json: maybe", "json: expected true or false, got 'maybe'"),
        ("size: 3", "size: expected 2 value(s), got '3'"),
        ("batch-size: 0", "argument --batch-size: expected a whole number of at least 1, got '0'"),
        ("rows: [", "expected YAML, got"),
    ],
)
def test_errors_of_the_configuration(outrider, model, tmp_path, text, message):
    (tmp_path / "settings.yaml").write_text(text)
    assert message in error_of(outrider("profile", model, "digits:train", *PROFILE[:2], "--config", "settings.yaml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("chek",), "invalid choice: 'chek'"),
        (("profile", "--config"), "argument --config: expected one argument"),
        (("inspect", "none.outrider"), "none.outrider: expected a profile, got no such file"),
        (("profile", "none.onnx", "digits:train", "-o", "x"), "none.onnx: expected an ONNX model, got no such file"),
        (("profile", "lenet", "digits:train", "-o", "x"), "expected NETWORK as model.onnx, zoo:NAME, "),
        (("profile", "{model}", "digits:train"), "the following arguments are required: -o/--output"),
        (("profile", "{model}", "photos", "-o", "x"), "photos: no such file or folder, and no data set NAME:train"),
        (("profile", "{model}", "digits", "-o", "x"), "expected split 'train' or 'test', got ''"),
        (
            ("profile", "{model}", "digits:train", "-o", "x", "--rows", "9000:"),
            "digits:train: --rows 9000: leaves none of 1,437 samples",
        ),
        (
            ("calibrate", "{profiled}", "digits:train", "--network", "{model}", "--rows", "9000:"),
            "digits:train: --rows 9000: leaves none of",
        ),
        (
            ("check", "{profiled}", "digits:test", "--network", "{model}", "--rows", "9:9"),
            "digits:test: --rows 9:9 leaves none of 360",
        ),
        (
            ("compare", "{model}", "{model}", "--frames", "digits:test", "--rows", "9000:"),
            "--rows 9000: leaves none of 360",
        ),
        (
            ("check", "{model}", "digits:test"),
            "digits.onnx is a model; expected a profile, as `outrider profile {model} DATA -o ",
        ),
        (("profile", "{model}", "digits:train", "-o", "x", "--rows", "9"), "argument --rows: expected START:STOP, got"),
        (("profile", "{model}", "digits:train", "-o", "x", "--mean", "a"), "expected numbers joined by commas, got"),
        (("profile", "{model}", "digits:train", "-o", "x", "--taps", "conv9"), "'conv9'"),
        (
            ("profile", "{model}", "digits:train", "-o", "x", "--criterion", "single_rnge"),
            "did you mean 'single_range'?",
        ),
        (("profile", "{model}", "digits:train", "-o", "none/x"), "none/x: expected a folder to write to, got no"),
        (
            ("check", "{profiled}", "digits:test", "--network", "{model}"),
            "`outrider calibrate {profiled} HELD_OUT` sets it",
        ),
        (
            ("check", "{profiled}", "digits:test", "--network", "zoo:lenet"),
            "engine: expected onnx, got zoo:lenet; `outrider compare NETWORK zoo:lenet --profile ",
        ),
        (("check", "{profiled}", "digits:test"), "got no .onnx file of SHA-256"),
        (
            ("calibrate", "{profiled}", "digits:train", "--network", "{model}", "--rows", ":50"),
            "expected at least 198 held-out frames for a false-alarm rate of 0.01, got",
        ),
        (("calibrate", "{profiled}", "digits:train", "--fps", "30"), "expected --fps and --hours together, got one"),
        (
            ("calibrate", "{profiled}", "digits:train", "--fps", "30", "--hours", "1", "--false-alarm-rate", "0.1"),
            "expected --false-alarm-rate or --fps with --hours, got both",
        ),
    ],
)  # fmt: skip
def test_errors(outrider, model, profiled, arguments, message):
    places = {"model": model, "profiled": profiled}
    assert message.format(**places) in error_of(outrider(*(argument.format(**places) for argument in arguments)))


def test_a_truncated_profile(outrider, calibrated, tmp_path):
    (tmp_path / "short.outrider").write_bytes(calibrated.read_bytes()[:-100])
    for command in (("inspect", "short.outrider"), ("check", "short.outrider", "digits:test")):
        assert "short.outrider: expected a profile, got a file that is truncated" in error_of(outrider(*command))


def test_the_profile_of_another_network(outrider, model, calibrated, tmp_path):
    onnx = pytest.importorskip("onnx")
    other = onnx.load(model)
    other.graph.name = "another"
    onnx.save(other, tmp_path / "another.onnx")
    message = error_of(outrider("check", calibrated, "digits:test", "--network", "another.onnx"))
    assert "expected the network it was learned from, got another: SHA-256: expected" in message
    other.graph.node[-1].output[0] = other.graph.output[0].name = "9"
    onnx.save(other, tmp_path / "another.onnx")
    message = error_of(outrider("check", calibrated, "digits:test", "--network", "another.onnx"))
    assert "expected the network it was learned from, got another: SHA-256: expected" in message


def test_an_unreadable_picture_is_named(outrider, calibrated, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert "photo.png: expected a picture, got" in error_of(outrider("check", calibrated, "photo.png"))


def test_too_few_classes_in_the_folders(outrider, model, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        image.new("L", (8, 8)).save(tmp_path / "photos" / name / "0.png")
    command = ("profile", model, "photos", "-o", "x.outrider")
    assert "expected labels of 10 classes, as the network has, got 2" in error_of(outrider(*command))


def test_a_thin_class_is_a_warning_line(outrider, model):
    result = outrider("profile", model, "digits:train", "-o", "new.outrider", "--rows", ":60")
    assert result.code == 0
    assert result.err.startswith("outrider: warning: ")
    assert "fewer than 5 trusted frames" in result.err


@pytest.mark.parametrize("add_arguments", COMMANDS)
def test_every_flag_says_what_it_means(add_arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert [action.option_strings for action in parser._actions if not action.help] == []


def test_debug_shows_where(outrider):
    result = outrider("inspect", "none.outrider", "--debug")
    assert result.code == 2
    assert "Traceback" in result.err


@pytest.fixture
def ctrl_c(monkeypatch):
    """Ctrl-C in the middle of the third batch."""
    read = sources.Source.sample

    def interrupted(self, index, preprocessing):
        if index == 150:
            signal.raise_signal(signal.SIGINT)
        return read(self, index, preprocessing)

    monkeypatch.setattr(sources.Source, "sample", interrupted)


def profile_of(model, output):
    return "profile", model, "digits:train", "-o", output, "--rows", ":1000", "--neurons", "unit,channel"


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_and_resume_equal_a_run_without(outrider, model, monkeypatch, tmp_path):
    result = outrider(*profile_of(model, "halves.outrider"))
    assert result.code == 130
    assert result.err == (
        "outrider: interrupted; the same command with --resume goes on from halves.outrider.partial\n"
    )
    assert not (tmp_path / "halves.outrider").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    message = error_of(outrider(*profile_of(model, "halves.outrider")))
    assert message == (
        "halves.outrider.partial holds an interrupted run; go on with --resume, or delete it to begin anew"
    )
    assert outrider(*profile_of(model, "halves.outrider"), "--resume").code == 0
    assert outrider(*profile_of(model, "whole.outrider")).code == 0
    assert (tmp_path / "halves.outrider").read_bytes() == (tmp_path / "whole.outrider").read_bytes()
    assert not (tmp_path / "halves.outrider.partial").exists()


def test_a_second_ctrl_c_stops_at_once(outrider, model, monkeypatch, tmp_path):
    def interrupted_twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("went on")

    monkeypatch.setattr(sources.Source, "batches", interrupted_twice)
    assert outrider(*profile_of(model, "new.outrider")).code == 130
    assert not (tmp_path / "new.outrider").exists()


def test_no_terminal_obeys_the_name_of_a_picture(outrider, calibrated, tmp_path):
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    image.fromarray(noise).save(folder / "[red]\x1b[2J.png")
    result = outrider("check", calibrated, folder)
    assert result.code == 1
    assert "[red]\\x1b[2J.png" in result.out
    assert "\x1b" not in result.out
