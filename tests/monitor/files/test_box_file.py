"""What a profile file holds of detections, and what it may not hold."""

from __future__ import annotations

import json

import numpy as np
import pytest

from outrider.monitor import Monitor, ProfileError, describe_profile
from outrider.monitor.files import read_profile
from outrider.monitor.files.container import packed, read_contents

from ...detectors import NumpyDetector, scenes


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("boxes") / "m.outrider"
    monitor = Monitor(NumpyDetector(), "mahalanobis")
    monitor.profile(scenes(120), class_names=("red", "green"))
    monitor.calibrate(scenes(120, seed=1), 0.05)
    monitor.save(path)
    return path, monitor


def test_a_loaded_monitor_says_the_same_of_every_detection(saved):
    path, monitor = saved
    loaded = Monitor.load(path, NumpyDetector(detections=None))
    frames = scenes(10, seed=2, blue=0.4)
    assert [one.boxes for one in loaded.check(frames)[1]] == [one.boxes for one in monitor.check(frames)[1]]
    assert str(loaded.calibration) == str(monitor.calibration)
    told = describe_profile(path)["boxes"]
    assert told == json.loads(json.dumps(monitor.describe()["boxes"]))
    assert (told["boxes"], told["frames"], told["matched"]) == (240, 120, False)
    assert loaded.learned.class_name(1) == "class 1 (green)"


def test_a_checkpoint_goes_on_with_the_boxes_that_it_holds(tmp_path):
    def stop(frames):
        if frames >= 64:
            raise KeyboardInterrupt

    frames = scenes(120)
    with pytest.raises(KeyboardInterrupt):
        Monitor(NumpyDetector(), "mahalanobis").profile(frames, progress=stop, checkpoint=tmp_path / "c")
    assert read_profile(tmp_path / "c")[0].boxes.per_class.sum() == 128
    other = Monitor(NumpyDetector(), "mahalanobis", boxes="single_range")
    with pytest.raises(ProfileError, match="expected the criteria and preprocessing of this monitor"):
        other.profile(frames, checkpoint=tmp_path / "c")
    resumed, whole = Monitor(NumpyDetector(), "mahalanobis"), Monitor(NumpyDetector(), "mahalanobis")
    found, expected = resumed.profile(frames, checkpoint=tmp_path / "c").boxes, whole.profile(frames).boxes
    np.testing.assert_array_equal(found.per_class, expected.per_class)
    np.testing.assert_allclose(found.signatures[0].arrays["mean"], expected.signatures[0].arrays["mean"], rtol=1e-9)


def change(facts, arrays):
    """Ways in which a file would be wrong though its digest is right: each changes facts or arrays."""
    boxes, calibration = facts["boxes"], facts["boxes"]["calibration"]
    return {
        "no detections": lambda: facts["network"].pop("detections"),
        "another tap": lambda: boxes["columns"][0].update(tap=7),
        "no column": lambda: boxes.update(columns=[]),
        "frames without boxes": lambda: boxes.update(frames=0),
        "more frames than boxes": lambda: boxes.update(frames=1000),
        "negative": lambda: boxes.update(left_out=-1),
        "no truth": lambda: boxes.update(matched="yes"),
        "a count": lambda: arrays["boxes.count"].__setitem__(0, -1),
        "no mean": lambda: arrays["boxes.0.mean"].__setitem__((0, 0), np.nan),
        "a threshold": lambda: arrays["boxes.calibration.thresholds"].__setitem__(0, 9.0),
        "a rate": lambda: calibration.update(realised=0.5),
        "an interval": lambda: calibration.update(interval=[0, 1]),
        "no scores": lambda: [arrays.pop(f"boxes.calibration.{n}") for n in ("scores", "predictions", "drives")],
        "another array": lambda: arrays.update({"boxes.more": np.zeros(3)}),
        "a class": lambda: arrays["boxes.calibration.predictions"].__setitem__(0, 5),
    }


WAYS = tuple(change({"boxes": {"calibration": None}}, {}))


@pytest.mark.parametrize("way", WAYS)
def test_what_cannot_have_been_learned_is_refused(saved, tmp_path, way):
    contents = read_contents(saved[0])
    facts, arrays = json.loads(json.dumps(contents.facts)), {n: a.copy() for n, a in contents.arrays.items()}
    change(facts, arrays)[way]()
    (tmp_path / "m").write_bytes(packed(facts, arrays))
    with pytest.raises(ProfileError, match="got a damaged one"):
        read_profile(tmp_path / "m")
