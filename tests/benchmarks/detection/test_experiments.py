"""What needs no data set: how samples are made small, and who has few profiled images."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection.experiments import (
    ATTACKS,
    CHANGES,
    NAMES,
    OTHERS,
    STRANGERS,
    Experiment,
    _for_choosing,
    _quick,
)
from benchmarks.detection.traffic_signs import FEW
from outrider.networks import ImageSet


def images(name: str, count: int) -> ImageSet:
    pixels = np.random.default_rng(count).integers(0, 256, (count, 1, 4, 4), np.uint8)
    return ImageSet(name, pixels, np.arange(count) % 3 * (np.arange(count) < 3 * (FEW - 1)), ("a", "b", "c"))


def made(**options) -> Experiment:
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    return Experiment(
        "gtsrb", "Made", module, lambda: None, images("seen", 6000), images("held", 1800), images("clean", 1300),
        images("changing", 5000), (images("strange", 2500),), ATTACKS["gtsrb"], ("dark",), **options,
    )  # fmt: skip


def test_every_network_has_all_that_a_column_needs():
    for table in (ATTACKS, OTHERS, STRANGERS):
        assert set(table) == set(NAMES)
    assert set(CHANGES) <= set(NAMES)
    assert all(attack.count >= 200 for attacks in ATTACKS.values() for attack in attacks)
    for attacks in ATTACKS.values():
        assert len({attack.name for attack in attacks}) == len(attacks)


def test_a_class_has_few_below_the_bound():
    assert made().few.tolist() == [False, True, True]


def test_quick_samples_keep_their_drives():
    drives = np.arange(1800) // 10
    small = _quick(made(calibrate={"drives": drives, "per_class": True}))
    assert (len(small.seen), len(small.held_out), len(small.clean)) == (2000, 600, 650)
    assert [attack.count for attack in small.attacks] == [50, 50, 25, 20]
    np.testing.assert_array_equal(small.calibrate["drives"], drives[::3])
    np.testing.assert_array_equal(small.held_out.images, images("held", 1800).images[::3])
    assert small.calibrate["per_class"]


def test_columns_of_a_name_have_as_many_images_as_there_are():
    found = made()
    columns = Experiment(**{**vars(found), "attacks": ()}).columns()
    assert [column.name for column in columns] == ["test", "strange", "noise", "dark"]
    assert [len(column.images) for column in columns] == [1300, 2500, OTHERS["gtsrb"], OTHERS["gtsrb"]]
    np.testing.assert_allclose(columns[3].images, found.changing.floats()[:2000] * 0.3, rtol=1e-6)


def test_images_for_choosing_are_held_out_and_whole_drives(monkeypatch):
    monkeypatch.setattr("benchmarks.detection.experiments.load_dataset", lambda name, _split: images(name, 600))
    drives = np.arange(1800) // 7
    found = _for_choosing(made(calibrate={"drives": drives}))
    assert len(found.held_out) == len(found.calibrate["drives"])
    assert len(found.held_out) + len(found.clean) == 1800
    held = images("held", 1800).images
    of_clean = {one.tobytes() for one in found.clean.images}
    clean = np.array([one.tobytes() in of_clean for one in held])
    assert not set(drives[clean]) & set(found.calibrate["drives"])
    assert {one.tobytes() for one in found.changing.images} == of_clean
