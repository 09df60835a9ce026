"""The rules for networks: good adapters keep them, and each fault breaks the one that it should."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest

from outrider.networks import Network, NetworkWarning, Observation, Tap, Taps, check_network
from outrider.networks.inputs import Input, parts_of

WEIGHTS = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
HEAD = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


class Dense(Network):
    """A layer, a ReLU and class scores, in numpy. A frame has two inputs where `two` says so."""

    engine = "numpy"
    fingerprint = "0123456789abcdef" * 4
    classes: int | None = 3
    input_shape = (4,)
    scores = "logits"
    two = False
    closed = False

    def __init__(self):
        hidden = Tap("hidden", "relu", (6,), "NC", "float32", "unit")
        self.taps = Taps([hidden, Tap("scores", "output", (3,), "NC", "float32", "unit")])

    @property
    def inputs(self):
        return (Input("a", (4,)), Input("b", (4,)))[: 1 + self.two]

    def parts(self, batch):
        if self.closed:
            raise RuntimeError("expected an open network, got a closed one")
        parts = parts_of(batch, self.inputs)
        for part in parts:
            if not isinstance(part, np.ndarray) or part.dtype != np.float32:
                raise TypeError(f"expected float32, got {getattr(part, 'dtype', type(part))}")
            if part.ndim != 2 or part.shape[1] != 4 or len(part) != len(parts[0]) or not len(part):
                raise ValueError(f"expected (n, 4), got {part.shape}")
        return parts

    def hidden(self, parts):
        return np.maximum(sum(np.stack([row @ WEIGHTS for row in part]) for part in parts), 0)

    def answer(self, hidden):
        return np.stack([row @ HEAD for row in hidden])

    def seen(self, hidden, logits):
        return Observation(logits, logits, (hidden, logits))

    def observe(self, batch):
        hidden = self.hidden(self.parts(batch))
        return self.seen(hidden, self.answer(hidden))

    def run(self, batch):
        return self.answer(self.hidden(self.parts(batch)))

    def close(self):
        self.closed = True

    def __repr__(self):
        return type(self).__name__


class Two(Dense):
    two = True


class Recurrent(Dense):
    """The layer adds what it said before."""

    def __init__(self):
        super().__init__()
        self.memory = np.zeros((1, 6), np.float32)

    def hidden(self, parts):
        hidden = super().hidden(parts) + self.memory
        self.memory = hidden[-1:]
        return hidden

    def reset(self):
        self.memory = np.zeros((1, 6), np.float32)


class Stubborn(Recurrent):
    """Its memory cannot be set."""

    memory = property(lambda self: self.kept, lambda self, _: None)

    def hidden(self, parts):
        hidden = Dense.hidden(self, parts) + self.kept
        self.kept = hidden[-1:]
        return hidden

    def reset(self):
        self.kept = np.zeros((1, 6), np.float32)


class Views(Dense):
    """Activations are two rows per frame, taken apart by pixel in a second tap, and rows that vary in a third."""

    classes = None

    def __init__(self):
        self.taps = Taps([
            Tap("hidden", "relu", (3,), "NC", "float32", "unit", rows=2),
            Tap("map", "relu", (2, 3), "NLC", "float32", "pixel"),
            Tap("found", "relu", (6,), "NC", "float32", "unit", rows=None),
        ])  # fmt: skip

    def seen(self, hidden, logits):
        rows = np.arange(1, len(hidden) + 1)
        rows[:] = 1 + (hidden.sum(1) > 5)
        pairs = np.ascontiguousarray(hidden.reshape(-1, 3))
        return Observation(logits, None, (pairs, pairs, np.repeat(hidden, rows, 0)), rows={2: rows})


class Probable(Dense):
    scores = "probabilities"

    def answer(self, hidden):
        powers = np.exp(super().answer(hidden))
        return powers / powers.sum(1, keepdims=True)


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


def faulty(base=Dense, **names):
    return type("Faulty", (base,), names)()


def answers(change):
    """A network whose observations are changed."""
    return {"observe": lambda self, batch: change(self, batch, Dense.observe(self, batch))}


def activations(change):
    return answers(lambda self, batch, seen: seen._replace(activations=change(seen.activations)))


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
    r"expected taps of type Taps, got list": faulty(__init__=lambda self: setattr(self, "taps", [])),
    r"a fingerprint of 64 hexadecimal digits, got 'abc'": faulty(fingerprint="abc"),
    r"fingerprint changes with an observation": faulty(fingerprint=property(lambda _: f"{next(COUNT):064x}")),
    r"expected input_shape and dtype of Input": faulty(input_shape=(5,)),
    r"expected scores among logits and probabilities, got 'odds'": faulty(scores="odds"),
    r"expected classes from 2 or None, got 1": faulty(classes=1),
    r"expected 2 activations, one for each tap, got 1": faulty(**activations(lambda parts: parts[:1])),
    r"tap hidden:unit: expected \(3 rows, 6\) float32, got \(3, 6\) float64": faulty(
        **activations(lambda parts: (parts[0].astype(float), parts[1]))
    ),
    r"tap hidden:unit: expected \(3 rows, 6\) float32, got \(3, 5\)": faulty(
        **activations(lambda parts: (parts[0][:, 1:].copy(), parts[1]))
    ),
    r"tap hidden:unit: expected \(3 rows, 6\) float32, got \(4, 6\)": faulty(
        **activations(lambda parts: (np.repeat(parts[0], 2, 0)[:4], parts[1]))
    ),
    r"tap hidden:unit: expected a C-contiguous array": faulty(
        **activations(lambda parts: (np.asfortranarray(parts[0]), parts[1]))
    ),
    r"expected the rows of each frame in Observation.rows\[2\], \(3,\) int64, got None": faulty(
        Views, seen=lambda self, hidden, logits: Views.seen(self, hidden, logits)._replace(rows=None)
    ),
    r"has no classes and yet logits": faulty(classes=None),
    r"expected logits \(3, 3\) float32, got none": faulty(**answers(lambda s, b, seen: seen._replace(logits=None))),
    r"expected probabilities that sum to 1, got sums from": faulty(scores="probabilities"),
    r"class scores that are not finite": faulty(
        answer=lambda self, hidden: np.full((len(hidden), 3), np.inf, np.float32)
    ),
    r"expected a map of scores \(3, 4, height, width\), got none": faulty(map_classes=4),
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
