"""The rules for networks: good ones keep them, and each fault breaks the one that it should."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from outrider.networks import NetworkWarning, check_network

from .faults import Dense, Probable, Recurrent, Stubborn, Two, Views, activations, faulty


@pytest.mark.parametrize("kind", [Dense, Two, Recurrent, Views, Probable])
def test_good_networks_keep_all_rules(kind):
    network = kind()
    check_network(network, bare=lambda batch: type(network)().run(batch))
    assert network.closed


def test_frames_may_be_given_in_any_form():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 4)).astype(np.float32)
    check_network(Two(), {"b": b, "a": a})
    with pytest.raises(ValueError, match="expected two frames or more to check a network on, got 1"):
        check_network(Two(), (a[:1], b[:1]))
    with pytest.raises(ValueError, match="expected the inputs a, b, got a"):
        check_network(Two(), {"a": a})


def doubles(self, batch):
    seen = Dense.observe(self, batch)
    if batch.flags.writeable:
        batch *= 2
    return seen


def writes(self, batch):
    parts = self.parts(batch)
    parts[0][:] = parts[0]
    return Dense.run(self, batch)


def fails_on_nan(self, batch):
    if np.isnan(self.parts(batch)[0]).any():
        raise FloatingPointError("NaN")
    return Dense.observe(self, batch)


def stays_broken(self, batch):
    seen = Dense.observe(self, batch)
    self.broken = getattr(self, "broken", False) or bool(np.isnan(batch).any())
    return seen._replace(activations=(seen.activations[0] + self.broken, seen.activations[1]))


def curt(self, batch):
    if getattr(batch, "dtype", None) == np.float64:
        raise TypeError("no")
    return Dense.parts(self, batch)


def swapped(parts):
    hidden, scores = parts
    return hidden[::-1].copy(), scores


COUNT = itertools.count()
FAULTS = {
    r"lacks taps": type("Bare", (), {"observe": None})(),
    r"fingerprint changes with an observation": faulty(fingerprint=property(lambda _: f"{next(COUNT):064x}")),
    r"observe and run differ in their output for 3 frames": faulty(
        run=lambda self, batch: Dense.run(self, batch) + np.float32(1e-7)
    ),
    r"tap hidden:unit: two observations of one batch differ": faulty(
        **activations(lambda parts: (parts[0] + np.float32(next(COUNT)), parts[1]))
    ),
    r"tap hidden:unit: a frame in a batch differs from it alone": faulty(**activations(swapped)),
    r"a memory that is set again gives another output": Stubborn(),
    r"reset does not bring back the first output": faulty(Recurrent, reset=lambda self: None),
    r"unbatched made \(2,\) of an output \(1, 3\)": faulty(unbatched=lambda self, output: output[0][:2]),
    r"expected 1 arrays of a frame alone, got 2": faulty(unbatched=lambda self, output: [output, output]),
    r"observe accepts the batch of dtype float64": faulty(
        parts=lambda self, batch: Dense.parts(self, batch.astype(np.float32) if hasattr(batch, "astype") else batch)
    ),
    r"observe raises KeyError\('x'\) for the batch of dtype float64": faulty(
        parts=lambda self, batch: Dense.parts(self, batch) if batch.dtype == np.float32 else {}["x"]
    ),
    r"observe says TypeError\('no'\) of the batch of dtype float64 without": faulty(parts=curt),
    r"raises FloatingPointError\('NaN'\) for a batch of NaN": faulty(observe=fails_on_nan),
    r"NaN in one batch changes the next": faulty(observe=stays_broken),
    r"observe changes the batch that it is given": faulty(observe=doubles),
    r"run raises ValueError\(.*read-only.*\) for a read-only batch": faulty(run=writes),
    r"can be observed after close": faulty(close=lambda self: None),
}  # fmt: skip


@pytest.mark.parametrize("message", FAULTS)
def test_each_fault_breaks_its_rule(message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AssertionError, match=message):
            check_network(FAULTS[message])


def test_outputs_are_held_to_the_bare_network():
    with pytest.raises(AssertionError, match="the output differs from that of the bare network for 3 frames"):
        check_network(Dense(), bare=lambda batch: Dense().run(batch) * 2)


def test_a_network_that_is_not_deterministic_is_named_as_such():
    noise = np.random.default_rng(0)
    network = faulty(hidden=lambda self, parts: Dense.hidden(self, parts) + noise.normal(size=6).astype(np.float32))
    with pytest.warns(NetworkWarning, match="Faulty is not deterministic: two runs of one batch differ"):
        check_network(network)


def test_frames_that_change_each_other_are_named():
    network = faulty(hidden=lambda self, parts: Dense.hidden(self, parts) * len(parts[0]))
    with pytest.warns(NetworkWarning, match="Faulty lets the frames of a batch change each other's output"):
        check_network(network)
