"""`outrider check`: its exit status, its table and its lines of JSON."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from outrider.networks import load_dataset
from outrider.runtime.cli.commands import check as check_command

from ..outcomes import error_of


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8))
    return path


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


@pytest.fixture
def thin(outrider, model, tmp_path, clean):
    """A profile of folders in which the threes are missing, and a folder with one of them for each class."""
    image = pytest.importorskip("PIL.Image")
    digits = load_dataset("digits", "train")
    for part, rows in (("trusted", slice(0, 600)), ("held", slice(600, 1400)), ("new", slice(1400, 1437))):
        for row in range(*rows.indices(len(digits))):
            label = int(digits.labels[row])
            if label != 3 or part == "new":
                (tmp_path / part / f"kind_{label}").mkdir(parents=True, exist_ok=True)
                image.fromarray(digits.images[row, 0]).save(tmp_path / part / f"kind_{label}" / f"{row}.png")
    (tmp_path / "trusted" / "kind_3").mkdir()
    image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "trusted" / "kind_3" / "black.png")
    outrider("profile", model, "trusted", "-o", "thin.outrider")
    shutil.copy(model, tmp_path / "thin.onnx")
    outrider("calibrate", "thin.outrider", "held", "--network", model, "--false-alarm-rate", "0.1")
    return "thin.outrider", "--network", model


def test_why_is_in_words_and_the_same_in_table_and_json(outrider, thin):
    profile, *network = thin
    lines = [json.loads(line) for line in outrider("check", profile, "new", *network, "--json").out.splitlines()]
    rows = outrider("check", profile, "new", *network).out.splitlines()
    due = "class 3 (kind_3) is not covered: 0 trusted frames, fewer than 5"
    assert due in {line["reason"] for line in lines}
    for line in lines:
        row = next(row for row in rows if row.startswith(line["frame"]))
        assert row.rstrip().endswith(line["reason"])


def test_confidence_is_said_to_be_the_monitors_own(outrider, calibrated, noise):
    heading, *_, note, _ = outrider("check", calibrated, noise).out.splitlines()
    assert "confidence*" in heading
    assert note.startswith("* the monitor's own, 0.5 at the threshold")
    assert "not the network's softmax" in note


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


def test_an_unreadable_picture_is_named(outrider, calibrated, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert "photo.png: expected a picture, got" in error_of(outrider("check", calibrated, "photo.png"))


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


@pytest.fixture
def of_places(outrider, model, tmp_path):
    """A profile of the digits' network by the places of its map."""
    path = tmp_path / "places.outrider"
    rows = "--rows", ":600"
    taps = "--taps", "relu", "--neurons", "pixel", "--criterion", "mahalanobis"
    assert outrider("profile", model, "digits:train", *rows, *taps, "-o", path, "--quiet").code == 0
    held_out = "--rows", "600:1000", "--false-alarm-rate", "0.05", "--quiet"
    assert outrider("calibrate", path, "digits:train", *held_out, "--network", model).code == 0
    return path, "--network", model


def test_maps_are_drawn_and_regions_told(outrider, of_places, noise, tmp_path):
    result = outrider("check", *of_places, noise.name, "--maps", "maps")
    assert result.code == 1
    assert "20 maps in maps" in result.out
    assert "the largest region is " in result.out
    assert min(path.name for path in (tmp_path / "maps").iterdir()).startswith("000001-noise.npy_0_-")
    lines = map(json.loads, outrider("check", *of_places, noise, "--json").out.splitlines())
    first = next(line for line in lines if line["alarm"])
    assert first["regions"][0].keys() >= {"box", "area", "peak", "places", "at", "class_index", "covered"}


def test_maps_want_places(outrider, calibrated, noise):
    assert "expected a profile of places for --maps" in error_of(outrider("check", calibrated, noise, "--maps", "maps"))
