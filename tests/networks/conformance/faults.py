"""Networks in numpy that keep all rules, and the means to break one of them."""

from __future__ import annotations

import numpy as np

from outrider.networks import Network, Observation, Tap, Taps
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


def faulty(base=Dense, **names):
    return type("Faulty", (base,), names)()


def answers(change):
    """A network whose observations are changed."""
    return {"observe": lambda self, batch: change(self, batch, Dense.observe(self, batch))}


def activations(change):
    return answers(lambda self, batch, seen: seen._replace(activations=change(seen.activations)))
