from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Energy,
    Gaussian,
    HeadCoverage,
    Mahalanobis,
    Margin,
    MultiRange,
    NearestNeighbour,
    Neighbours,
    NeuronRank,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)
from outrider.monitor import (
    MismatchError,
    Monitor,
    OutriderWarning,
    ProfileError,
    ZScore,
    read_facts,
)
from outrider.monitor.files.container import with_digest
from outrider.monitor.files.profile_file import read_profile, write_profile
from outrider.networks import Preprocessing, Taps

from ..conftest import NumpyNetwork, batches, frames

EVERY = {
    "hidden": [
        SingleRange(),
        SingleRange(quantile=0.01, magnitude=True),
        MultiRange(4, "log"),
        CoverageBitmap(),
        NeuronRank(),
        NearestNeighbour(capacity=10),
        Neighbours(samples=10),
        ClassMahalanobis(),
        HeadCoverage(channels=2, capacity=10),
        Gaussian(),
        Mahalanobis(),
        RelativeMahalanobis(),
        Pattern(capacity=10),
        Box(capacity=10),
    ],
    "@output": [Softmax(), Margin(), Energy()],
}


@pytest.fixture
def path(tmp_path, monitor):
    monitor.save(tmp_path / "m.outrider")
    return tmp_path / "m.outrider"


def test_a_loaded_monitor_gives_the_same_verdicts(tmp_path, network):
    monitor = Monitor(network, EVERY, logic=ZScore())
    monitor.profile(batches(frames(1000)))
    monitor.calibrate(batches(frames(800, seed=1)), 0.05, per_class=True, warning_rate=0.2)
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network)
    new = np.concatenate([frames(100, seed=2), frames(20, seed=3, far=4)])
    (_, before), (_, after) = monitor.check(new), again.check(new)
    np.testing.assert_array_equal(after.deviation, before.deviation)
    np.testing.assert_array_equal(after.score, before.score)
    assert list(map(str, after)) == list(map(str, before))
    assert str(again.calibration) == str(monitor.calibration)
    assert again.describe() == monitor.describe()
    again.save(tmp_path / "again.outrider")
    assert (tmp_path / "again.outrider").read_bytes() == (tmp_path / "m.outrider").read_bytes()


def test_a_loaded_profile_can_be_calibrated(tmp_path, network):
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(1000)))
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network)
    assert again.calibration is None
    held_out = frames(500, seed=1)
    assert str(again.calibrate(batches(held_out), 0.05)) == str(monitor.calibrate(batches(held_out), 0.05))


def test_the_bytes_of_a_small_profile_stay_what_they_are(tmp_path):
    """Golden bytes: a change here is a change of the format and wants a new number."""
    network = NumpyNetwork()
    network.first[:] = np.arange(96).reshape(6, 16) % 4  # whole numbers: exact whatever multiplies them
    network.second[:] = np.arange(48).reshape(16, 3) % 5
    network.fingerprint = "0" * 64
    monitor = Monitor(network, {"hidden": SingleRange()})
    with pytest.warns(OutriderWarning, match="classes have fewer"):
        monitor.profile([np.arange(60, dtype=np.float32).reshape(10, 6)])
    monitor.learned.trusted.probe = np.zeros((1, 1), np.float32)
    monitor.save(tmp_path / "golden.outrider")
    data = (tmp_path / "golden.outrider").read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    facts = json.loads(header.pop("__metadata__")["outrider"])
    assert facts == {
        "calibration": None,
        "columns": [{"criterion": {"magnitude": False, "name": "single_range", "quantile": 0.0}, "group": 0, "tap": 0}],
        "complete": True,
        "format": 2,
        "logic": {"name": "sum"},
        "network": {
            "classes": 3,
            "engine": "numpy",
            "fingerprint": "0" * 64,
            "input_shape": [6],
            "preprocessing": None,
            "taps": [
                {"dtype": "float32", "kind": "relu", "layout": "NC", "name": "hidden", "neurons": "unit", "shape": [16]}
            ],
        },
        "trusted": {
            "confidence": 0.9,
            "frames": 10,
            "labelled": False,
            "minimum_per_class": 5,
            "non_finite": 0,
            "spooled": 10,
        },
    }
    assert {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()} == {
        "column.0.count": ("I64", [3]),
        "column.0.high": ("F32", [3, 16]),
        "column.0.low": ("F32", [3, 16]),
        "trusted.digests": ("U64", [10]),
        "trusted.per_class": ("I64", [3]),
        "trusted.probe": ("F32", [1, 1]),
    }
    assert hashlib.sha256(data).hexdigest() == GOLDEN_SHA256


GOLDEN_SHA256 = "dbd75ebfea80f78d0d777b2140d52af5a2899099dedfb4709da24bf372d2ab20"


def test_nothing_but_finished_files_is_left_in_the_folder(path):
    assert [file.name for file in path.parent.iterdir()] == ["m.outrider"]


def test_another_network_is_refused_by_name_of_what_differs(path):
    with pytest.raises(
        MismatchError, match=r"expected the network it was learned from, got another:\n  SHA-256: expected"
    ):
        Monitor.load(path, NumpyNetwork(seed=7))
    with pytest.raises(MismatchError) as caught:
        Monitor.load(path, NumpyNetwork(classes=None))
    assert "classes: expected 3, got None" in str(caught.value)
    assert "tap logits:unit: expected (3,), got no such tap" in str(caught.value)


def test_a_missing_file_is_named(tmp_path, network):
    with pytest.raises(FileNotFoundError, match=r"none.outrider: expected a profile, got no such file"):
        Monitor.load(tmp_path / "none.outrider", network)
    with pytest.raises(FileNotFoundError, match=f"{tmp_path.name}: expected a profile, got a folder"):
        Monitor.load(tmp_path, network)


@pytest.mark.parametrize("keep", [0, 1, 7, 8, 9, 100, 0.5, 0.99, -1])
def test_a_truncated_file_is_refused(path, network, keep):
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(ProfileError, match=r"got a file that (is truncated or none|was altered or cut short)"):
        Monitor.load(path, network)


def edited(path, change):
    """The file with its metadata changed by `change`, a function on the facts and on the header; the digest fits."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    facts = json.loads(header["__metadata__"]["outrider"])
    change(facts, header)
    metadata = header.get("__metadata__", {})
    if "outrider" in metadata:
        metadata["outrider"] = json.dumps(facts)
    text = json.dumps(header, separators=(",", ":")).encode()
    spoiled = struct.pack("<Q", len(text)) + text + data[8 + length :]
    path.write_bytes(with_digest(spoiled) if "digest" in metadata else spoiled)


def put(*keys_and_value):
    *keys, last, value = keys_and_value

    def change(facts, header):
        place = facts
        for key in keys:
            place = place[key]
        place[last] = value

    return change


def two_in_a_group(facts, header):
    for column in facts["columns"]:
        column["group"] = 0


HOSTILE = {
    "other format": (put("format", 3), "expected profile format 2, got 3; use the Outrider that wrote it"),
    "no metadata": (lambda f, h: h.pop("__metadata__"), "got a safetensors file without 'outrider'"),
    "metadata no object": (lambda f, h: h["__metadata__"].clear(), "got a safetensors file without 'outrider'"),
    "no network": (lambda f, h: f.pop("network"), "got a damaged one: no 'network'"),
    "network no object": (put("network", 3), "got a damaged one"),
    "negative classes": (put("network", "classes", -1), "expected a number of classes, got -1"),
    "huge classes": (put("network", "classes", 10**15), "got a damaged one"),
    "a map of no class": (put("network", "map_classes", 0), "expected a map of 2 classes or more, got 0"),
    "scores in a list": (put("network", "logits", [1]), r"expected the index or name of an output, got \[1\]"),
    "huge tap": (put("network", "taps", 0, "shape", [10**15]), "got a damaged one"),
    "tap of text": (put("network", "taps", 0, "shape", ["a"]), "got a damaged one"),
    "tap elsewhere": (put("columns", 0, "tap", 9), "column 0 is of tap 9 of 2"),
    "unknown criterion": (put("columns", 0, "criterion", {"name": "os.system"}), "expected a criterion among"),
    "huge sections": (put("columns", 0, "criterion", {"name": "multi_range", "sections": 10**12}), "damaged one"),
    "no columns": (put("columns", []), "columns are grouped as"),
    "jumping groups": (put("columns", 2, "group", 7), "columns are grouped as"),
    "two criteria in one group": (two_in_a_group, "expected one criterion in group 0, got several"),
    "another setting": (put("columns", 0, "criterion", {"name": "gaussian"}), "damaged one"),
    "unknown logic": (put("logic", "name", "pickle"), "expected a logic among"),
    "other logic": (put("logic", {"name": "sum"}), "the scales are not those of"),
    "negative threshold": (put("calibration", "interval", [0]), "got a damaged one"),
    "excluded no object": (put("calibration", "excluded", 3), "got a damaged one"),
    "missing array": (lambda f, h: h.pop("column.0.low"), "got a file that is truncated or none|damaged one: no"),
    "array out of the file": (
        lambda f, h: h["column.0.low"].update(data_offsets=[0, 10**12], shape=[10**12 // 4]),
        "got a file that is truncated or none",
    ),
    "array of another type": (lambda f, h: h["column.0.low"].update(dtype="I32"), "got a damaged one"),
    "array of another shape": (lambda f, h: h["column.0.low"].update(shape=[16, 3]), "got a damaged one"),
}


@pytest.mark.parametrize(("change", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_file_gives_one_clear_error(path, network, change, message):
    edited(path, change)
    with pytest.raises(ProfileError, match=message):
        Monitor.load(path, network)


def test_deeply_nested_metadata_is_refused(path, network):
    def nest(facts, header):
        header["__metadata__"] = {"outrider": "[" * 200_000}

    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"]["outrider"] = "[" * 200_000
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    with pytest.raises(ProfileError, match="expected JSON metadata"):
        Monitor.load(path, network)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -1.0])
def test_a_threshold_that_could_never_alarm_is_refused(path, network, bad, monitor):
    monitor.calibration.thresholds[:] = bad
    monitor.save(path)
    with pytest.raises(ProfileError, match="damaged one"):
        Monitor.load(path, network)


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_flipped_bytes_never_crash(path, network, data):
    """Any byte may change: the file is refused. With a digest that fits, it may be a monitor that gives verdicts."""
    original = path.read_bytes()
    spoiled = bytearray(original)
    for _ in range(data.draw(st.integers(1, 4))):
        spoiled[data.draw(st.integers(0, len(spoiled) - 1))] = data.draw(st.integers(0, 255))
    target = path.with_name("spoiled.outrider")
    target.write_bytes(spoiled)
    if spoiled != original:
        with pytest.raises(ProfileError):
            Monitor.load(target, network)
    try:
        target.write_bytes(with_digest(bytes(spoiled)))
        monitor = Monitor.load(target, network)
    except ValueError:  # a ProfileError, or a header that has no place for a digest any more
        return
    with np.errstate(all="ignore"):
        _, verdicts = monitor.check(frames(3, seed=5))
    assert len(verdicts) == 3


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o027, 0o640)])
def test_only_the_owner_may_read_a_checkpoint_that_holds_frames(tmp_path, network, umask, expected):
    def progress(done):
        raise _Stop

    before = os.umask(umask)
    try:
        with pytest.raises(_Stop):
            Monitor(network, SingleRange()).profile(
                batches(frames(100)), progress=progress, checkpoint=tmp_path / "partial"
            )
        monitor = Monitor(network, SingleRange())
        monitor.profile(batches(frames(100)), checkpoint=tmp_path / "partial")
        partial = (tmp_path / "partial").stat().st_mode
        monitor.save(tmp_path / "whole")
    finally:
        os.umask(before)
    assert partial & 0o777 == 0o600
    assert (tmp_path / "whole").stat().st_mode & 0o777 == expected


def test_what_differs_of_a_tap_is_named(path, network):
    hidden = network.taps[0]
    network.taps = Taps([replace(hidden, kind="gelu", shape=(2, 8), layout="NLC"), network.taps[1]])
    with pytest.raises(MismatchError) as caught:
        Monitor.load(path, network)
    for difference in ("kind relu, got gelu", "shape (16,), got (2, 8)", "layout NC, got NLC"):
        assert f"tap hidden:unit: expected {difference}" in str(caught.value)
    network.taps = Taps([replace(hidden, shape=(2, 8), layout="NLC", neurons="channel"), network.taps[1]])
    with pytest.raises(MismatchError, match=r"tap hidden:unit: expected \(16,\), got channel"):
        Monitor.load(path, network)


def test_another_output_with_the_class_scores_is_another_network(tmp_path, network):
    network.scores_output = "left"
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(200)))
    monitor.save(tmp_path / "m.outrider")
    assert read_facts(tmp_path / "m.outrider")["network"]["logits"] == "left"
    Monitor.load(tmp_path / "m.outrider", network)
    network.scores_output = "right"
    with pytest.raises(MismatchError, match="output with the class scores: expected 'left', got 'right'"):
        Monitor.load(tmp_path / "m.outrider", network)


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("scale", lambda a: a[:1]),
        ("excess", np.zeros_like),
        ("value", lambda a: a[:3]),
        ("value", lambda a: a[::-1]),
        ("surprise", lambda a: a - 0.5),
    ],
)
def test_scales_that_would_break_a_score_are_refused_at_once(path, monitor, network, name, spoil):
    monitor.calibration.scales[name] = spoil(monitor.calibration.scales[name])
    monitor.save(path)
    with pytest.raises(ProfileError, match="the scales are not those of"):
        Monitor.load(path, network)


def test_a_checkpoint_is_not_resumed_with_criteria_on_other_taps(tmp_path, network):
    checkpoint = tmp_path / "partial.outrider"

    def progress(done):
        raise _Stop

    taps = {"hidden": SingleRange(), "@output": Gaussian()}
    with pytest.raises(_Stop):
        Monitor(network, taps).profile(batches(frames(100)), progress=progress, checkpoint=checkpoint)
    swapped = {"@output": SingleRange(), "hidden": Gaussian()}
    with pytest.raises(ProfileError, match="expected the criteria and preprocessing of this monitor, got others"):
        Monitor(network, swapped).profile(batches(frames(100)), checkpoint=checkpoint)


def test_a_checkpoint_with_columns_in_other_groups_is_resumed_and_keeps_them(tmp_path, network):
    """Older versions counted the criteria alone."""
    checkpoint, data = tmp_path / "partial.outrider", frames(300)

    def progress(done):
        raise _Stop

    ranges = {"hidden": SingleRange(), "@output": SingleRange()}
    with pytest.raises(_Stop):
        Monitor(network, ranges).profile(batches(data), progress=progress, checkpoint=checkpoint)
    profile, logic, _ = read_profile(checkpoint)
    assert [column.group for column in profile.columns] == [0, 0]
    profile.columns = tuple(replace(column, group=i) for i, column in enumerate(profile.columns))
    write_profile(checkpoint, profile, logic)
    resumed, whole = Monitor(network, ranges), Monitor(network, ranges)
    resumed.profile(batches(data), checkpoint=checkpoint)
    whole.profile(batches(data))
    resumed.save(tmp_path / "old")
    again = Monitor.load(tmp_path / "old", network)
    assert [column.group for column in again.learned.columns] == [0, 1]
    np.testing.assert_array_equal(again.deviations(data), whole.deviations(data))


class _Stop(Exception):
    pass


@pytest.mark.parametrize("stop_after", [1, 7, 19])
def test_an_interrupted_profile_goes_on_where_it_stopped(tmp_path, network, stop_after):
    checkpoint = tmp_path / "partial.outrider"
    data = frames(1000)
    whole = Monitor(network, EVERY)
    whole.profile(batches(data))
    interrupted = Monitor(network, EVERY)

    def progress(done):
        if done >= 50 * stop_after:
            raise _Stop

    with pytest.raises(_Stop):
        interrupted.profile(batches(data), progress=progress, checkpoint=checkpoint)
    with pytest.raises(ProfileError, match="expected a finished profile, got one to resume"):
        Monitor.load(checkpoint, network)
    calls = network.calls
    resumed = Monitor(network, EVERY)
    resumed.profile(batches(data), checkpoint=checkpoint)
    assert network.calls - calls == 20 - stop_after + 256 // 32, "frames already seen are not run again"
    whole.save(tmp_path / "whole.outrider")
    assert checkpoint.exists(), "kept until the profile is safe on the disk"
    resumed.save(tmp_path / "resumed.outrider")
    assert not checkpoint.exists()
    assert (tmp_path / "whole.outrider").read_bytes() == (tmp_path / "resumed.outrider").read_bytes()


def test_a_checkpoint_of_other_criteria_is_refused(tmp_path, network):
    checkpoint = tmp_path / "partial.outrider"

    def progress(done):
        raise _Stop

    with pytest.raises(_Stop):
        Monitor(network, SingleRange()).profile(batches(frames(100)), progress=progress, checkpoint=checkpoint)
    with pytest.raises(ProfileError, match="expected the criteria and preprocessing of this monitor, got others"):
        Monitor(network, MultiRange()).profile(batches(frames(100)), checkpoint=checkpoint)
    network.preprocessing = Preprocessing(scale=0.5)
    with pytest.raises(ProfileError, match="expected the criteria and preprocessing of this monitor, got others"):
        Monitor(network, SingleRange()).profile(batches(frames(100)), checkpoint=checkpoint)
    network.preprocessing = None
    with pytest.raises(MismatchError, match="SHA-256"):
        Monitor(NumpyNetwork(seed=3), SingleRange()).profile(batches(frames(100)), checkpoint=checkpoint)
    with pytest.raises(ProfileError, match=r"trusted confidence and minimum per class it began with, \(0.9, 5\)"):
        Monitor(network, SingleRange()).profile(batches(frames(100)), minimum_per_class=2, checkpoint=checkpoint)


def test_facts_are_read_without_the_network(path):
    facts = read_facts(path)
    assert facts["network"]["classes"] == 3
    assert facts["calibration"]["false_alarm_rate"] == 0.05


def test_the_scores_of_a_calibration_are_kept_and_may_be_missing(tmp_path, monitor, network):
    monitor.save(tmp_path / "m.outrider")
    kept = Monitor.load(tmp_path / "m.outrider", network).calibration
    np.testing.assert_array_equal(kept.scores, monitor.calibration.scores)
    np.testing.assert_array_equal(kept.predictions, monitor.calibration.predictions)
    held_out = frames(4000, seed=1)
    np.testing.assert_array_equal(kept.scores, monitor.scores(held_out)[1::2])
    np.testing.assert_array_equal(kept.predictions, network.run(held_out).argmax(axis=1)[1::2])
    monitor.calibration = replace(monitor.calibration, scores=None, predictions=None)
    monitor.save(tmp_path / "old.outrider")
    assert Monitor.load(tmp_path / "old.outrider", network).calibration.scores is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"scores": np.full(2000, -1.0)},
        {"scores": np.full(2000, np.nan)},
        {"scores": np.zeros(1999)},
        {"predictions": np.full(2000, 3)},
        {"scores": np.zeros(5000), "predictions": np.zeros(5000, np.int64)},
        {"predictions": None},
    ],
)
def test_scores_that_no_calibration_has_are_refused(tmp_path, monitor, network, wrong):
    monitor.calibration = replace(monitor.calibration, **wrong)
    monitor.save(tmp_path / "m.outrider")
    with pytest.raises(ProfileError, match="damaged one"):
        Monitor.load(tmp_path / "m.outrider", network)
