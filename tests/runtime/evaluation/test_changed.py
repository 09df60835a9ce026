"""Sources with changed pictures: each frame its own change, everything else as it was."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.networks import Preprocessing
from outrider.runtime.evaluation import faulty
from outrider.runtime.evaluation.changed import of_corruption, of_fault
from outrider.runtime.inputs.joint import JointSource
from outrider.runtime.inputs.sources import Source

PICTURES = np.random.default_rng(0).integers(1, 200, (6, 1, 32, 32), np.uint8)


def source(**more):
    return Source(lambda index: PICTURES[index], list("abcdef"), np.arange(6) % 2, **more)


def read(changed):
    return np.stack([changed.read(index) for index in range(len(changed))])


def test_each_frame_is_changed_by_its_number():
    found = of_fault(source(), "noise-bands")
    assert (read(found) == np.stack([faulty(PICTURES[i], "noise-bands", i) for i in range(6)])).all()
    assert found.labels is not None
    assert list(found.names) == list("abcdef")
    samples = [batch for _, batch in found.rows(Preprocessing(order="L"), 4)]
    np.testing.assert_allclose(np.concatenate(samples), read(found) / 255, atol=1e-6)


def test_a_frozen_sensor_gives_the_frame_before_within_a_drive():
    found = of_fault(source(starts=(4,)), "frozen")
    assert (read(found) == PICTURES[[0, 0, 1, 2, 4, 4]]).all()


def test_a_part_of_a_source_counts_from_its_own_start():
    found = of_fault(source()[2:5], "frozen")
    assert (read(found) == PICTURES[[2, 2, 3]]).all()


def test_corruptions_get_name_severity_and_frame(monkeypatch):
    def corrupt(image, severity, name):
        return image + np.uint8(severity + (name == "fog"))

    monkeypatch.setitem(sys.modules, "imagecorruptions", SimpleNamespace(corrupt=corrupt))
    assert (read(of_corruption(source(), "fog", 3)) == PICTURES + 4).all()


def test_deep_pictures_stay_deep():
    deep = PICTURES.astype(np.uint16) * 16
    stored = Source(lambda _index: None, list("abcdef"), raw=lambda index: deep[index, 0], ready=True, deep=True)
    found = of_fault(stored, "white", white=4000)
    assert (read(found) == 4000).all()
    assert found.read(0).dtype == np.uint16
    assert (found.ready, found.deep, found.raw) == (False, False, None)


def test_of_several_inputs_the_pictures_are_changed():
    speed = Source(lambda index: np.float32([index]), list("abcdef"), ready=True)
    found = of_fault(JointSource({"camera": source(), "speed": speed}, list("abcdef"), problems={"a": "torn"}), "black")
    assert not found.parts["camera"].read(3).any()
    assert found.parts["speed"] is speed
    assert found.problems == {}
    with pytest.raises(ValueError, match="expected pictures for corruptions and faults"):
        of_fault(JointSource({"speed": speed}, list("abcdef")), "black")


def test_what_cannot_be_read_is_noted_apart():
    first = source(problems={"a": "torn"})
    found = of_fault(first, "black")
    found.problems["b"] = "torn"
    assert first.problems == {"a": "torn"}


def test_samples_that_are_ready_are_refused():
    with pytest.raises(ValueError, match=r"a: expected pictures.*ready for the network; give a folder"):
        of_fault(source(ready=True), "black")
