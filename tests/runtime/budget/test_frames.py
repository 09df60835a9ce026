"""Which frames learn, choose and report, and what is broken in them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.networks import Preprocessing
from outrider.networks.inputs import Input
from outrider.runtime.budget.frames import broken, faulty_batches, sampled
from outrider.runtime.evaluation.faults import FAULTS, faulty
from outrider.runtime.inputs.arrays import array_source


def pictures(n, labels=None, channels=3):
    """Gray values that tell the number of a picture."""
    frames = np.arange(n, dtype=np.uint8)[:, None, None, None] + np.zeros((1, channels, 6, 6), np.uint8)
    return array_source(Path("x"), frames, labels)


def numbers(source):
    return [int(source.read(i)[0, 0, 0]) for i in range(len(source))]


def test_a_sample_is_spread_and_split_by_its_order():
    found = sampled(pictures(241), 61)
    assert [numbers(part) for part in (found.learn, found.choose, found.report)] == [
        list(range(0, 84, 4)), list(range(84, 164, 4)), list(range(164, 241, 4)),
    ]  # fmt: skip
    assert found.choose.names[0] == "x[84]"


def test_a_class_is_in_every_part():
    labels = np.repeat([0, 1], [60, 30])
    found = sampled(pictures(90, labels))
    assert numbers(found.learn) == [*range(20), *range(60, 70)]
    assert numbers(found.choose) == [*range(20, 40), *range(70, 80)]
    assert numbers(found.report) == [*range(40, 60), *range(80, 90)]
    assert found.learn.labels is None


def test_classes_of_one_or_two_frames_are_split_as_one():
    found = sampled(pictures(90, np.array([*range(80), *[80] * 10])))
    assert numbers(found.learn) == [*range(27), *range(80, 84)]
    assert numbers(found.report) == [*range(54, 80), *range(87, 90)]


def test_few_frames_are_refused():
    assert len(sampled(pictures(60)).learn) == 20
    with pytest.raises(ValueError, match="at least 60 frames to choose taps by, got 59"):
        sampled(pictures(59))


def test_the_faults_are_those_of_single_pictures():
    usual = set(FAULTS) - {"frozen"}
    assert set(sampled(pictures(60)).faults()) == usual
    assert set(sampled(pictures(60, channels=1)).faults()) == usual - {"channel-lost"}
    floats = array_source(Path("x"), np.zeros((60, 5), np.float32), None)
    assert sampled(floats).faults() == ("noise", "zeros")


def network(shape, preprocessing=None, dtype="float32"):
    return SimpleNamespace(preprocessing=preprocessing, inputs=(Input("x", shape, dtype),))


def test_a_picture_is_broken_before_it_is_preprocessed():
    source, told = pictures(120), Preprocessing(scale=1 / 255, mean=(0.5,) * 3, std=(0.25,) * 3)
    found = np.concatenate(list(faulty_batches(source, "rows-shifted", network((3, 6, 6), told), pictured=True)))
    rows = np.linspace(0, 119, 100).round().astype(int)
    expected = [told(faulty(source.read(row), "rows-shifted", i)) for i, row in enumerate(rows)]
    np.testing.assert_array_equal(found, expected)


def test_frames_that_are_no_pictures_get_noise_and_zeros():
    values = np.random.default_rng(0).normal(5, 2, (40, 9, 12)).astype(np.float32)
    source = array_source(Path("x"), values, None)
    zeros, again, noisy = (
        np.concatenate(list(faulty_batches(source, name, network((9, 12)), pictured=False)))
        for name in ("zeros", "zeros", "noise")
    )
    assert ((zeros == 0).sum(axis=(1, 2)) == 3 * 4).all()
    assert (zeros[zeros != 0] == values[zeros != 0]).all()
    np.testing.assert_array_equal(zeros, again)
    assert len({tuple(np.argwhere(frame == 0)[0]) for frame in zeros}) > 5  # not always at one place
    spread = (noisy - values).std(axis=(1, 2)) / values.std(axis=(1, 2))
    assert noisy.dtype == np.float32
    assert spread.mean() == pytest.approx(0.5, abs=0.03)


def test_noise_of_integers_stays_within_what_the_frame_has():
    frame = np.array([3, 9, 4, 7] * 50, np.int64)
    found = broken(frame, "noise", 0)
    assert found.dtype == np.int64
    assert (found.min(), found.max()) == (3, 9)
    assert (found != frame).mean() > 0.3
