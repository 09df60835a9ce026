"""A monitor moved to a network that computes the same under other names."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import CalibrationError, MismatchError, Monitor, NotReadyError, OutriderWarning, transfer
from outrider.networks import Preprocessing, Tap, Taps, bind, make_decoder
from outrider.networks.detections.decoder import decoder_facts

from .conftest import HIDDEN, NumpyNetwork, batches, frames

BOUND = {"hidden:unit": "t1:unit", "logits:unit": "t2:unit"}


def renamed(hidden=None, **facts):
    """The same network with other names for its taps, and their order turned round."""
    network = NumpyNetwork()
    plain = network.observe
    network.observe = lambda batch: (seen := plain(batch))._replace(activations=seen.activations[::-1])
    hidden = hidden or Tap("t1", "relu", (HIDDEN,), "NC", "float32", "unit")
    network.taps = Taps([Tap("t2", "output", (3,), "NC", "float32", "unit"), hidden])
    network.engine, network.fingerprint = "other", "f" * 64
    for name, value in facts.items():
        setattr(network, name, value)
    return network


def test_verdicts_are_those_of_the_first_network(monitor):
    there = renamed()
    moved = transfer(monitor, there, BOUND)
    batch = np.concatenate([frames(200, seed=3), frames(50, seed=4, far=5)])
    verdicts, expected = moved.check(batch)[1], monitor.check(batch)[1]
    for name in ("status", "score", "threshold", "prediction", "deviation"):
        np.testing.assert_array_equal(getattr(verdicts, name), getattr(expected, name))
    assert moved.network is there
    assert moved.calibration is monitor.calibration
    assert moved.learned.facts.fingerprint == "f" * 64
    assert moved.columns == tuple(re.sub("hidden", "t1", re.sub("logits", "t2", name)) for name in monitor.columns)


def test_a_binding_tells_the_taps_too(monitor, network):
    there = renamed()
    binding = bind(network, there, frames(20))
    assert {row.a.id: row.b.id for row in binding.rows} == BOUND
    batch = frames(50, seed=5)
    np.testing.assert_array_equal(transfer(monitor, there, binding).scores(batch), monitor.scores(batch))


def test_it_is_saved_and_loaded_like_any_other(monitor, network, tmp_path):
    there = renamed()
    transfer(monitor, there, BOUND).save(tmp_path / "moved.outrider")
    loaded = Monitor.load(tmp_path / "moved.outrider", there)
    batch = frames(50, seed=5)
    np.testing.assert_array_equal(loaded.scores(batch), monitor.scores(batch))
    with pytest.raises(MismatchError, match="expected the network it was learned from"):
        Monitor.load(tmp_path / "moved.outrider", network)


def test_the_first_monitor_stays_as_it_was(monitor, network):
    before = monitor.scores(frames(50, seed=5))
    moved = transfer(monitor, renamed(), BOUND)
    with pytest.warns(OutriderWarning, match="is dropped"):
        moved.extend(batches(frames(500, seed=9)))
    np.testing.assert_array_equal(monitor.scores(frames(50, seed=5)), before)
    assert monitor.network is network


def test_what_was_profiled_is_known_of_the_moved_monitor_too(monitor):
    moved = transfer(monitor, renamed(), BOUND)
    assert moved.learned.history == monitor.learned.history != ()
    with pytest.raises(CalibrationError, match=r"got 2,000 of 2,000 that it was learned from"):
        moved.calibrate(batches(frames(2000)), 0.05)


def test_preprocessing_comes_along(network):
    network.preprocessing = Preprocessing(scale=0.5)
    monitor = Monitor(network, {"hidden": SingleRange()})
    monitor.profile(batches(frames(500)))
    moved = transfer(monitor, renamed(), BOUND)
    assert moved.learned.facts.preprocessing == Preprocessing(scale=0.5).to_dict()
    same = transfer(monitor, renamed(preprocessing=Preprocessing(scale=0.5)), BOUND)
    assert same.learned.facts == replace(moved.learned.facts)
    told = renamed(preprocessing=Preprocessing(scale=0.25))
    with pytest.warns(OutriderWarning, match=r"learned from pictures .*1/2, NCHW; the network was told: .*1/4, NCHW"):
        other = transfer(monitor, told, BOUND)
    assert other.network.preprocessing == Preprocessing(scale=0.5)
    assert other.learned.facts.preprocessing == Preprocessing(scale=0.5).to_dict()


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (Tap("t1", "relu", (9,), "NC", "float32", "unit"), "expected number 16, got 9"),
        (Tap("t1", "relu", (HIDDEN,), "NC", "float16", "unit"), "expected dtype float32, got float16"),
        (Tap("t1", "relu", (HIDDEN,), "NC", "uint8", "unit"), "expected dtype float32, got uint8"),
        (Tap("t1", "relu", (HIDDEN,), "NC", "float32", "unit", rows=2), "expected rows a frame 1, got 2"),
        (Tap("t1", "relu", (4, 4), "NLC", "float32", "unit"), r"expected shape \(16,\), got \(4, 4\)"),
    ],
)
def test_taps_that_differ_are_refused_by_name(monitor, hidden, message):
    with pytest.raises(MismatchError, match=f"tap hidden:unit bound to t1:unit: {message}"):
        transfer(monitor, renamed(hidden), BOUND)


def test_another_way_to_become_neurons_is_refused(monitor):
    other = Tap("t1", "relu", (HIDDEN, 2), "NLC", "float32", "channel")
    with pytest.raises(MismatchError, match="expected neurons unit, got channel"):
        transfer(monitor, renamed(other), {**BOUND, "hidden:unit": "t1:channel"})


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ({"logits:unit": "t2:unit"}, "tap hidden:unit: expected a tap bound to it, got none"),
        ({**BOUND, "hidden:unit": "t9:unit"}, "tap hidden:unit: expected a tap bound to it, got t9:unit"),
        (dict.fromkeys(BOUND, "t1:unit"), "tap t1:unit: expected it to be bound once, got it twice"),
    ],
)
def test_taps_that_are_not_bound_are_refused(monitor, bound, message):
    with pytest.raises(MismatchError, match=message):
        transfer(monitor, renamed(), bound)


def test_other_networks_are_refused(monitor):
    with pytest.raises(
        MismatchError, match=r"classes: expected 3, got None\n  input shape: expected \(6,\), got \(7,\)"
    ):
        transfer(monitor, renamed(classes=None, input_shape=(7,)), BOUND)


def test_a_monitor_without_a_profile_cannot_be_moved(network):
    with pytest.raises(NotReadyError, match="expected a profiled monitor"):
        transfer(Monitor(network, SingleRange()), renamed(), BOUND)


def test_detections_are_decoded_as_before(monitor):
    decoder = make_decoder("yolo", most=7)
    monitor.learned.facts = replace(monitor.learned.facts, detections=decoder_facts(decoder))
    moved = transfer(monitor, renamed(), BOUND)
    assert moved.network.detections == decoder
    assert moved.learned.facts.detections == decoder_facts(decoder)
    with pytest.raises(MismatchError, match=r"detections: expected yolo\(.*, got rows"):
        transfer(monitor, renamed(detections="rows"), BOUND)
    monitor.learned.facts = replace(monitor.learned.facts, detections=decoder_facts(len))
    with pytest.raises(MismatchError, match=r"expected builtins.len, a program.*, got none"):
        transfer(monitor, renamed(), BOUND)
