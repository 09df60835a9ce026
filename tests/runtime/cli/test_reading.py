"""Frames that cannot be read and files that are no frames: which commands go on, and what each says."""

from __future__ import annotations

import json

import pytest

from .outcomes import CROWD, TORN, crowd, error_of, lines_of, save


@pytest.fixture
def torn(tmp_path, clean):
    """Twelve digits of which the fifth cannot be read."""
    folder = save(tmp_path / "torn", clean[:12])
    (folder / "4.png").write_bytes(TORN)
    return folder


def check(outrider, calibrated, folder, *options):
    return outrider("check", calibrated, folder, *options)


def test_a_clean_folder_says_nothing_more(outrider, calibrated, covered):
    assert check(outrider, calibrated, covered).out.splitlines()[-1] == "10 frames, 0 alarms (0.00%)"
    assert all(line["frame"] for line in lines_of(check(outrider, calibrated, covered, "--json")))


def test_a_crowded_folder_never_says_0_alarms_alone(outrider, calibrated, covered):
    crowd(covered)
    result = check(outrider, calibrated, covered)
    assert (result.code, result.out.splitlines()[-1]) == (0, f"10 frames, 0 alarms (0.00%); {CROWD}")
    *frames, last = lines_of(check(outrider, calibrated, covered, "--json"))
    assert len(frames) == 10
    assert last == {
        "frame": None, "frames": 10, "alarms": 0, "faults": 0, "followed": 0, "unreadable": {},
        "skipped": {"hidden file": 2, ".txt": 150},
    }  # fmt: skip


def test_watch_says_it_too(outrider, calibrated, covered):
    crowd(covered)
    assert CROWD in outrider("watch", calibrated, covered).out.splitlines()
    last = lines_of(outrider("watch", calibrated, covered, "--json", "--quiet"))[-1]
    assert last == {"frame": None, "followed": 0, "skipped": {"hidden file": 2, ".txt": 150}}


def test_learning_and_comparing_say_it_too(outrider, model, profiled, calibrated, tmp_path, clean):
    folder = crowd(save(tmp_path / "many", [*clean[:30], *clean[:30]]))
    out = ("-o", "new.outrider", "--no-labels")
    assert outrider("profile", model, folder, *out).out.splitlines()[-1] == CROWD
    facts = json.loads(outrider("profile", model, folder, *out, "--json").out)
    read = {"frames": 60, "followed": 0, "skipped": {"hidden file": 2, ".txt": 150}, "unreadable": {}}
    assert facts["data"] == read
    held = ("calibrate", calibrated, folder, "-o", "set.outrider", "--network", model, "--false-alarm-rate", "0.2")
    assert outrider(*held).out.splitlines()[-1] == CROWD
    assert json.loads(outrider(*held, "--json").out)["data"] == read
    assert outrider("compare", model, model, "--frames", folder).out.splitlines()[-1] == CROWD
    assert json.loads(outrider("compare", model, model, "--frames", folder, "--json").out)["data"] == read


@pytest.mark.parametrize("size", ["1", "3", "64"])
def test_stop_prints_what_was_checked_before(outrider, calibrated, torn, size):
    result = check(outrider, calibrated, torn, "--batch-size", size)
    assert result.code == 2
    names = [line.split()[0] for line in result.out.splitlines() if ".png" in line]
    assert [name.rpartition("/")[2] for name in names] == ["0.png", "1.png", "10.png", "11.png", "2.png", "3.png"]
    assert "4.png: expected a picture, got" in result.err
    assert "--on-error skip leaves out what cannot be read" in result.err
    lines = lines_of(check(outrider, calibrated, torn, "--batch-size", size, "--json"))
    assert [line["alarm"] for line in lines] == [False] * 6


@pytest.mark.parametrize("size", ["1", "3", "64"])
def test_skip_leaves_it_out_counts_and_names_it(outrider, calibrated, torn, size):
    result = check(outrider, calibrated, torn, "--batch-size", size, "--on-error", "skip")
    assert result.code == 0
    assert "11 frames, 0 alarms (0.00%); 1 frame cannot be read:" in result.out
    assert f"  {torn}/4.png: expected a picture, got" in result.out.splitlines()[-1]
    last = lines_of(check(outrider, calibrated, torn, "--on-error", "skip", "--json"))[-1]
    assert (last["frames"], last["alarms"], list(last["unreadable"])) == (11, 0, [f"{torn}/4.png"])


@pytest.mark.parametrize("size", ["1", "3", "64"])
def test_alarm_makes_it_a_fault_in_its_place(outrider, calibrated, torn, size):
    result = check(outrider, calibrated, torn, "--batch-size", size, "--on-error", "alarm")
    assert result.code == 1
    assert "12 frames, 1 alarm (8.33%), 1 of them faults" in result.out
    lines = lines_of(check(outrider, calibrated, torn, "--on-error", "alarm", "--batch-size", size, "--json"))
    assert [line["status"] for line in lines[:12]] == ["ok"] * 6 + ["fault"] + ["ok"] * 5
    assert lines[6]["frame"] == f"{torn}/4.png"
    assert lines[6]["score"] is None
    assert lines[6]["reason"].startswith(f"{torn}/4.png: expected a picture")


def test_nothing_that_can_be_read_is_no_clean_folder(outrider, calibrated, tmp_path):
    for row in range(3):
        (tmp_path / f"{row}.png").write_bytes(TORN)
    message = error_of(check(outrider, calibrated, tmp_path, "--on-error", "skip"))
    assert message.startswith(f"expected a frame that can be read, got none of 3; {tmp_path}/0.png: ")
    result = check(outrider, calibrated, tmp_path, "--on-error", "alarm")
    assert (result.code, "3 frames, 3 alarms (100.00%), 3 of them faults" in result.out) == (1, True)


def test_a_profile_leaves_out_even_the_first(outrider, model, calibrated, tmp_path, clean):
    folder = save(tmp_path / "many", [*clean[:30], *clean[:30]])
    for name in ("0.png", "17.png"):
        (folder / name).write_bytes(TORN)
    learn = ("profile", model, folder, "-o", "new.outrider", "--no-labels", "--quiet")
    assert outrider(*learn).code == 2
    result = outrider(*learn, "--on-error", "skip", "--json")
    facts = json.loads(result.out)
    assert (result.code, facts["trusted"]["frames"], facts["data"]["frames"]) == (0, 58, 58)
    assert list(facts["data"]["unreadable"]) == [f"{folder}/0.png", f"{folder}/17.png"]
    held = ("calibrate", calibrated, folder, "--network", model, "-o", "set.outrider", "--false-alarm-rate", "0.2")
    assert outrider(*held).code == 2
    result = outrider(*held, "--on-error", "skip")
    assert result.code == 0
    assert "2 frames cannot be read:" in result.out


def test_a_profile_that_stops_goes_on_behind_what_it_learned(outrider, model, tmp_path, clean):
    folder = save(tmp_path / "many", [*clean[:30], *clean[:30]])
    whole = (folder / "40.png").read_bytes()
    (folder / "40.png").write_bytes(TORN)
    learn = ("profile", model, folder, "-o", "new.outrider", "--no-labels", "--quiet", "--batch-size", "16")
    assert "with --resume it goes on from new.outrider.partial" in error_of(outrider(*learn))
    (folder / "40.png").write_bytes(whole)
    resumed = json.loads(outrider(*learn, "--resume", "--json").out)
    assert resumed["trusted"]["frames"] == 60
    assert json.loads(outrider(*learn, "--json").out)["trusted"] == resumed["trusted"]
