"""A threshold set on what many workers saw is that of all frames in one place, bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, Margin, SingleRange
from outrider.monitor import CalibrationError, MismatchError, Monitor, OutriderWarning, ProfileError
from outrider.monitor.files import packed, unpacked
from outrider.monitor.logic import HarmonicP, Sum
from outrider.monitor.thresholds.gathered import Gathered, ScorePart
from outrider.monitor.thresholds.stored import StoredProfile

from ..conftest import NumpyNetwork, batches, frames

CRITERIA = {"hidden": [SingleRange(), Mahalanobis()], "@output": Margin()}
HELD_OUT = frames(3000, seed=1)


def profiled(logic=None):
    monitor = Monitor(NumpyNetwork(), CRITERIA, logic=logic)
    monitor.profile(batches(frames(2000)))
    return monitor


def gathered(workers, logic=None, data=HELD_OUT, **settings):
    """What so many workers see, as bytes and in another order."""
    monitor = profiled(logic)
    found = [bytes(monitor.score_part(data, (k, workers), **settings)) for k in range(workers)]
    return [found[i] for i in np.random.default_rng(0).permutation(workers)]


def in_one_place(data):
    """The batches that all workers together see."""
    return batches(data, 64)


def saved(monitor, path):
    monitor.save(path)
    return path.read_bytes()


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


@pytest.mark.parametrize("logic", [HarmonicP(), Sum(), None], ids=repr)
@pytest.mark.parametrize("settings", [{}, {"per_class": True, "warning_rate": 0.1}], ids=str)
def test_it_is_the_calibration_of_one_place(tmp_path, logic, settings):
    found = []
    for workers in (0, 1, 3, 64):
        monitor = profiled(logic)
        monitor.calibrate(Gathered(gathered(workers, logic)) if workers else in_one_place(HELD_OUT), 0.02, **settings)
        found.append(saved(monitor, tmp_path / f"{workers}.outrider"))
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize("by", ["drives", "groups"])
def test_drives_reach_over_shards(tmp_path, by):
    names = np.repeat([f"drive {i}" for i in np.random.default_rng(0).permutation(60)], 50)
    alone = profiled()
    alone.calibrate(in_one_place(HELD_OUT), 0.1, **{by: names})
    for workers in (2, 5):
        together, monitor = Gathered(gathered(workers, drives=names)), profiled()
        monitor.calibrate(together, 0.1, **{by: together.drives})
        assert saved(monitor, tmp_path / "a.outrider") == saved(alone, tmp_path / "b.outrider")


def test_frames_that_come_twice_are_left_out_wherever_they_are(tmp_path):
    data = HELD_OUT.copy()
    data[2000:2100], data[50:60] = data[:100], frames(2000)[:10]
    alone, monitor = profiled(), profiled()
    with pytest.warns(OutriderWarning) as said:
        alone.calibrate(in_one_place(data), 0.05)
    wanted = {str(one.message) for one in said}
    together = Gathered(gathered(4, data=data))
    with pytest.warns(OutriderWarning) as said:
        monitor.calibrate(together, 0.05)
    assert {str(one.message) for one in said} == wanted
    assert any("the same as one before" in text for text in wanted)
    assert any("learned from by the profile" in text for text in wanted)
    assert saved(monitor, tmp_path / "a.outrider") == saved(alone, tmp_path / "b.outrider")


def test_no_network_is_needed(tmp_path):
    profile = tmp_path / "profile.outrider"
    profiled().save(profile)
    stored = StoredProfile(profile, calibrated=False)
    stored.calibrate(Gathered(gathered(3)), 0.02)
    monitor = profiled()
    monitor.calibrate(in_one_place(HELD_OUT), 0.02)
    stored.save(tmp_path / "stored.outrider")
    assert saved(monitor, tmp_path / "monitor.outrider") == (tmp_path / "stored.outrider").read_bytes()


def test_scales_may_stay(tmp_path):
    found = []
    for held_out in (Gathered(gathered(3, data=frames(500, seed=9))), in_one_place(frames(500, seed=9))):
        monitor = profiled()
        monitor.calibrate(in_one_place(HELD_OUT), 0.02)
        monitor.calibrate(held_out, 0.02, keep_scales=True)
        found.append(saved(monitor, tmp_path / "one.outrider"))
    assert found[0] == found[1]


def test_a_part_in_a_file(tmp_path):
    part = profiled().score_part(HELD_OUT, "1/4")
    part.save(tmp_path / "part.outrider")
    assert bytes(ScorePart.load(tmp_path / "part.outrider")) == bytes(part)
    assert str(part) == "shard 1/4, 768 held-out frames"
    with pytest.raises(ProfileError, match="expected a profile, got part 1 of 4 of its scores"):
        Monitor.load(tmp_path / "part.outrider", NumpyNetwork())
    profiled().save(tmp_path / "profile.outrider")
    with pytest.raises(ProfileError, match=r"expected scores of held-out frames, .* got a profile"):
        ScorePart.load(tmp_path / "profile.outrider")


def test_workers_without_frames():
    few = frames(150, seed=3)
    found = gathered(5, data=few)
    assert len(Gathered(found).held_out.digests) == 150
    with pytest.raises(ProfileError, match="expected scores of held-out frames, got none"):
        Gathered([])


@pytest.mark.parametrize(
    "change",
    [
        lambda facts, arrays: facts["shard"].update(worker=4),
        lambda facts, arrays: facts["shard"].update(digest="0"),
        lambda facts, arrays: facts["shard"].update(frames=100),
        lambda facts, arrays: facts.pop("profile"),
        lambda facts, arrays: arrays.update(predictions=arrays["predictions"][1:]),
        lambda facts, arrays: arrays.update(sure=arrays["predictions"]),
        lambda facts, arrays: arrays.update(deviations=arrays["deviations"][0]),
        lambda facts, arrays: arrays.update(more=arrays["predictions"]),
        lambda facts, arrays: arrays.pop("uncovered"),
    ],
)
def test_what_cannot_have_been_seen_is_refused(change):
    contents = unpacked(bytes(profiled().score_part(HELD_OUT, "1/4")), "part")
    facts, arrays = json.loads(json.dumps(contents.facts)), dict(contents.arrays)
    change(facts, arrays)
    with pytest.raises(ProfileError, match="part: expected a profile of format 2, got a damaged one"):
        ScorePart.of(packed(facts, arrays))


def test_missing_and_broken_parts_are_named(tmp_path):
    paths = [tmp_path / f"{k}.outrider" for k in range(4)]
    for k, path in enumerate(paths):
        profiled().score_part(HELD_OUT, (k, 4)).save(path)
    with pytest.raises(ProfileError, match=r"missing: rows 704 to 1,471, 2,240 to 2,999 of 3,000 frames"):
        Gathered([paths[0], paths[2]])
    with pytest.raises(ProfileError, match="expected scores of different frames, got rows from 704 on in"):
        Gathered([*paths, paths[1]])
    paths[2].write_bytes(paths[2].read_bytes()[:1000])
    with pytest.raises(ProfileError, match=r"2.outrider: expected .*; missing: rows 1,472 to 2,239 of 3,000 frames"):
        Gathered(paths)
    with pytest.raises(ProfileError, match=r"9.outrider: expected a profile, got no such file"):
        Gathered([tmp_path / "9.outrider"])


def test_parts_of_another_profile_are_refused():
    other = Monitor(NumpyNetwork(), CRITERIA)
    other.profile(batches(frames(1000)))
    mixed = [profiled().score_part(HELD_OUT, "0/2"), other.score_part(HELD_OUT, "1/2")]
    with pytest.raises(MismatchError, match="profile: expected"):
        Gathered(mixed)
    with pytest.raises(MismatchError, match="expected held-out frames that this profile judged"):
        other.calibrate(Gathered(gathered(2)))
    mixed = [profiled().score_part(HELD_OUT, "0/2"), profiled().score_part(HELD_OUT, "1/2", batch_size=32)]
    with pytest.raises(MismatchError, match="size of batches: expected 64, got 32"):
        Gathered(mixed)


def test_too_few_frames_are_told_as_ever():
    with pytest.raises(CalibrationError, match="expected at least 198 held-out frames"):
        profiled().calibrate(Gathered(gathered(2, data=frames(150, seed=4))), 0.01)


def test_drives_of_all_frames_are_asked_for():
    with pytest.raises(ValueError, match="expected the drive of each of 3,000 frames, got 1,500"):
        profiled().score_part(HELD_OUT, "0/2", drives=np.zeros(1500, int))


def test_a_recurrent_network_is_refused():
    monitor = profiled()
    monitor.network.memory = object()
    with pytest.raises(ProfileError, match="got a recurrent one"):
        monitor.score_part(HELD_OUT, "0/2")
