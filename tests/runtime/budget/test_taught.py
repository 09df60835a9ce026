"""What is learned of a sample of digits, against a monitor that is asked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, Margin, RelativeMahalanobis, SingleRange, Softmax
from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork, Preprocessing
from outrider.runtime.budget.frames import batches, sampled
from outrider.runtime.budget.taught import OneClass, as_learned, criteria_by_tap, deviations_of, learned, of_one_class
from outrider.runtime.inputs.samples import open_source


@pytest.fixture
def network(model):
    with OnnxNetwork(model, preprocessing=Preprocessing(size=(8, 8), order="L")) as opened:
        yield opened


@pytest.fixture
def digits():
    return sampled(open_source("digits:train", slice(300)))


def nothing(_frames):
    return None


def test_classes_are_told_apart_where_the_sample_shows_them(network, digits):
    assert as_learned(network, digits, nothing) is network
    few = sampled(open_source("digits:train", slice(60)))  # two frames or so of each class
    alone = as_learned(network, few, nothing)
    assert isinstance(alone, OneClass)
    frames = next(batches(few.learn, network))
    assert (alone.classes, alone.observe(frames).logits) == (None, None)
    for mine, theirs in zip(alone.observe(frames).activations, network.observe(frames).activations, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_criteria_are_those_of_a_monitor(network):
    found = criteria_by_tap(network, None)
    profile = Monitor(network)._profile
    expected = [(profile.facts.taps[column.tap].id, column.criterion) for column in profile.columns]
    assert {(tap, one) for tap, several in found.items() for one in several} == set(expected)
    assert criteria_by_tap(network, {"*": [SingleRange()], "@output": "softmax"}) == {
        **{tap.id: [SingleRange()] for tap in network.taps[:-1]}, "logits:unit": [Softmax()],
    }  # fmt: skip


def test_each_way_to_the_same_channels_has_its_ranges(model, monkeypatch):
    """Ranges of two ways together would not fit, and those of one way do."""
    monkeypatch.setattr("outrider.monitor.defaults._RANGE_BYTES", 8 * 6 * 10)
    with OnnxNetwork(model, taps=("relu:channel", "relu:sample4")) as opened:
        found = criteria_by_tap(opened, None)
    assert SingleRange() in found["relu:channel"]
    assert SingleRange() in found["relu:sample4"]


def test_what_needs_several_classes_is_left_out_for_one():
    given = {"a": [Mahalanobis(), RelativeMahalanobis(), SingleRange()], "y": [Margin()]}
    assert of_one_class(given) == {"a": [Mahalanobis(), SingleRange()], "y": [Margin()]}


@pytest.mark.parametrize("one_class", [False, True])
def test_frames_deviate_as_a_monitor_says(network, digits, one_class):
    shown = OneClass(network) if one_class else network
    criteria = of_one_class(criteria_by_tap(network, None)) if one_class else criteria_by_tap(network, None)
    seen = []
    monitor = learned(shown, criteria, digits, seen.append)
    assert (monitor.learned.trusted.accepted, sum(seen)) == (len(digits.learn),) * 2
    found = deviations_of(monitor, digits, report=True, progress=seen.append)
    expected = np.concatenate([monitor.deviations(batch) for batch in batches(digits.report, network)])
    np.testing.assert_array_equal(found.clean, expected[np.isfinite(expected).all(axis=1)])
    assert list(found.faults) == list(digits.faults())
    assert {len(each) for each in found.faults.values()} == {len(digits.report)}
    black = monitor.deviations(np.zeros((1, 1, 8, 8), np.float32))
    np.testing.assert_array_equal(found.faults["black"], np.repeat(black, len(digits.report), axis=0))
    choosing = deviations_of(monitor, digits, report=False, progress=seen.append)
    assert not np.array_equal(choosing.clean[:20], found.clean[:20])
