"""What every network looks like to a monitor, whichever engine runs it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np

from .preprocessing import Preprocessing
from .tap import Taps


class NetworkWarning(UserWarning):
    """A tap does not stand where it was asked for, or changes what the network says."""


class Observation(NamedTuple):
    """One batch through a network. Arrays are valid until the next call: an engine may use its buffers again.

    output: exactly what the engine returns for the bare network, a tuple when there are several outputs.
    logits: (batch, classes) float32, None for a network without classes.
    activations: one C-contiguous array per tap, in the order of the network's taps: (batch, tap.size) float32, for
    neurons ``pixel`` (batch * places, tap.size), frame by frame and row by row. A quantised tap taken unit by unit
    comes as its codes, uint8; int8 codes are shifted by 128, which keeps their order.
    score_map: (batch, map_classes, height, width) floats, the class scores of every place, for a network that has them.
    """

    output: Any
    logits: np.ndarray | None
    activations: tuple[np.ndarray, ...]
    score_map: np.ndarray | None = None


class Network(Protocol):
    """A network as a source of activations.

    classes is None for a network without classes (regression, segmentation). input_shape is that of one sample.
    fingerprint is a SHA-256 in hexadecimal: another network has another. A network whose class scores are a map may
    say how many classes that map tells apart, as `map_classes`; without it, it has none. One that can run into
    arrays that stay where they are may offer them, as `buffered`, see `OnnxNetwork`; without that, the output is a
    new one with every call, which a loop hands on.
    """

    taps: Taps
    classes: int | None
    input_shape: tuple[int | None, ...]
    engine: str
    fingerprint: str
    preprocessing: Preprocessing | None

    def observe(self, batch: Any) -> Observation:
        """Run a batch, (n, *input_shape), and return the outputs with the activations at the taps."""
        ...

    def run(self, batch: Any) -> Any:
        """Run a batch without looking inside."""
        ...

    def close(self) -> None:
        """Release what the adapter holds; the network cannot be observed afterwards."""
        ...


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Class scores (batch, classes) as probabilities, float32: softmax, unless the rows are probabilities already.

    Rows that are all non-negative and sum to 1 within 1e-3 are taken as they are.
    """
    logits = np.asarray(logits, np.float32)
    if logits.ndim != 2:
        raise ValueError(f"expected class scores of shape (batch, classes), got {logits.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        ready = (logits >= 0).all(1) & (np.abs(logits.sum(1) - 1) <= 1e-3)
        if ready.all():
            return logits
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return np.where(ready[:, None], logits, powers / powers.sum(1, keepdims=True))
