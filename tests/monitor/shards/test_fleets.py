"""Finished profiles of different frames become one."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Gaussian, Mahalanobis, SingleRange
from outrider.monitor import MismatchError, Monitor, OutriderWarning, ProfileError

from ..conftest import NumpyNetwork, batches, frames

CRITERIA = {"hidden": [SingleRange(), Gaussian(), Mahalanobis()]}


def fleet(path, data, criteria=CRITERIA, seed=52, **settings):
    monitor = Monitor(NumpyNetwork(seed=seed), criteria)
    monitor.profile(batches(data), **settings)
    monitor.save(path)
    return path


@pytest.fixture
def clock(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")


def merged(paths):
    with pytest.warns(OutriderWarning, match="no trusted frame is at hand"):
        return Monitor.merge(paths, NumpyNetwork())


def test_it_is_that_of_all_frames_in_any_order(tmp_path, clock):
    sets = [frames(n, seed=n) for n in (300, 500, 700)]
    paths = [fleet(tmp_path / f"{len(one)}.outrider", one) for one in sets]
    found = merged(paths)
    plain = Monitor(NumpyNetwork(), CRITERIA)
    plain.profile(batches(np.concatenate(sets)))
    for mine, theirs in zip(found.learned.signatures, plain.learned.signatures, strict=True):
        np.testing.assert_array_equal(mine.counts, theirs.counts)
        for name, array in mine.arrays.items():
            np.testing.assert_allclose(array, theirs.arrays[name], rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.learned.digests.values, plain.learned.digests.values)
    assert found.learned.trusted.frames == 1500
    assert found.learned.trusted.probe is None
    (change,) = found.learned.history
    assert change.what == "merged"
    assert change.reason.startswith("of 3 profiles: ")
    found.save(tmp_path / "a.outrider")
    merged([paths[2], paths[0], paths[1]]).save(tmp_path / "b.outrider")
    assert (tmp_path / "a.outrider").read_bytes() == (tmp_path / "b.outrider").read_bytes()


def test_thresholds_are_dropped_and_may_be_set_anew(tmp_path, monitor):
    monitor.save(tmp_path / "a.outrider")
    other = Monitor(NumpyNetwork(), {"hidden": [SingleRange(), Mahalanobis()], "@output": "softmax"})
    other.profile(batches(frames(500, seed=7)))
    other.save(tmp_path / "b.outrider")
    with pytest.warns(OutriderWarning) as said:
        found = Monitor.merge([tmp_path / "a.outrider", tmp_path / "b.outrider"], NumpyNetwork())
    assert any("the thresholds were set for the profiles of before" in str(one.message) for one in said)
    assert found.calibration is None
    assert found.calibrate(batches(frames(4000, seed=1)), 0.05).leak is None


def test_frames_of_several_are_told(tmp_path):
    data = frames(500)
    a, b = fleet(tmp_path / "a.outrider", data[:300]), fleet(tmp_path / "b.outrider", data[200:])
    with pytest.warns(OutriderWarning) as said:
        Monitor.merge([a, b], NumpyNetwork())
    assert any("100 of the frames that" in str(one.message) for one in said)
    copy = tmp_path / "c.outrider"
    copy.write_bytes(a.read_bytes())
    with pytest.raises(ProfileError, match="expected profiles of different frames, got the same ones in"):
        Monitor.merge([a, copy], NumpyNetwork())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"seed": 3}, "SHA-256: expected"),
        ({"criteria": {"hidden": [SingleRange()]}}, "criteria: expected"),
        ({"minimum_per_class": 9}, "minimum per class: expected"),
        ({"trusted_confidence": 0.3}, "trusted confidence: expected"),
        ({"class_names": ["a", "b", "c"]}, "names of classes: expected"),
    ],
)
def test_profiles_that_were_made_otherwise_are_refused(tmp_path, settings, named):
    a = fleet(tmp_path / "a.outrider", frames(300))
    b = fleet(tmp_path / "b.outrider", frames(300, seed=1), **settings)
    with pytest.raises(MismatchError, match="expected a profile of the same network and criteria") as caught:
        Monitor.merge([a, b], NumpyNetwork())
    assert named in str(caught.value)
