"""`outrider calibrate`: where it writes, and which rate it is given."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from outrider.networks import load_dataset
from outrider.runtime import read_kept

from ..outcomes import error_of, save


def test_calibrate_in_place_or_elsewhere(outrider, model, profiled, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")  # the history says when
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


def test_each_drive_counts_as_one(outrider, model, profiled, tmp_path):
    images = load_dataset("digits", "train").images[1000:]
    drives = np.arange(len(images)) % 41
    folder = tmp_path / "drives"
    folder.mkdir()
    for drive in range(41):
        save(folder / f"{drive:02}", images[drives == drive][:, 0])
    np.savez(tmp_path / "in-one.npz", images=images, drives=drives)
    options = "--network", model, "--false-alarm-rate", "0.05", "-o", "other.outrider"
    for data in ("drives", "in-one.npz"):
        said = outrider("calibrate", profiled, data, *options, "--by-drive")
        assert said.code == 0
        assert "of 20 drives" in said.out
        told = json.loads(outrider("inspect", "other.outrider", "--json").out)["calibration"]
        assert told["drives"] == 20
        shown = " ".join(outrider("inspect", "other.outrider").out.split())
        assert f"seen on {told['n']} held-out frames of 20 drives" in shown
    assert json.loads(outrider("calibrate", profiled, "drives", *options, "--json").out)["drives"] is None
    few = error_of(outrider("calibrate", profiled, "digits:train", "--rows", "1000:", *options, "--by-drive"))
    assert "expected frames of at least 38 held-out drives" in few
    np.savez(tmp_path / "odd.npz", images=images, drives=drives[1:])
    assert f"expected {len(images)} numbers or names of drives" in error_of(
        outrider("calibrate", profiled, "odd.npz", *options)
    )


def test_whole_drives_and_a_new_place_are_said_to_promise_what_they_do(outrider, model, profiled, tmp_path):
    images = load_dataset("digits", "train").images[1000:]
    np.savez(tmp_path / "drives.npz", images=images, drives=np.arange(len(images)) % 20)
    np.savez(tmp_path / "place.npz", images=images[:40] * np.float32(0.9))
    options = "--network", model, "--false-alarm-rate", "0.1"
    result = outrider("calibrate", profiled, "drives.npz", *options, "-o", "other.outrider", "--groups")
    assert "promised: of the frames of one whole new drive drawn like the 10 held-out ones at most 0.1" in result.out
    shown = " ".join(outrider("inspect", "other.outrider").out.split())
    assert "promised of the frames of one whole new drive drawn like the 10 held-out ones" in shown
    told = json.loads(outrider("inspect", "other.outrider", "--json").out)["calibration"]
    assert (told["group_confidence"], "whole new drive" in told["promise"]) == (0.9, True)
    few = outrider("calibrate", profiled, "drives.npz", *options, "--groups", "--group-confidence", "0.95")
    assert "expected frames of at least 38 held-out drives for a chance of 0.95" in error_of(few)
    result = outrider("calibrate", "other.outrider", "place.npz", *options, "--keep-scales")
    assert result.out.startswith("40 held-out frames set the threshold; ")
    facts = json.loads(outrider("inspect", "other.outrider", "--json").out)
    assert [change["what"] for change in facts["history"]] == ["calibrated", "calibrated, scales kept"]
    assert "drawn like the 40 held-out ones" in facts["calibration"]["promise"]
    for wrong, said in (
        (("--groups", "--by-drive"), "expected --by-drive or --groups, got both"),
        (("--group-confidence", "0.8"), "expected --group-confidence with --groups, got it alone"),
        (("--groups", "--per-class"), "expected groups alone, got per_class too"),
    ):
        assert said in error_of(outrider("calibrate", "other.outrider", "drives.npz", *options, *wrong))
    never = error_of(outrider("calibrate", profiled, "place.npz", *options, "-o", "new.outrider", "--keep-scales"))
    assert "expected a calibrated profile, got one without a threshold" in never


def test_a_threshold_by_hand_needs_neither_data_nor_network(outrider, calibrated, tmp_path):
    shutil.copy(calibrated, tmp_path / "mine.outrider")
    result = outrider("calibrate", "mine.outrider", "--threshold", "7.25", "--reason", "rain on the lens")
    assert result.code == 0
    assert " -> 7.25: rain on the lens\n" in result.out
    facts = json.loads(outrider("inspect", "mine.outrider", "--json").out)
    assert set(facts["calibration"]["thresholds"]) == {7.25}
    assert [(change["what"], change["reason"]) for change in facts["history"]] == [
        ("calibrated", ""), ("threshold set", "rain on the lens"),
    ]  # fmt: skip
    shown = outrider("inspect", "mine.outrider").out
    assert "-> 7.25" in shown
    assert "rain on the lens" in shown
    each = ",".join(str(1 + c / 4) for c in range(10))
    said = json.loads(outrider("calibrate", "mine.outrider", "--threshold", each, "--json").out)
    assert said["thresholds"] == [1 + c / 4 for c in range(10)]
    assert said["change"]["before"] == 7.25
    shown = outrider("inspect", "mine.outrider").out
    assert "its own" in shown
    assert "3.25" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "expected DATA, --scores FILE, --threshold X or --from LOG, got none of them"),
        (("digits:test", "--threshold", "3"), "expected --threshold X alone, got DATA too"),
        (("--threshold", "3", "--false-alarm-rate", "0.1"), "expected --threshold X alone, got --false-alarm-rate too"),
        (("--threshold", "-3"), "expected a threshold that is finite and not negative"),
        (("--threshold", "1,2"), "expected one threshold, or 10, one for each class"),
        (("--from", "none.jsonl", "--per-class"), "expected --from LOG alone, got --per-class too"),
        (("--from", "none.jsonl", "--groups"), "expected --from LOG alone, got --groups too"),
        (("--threshold", "3", "--keep-scales"), "expected --threshold X alone, got --keep-scales too"),
        (("--from", "none.jsonl"), "none.jsonl"),
    ],
)
def test_what_sets_no_threshold_is_refused(outrider, calibrated, tmp_path, arguments, said):
    shutil.copy(calibrated, tmp_path / "mine.outrider")
    assert said in error_of(outrider("calibrate", "mine.outrider", *arguments))
    assert (tmp_path / "mine.outrider").read_bytes() == calibrated.read_bytes()


def test_a_profile_is_never_calibrated_on_its_own_frames(outrider, model, profiled):
    result = outrider(
        "calibrate", profiled, "digits:train", "--rows", ":1000", "--network", model, "-o", "other.outrider"
    )
    assert "got 1,000 of 1,000 that it was learned from" in error_of(result)


def test_a_drive_that_kept_clean_frames_recalibrates(outrider, model, calibrated, tmp_path):
    images = load_dataset("digits", "test").images
    save(tmp_path / "drive", images[:, 0])
    shutil.copy(calibrated, tmp_path / "mine.outrider")
    watch = ("watch", "mine.outrider", "drive", "--network", model, "--quiet")
    assert "expected --keep-clean with --log FILE" in error_of(outrider(*watch, "--keep-clean", "1"))
    assert outrider(*watch, "--log", "events.jsonl", "--keep-clean", "1").code in (0, 1)
    kept = read_kept("events.jsonl")
    assert kept.frames == len(images)
    result = outrider(
        "calibrate",
        "mine.outrider",
        "--from",
        "events.jsonl",
        "--false-alarm-rate",
        "0.3",
        "--reason",
        "the new camera",
    )
    assert result.code == 0
    assert ": the new camera: " in result.out
    facts = json.loads(outrider("inspect", "mine.outrider", "--json").out)
    change = facts["history"][-1]
    assert (change["what"], change["rate"]) == ("recalibrated", 0.3)
    assert change["after"] < change["before"]
    assert facts["calibration"]["realised"] == pytest.approx(0.3, abs=0.02)
    again = outrider("calibrate", "mine.outrider", "--from", "events.jsonl")
    assert "expected the log of a guard with this profile, got another: profile: expected " in error_of(again)
    assert "…; a profile that was calibrated since then is another one" in error_of(again)


def test_kinds_are_learned_shown_and_said_of_alarms(outrider, calibrated, tmp_path):
    """From the shell to the table, the lines of JSON and what `inspect` says."""
    shutil.copy(calibrated, tmp_path / "mine.outrider")
    network = "--network", calibrated.with_name("digits.onnx")
    held_out = "mine.outrider", "digits:test", *network, "--false-alarm-rate", "0.05", "--accept-rate", "1"
    said = outrider("calibrate", *held_out, "--kinds")
    assert said.code == 0, said.err
    assert "kinds of alarms: sensor" in said.out
    facts = json.loads(outrider("inspect", "mine.outrider", "--json").out)["calibration"]["kinds"]
    assert facts["frames"] == 360
    shown = outrider("inspect", "mine.outrider").out
    assert "kind of alarm" in shown
    assert "named, where its cause was left out of learning" in shown
    dead = load_dataset("digits", "test").floats()[:12]
    dead[:, :, [2, 3]] = 0
    np.save(tmp_path / "dead.npy", dead)
    lines = [
        json.loads(one) for one in outrider("check", "mine.outrider", "dead.npy", *network, "--json").out.splitlines()
    ]
    kinds = [line["kind"] for line in lines]
    assert all((line["kind"] == "") == (line["status"] == "ok") for line in lines)
    assert "sensor" in kinds
    head, *rows = outrider("check", "mine.outrider", "dead.npy", *network).out.splitlines()
    assert "kind" in head.split()
    assert [row.split()[6] for row in rows[:12] if "ALARM" in row] == [kind for kind in kinds if kind]


def test_kinds_need_data(outrider, calibrated):
    said = error_of(outrider("calibrate", calibrated, "--threshold", "3", "--kinds"))
    assert "expected --threshold X alone, got --kinds too" in said
