"""A network under test, and what two of its answers have in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..inputs import Input, each
from ..network import Network, Observation


class Checked(NamedTuple):
    """A network under test. frames: a batch of it. bare: what its outputs must equal. steady: whether they repeat."""

    network: Network
    frames: Any
    bare: Callable[[Any], Any] | None
    steady: bool

    @property
    def inputs(self) -> tuple[Input, ...]:
        return self.network.inputs

    def expect(self, condition: bool, rule: str) -> None:
        if not condition:
            raise AssertionError(f"{self.network!r}: {rule}")

    def cut(self, start: int, stop: int) -> Any:
        """Some of the frames."""
        return each(self.frames, lambda array: array[start:stop])

    def observe(self, batch: Any) -> Observation:
        """An observation that stays, of frames that follow none."""
        self.network.reset()
        seen = self.network.observe(each(batch, np.copy))
        return seen._replace(
            output=list(map(np.copy, arrays_of(seen.output))),
            logits=None if seen.logits is None else seen.logits.copy(),
            activations=tuple(values.copy(order="K") for values in seen.activations),
        )

    def run(self, batch: Any) -> list[np.ndarray]:
        self.network.reset()
        return list(map(np.copy, arrays_of(self.network.run(each(batch, np.copy)))))


def arrays_of(output: Any) -> Iterator[np.ndarray]:
    """Every array of an output, whatever it lies in; tensors as arrays."""
    if dataclasses.is_dataclass(output) and hasattr(output, "__dict__") and not isinstance(output, Mapping):
        output = vars(output)
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, (tuple, list)):
        for item in output:
            yield from arrays_of(item)
    elif hasattr(output, "detach"):
        tensor = output.detach().cpu()
        yield (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    elif output is not None:
        yield np.asarray(output)


def same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    """Whether arrays are equal bit for bit."""
    return len(one) == len(other) and all(
        a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
        for a, b in zip(one, other, strict=True)
    )


def near(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    """Whether arrays are equal but for a share of the largest number; NaN equals NaN."""
    if one.shape != other.shape:
        return False
    if one.dtype.kind not in "fiu":
        return True
    a, b = one.astype(np.float64), other.astype(np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    largest = max(np.abs(a[finite]).max(initial=0), 1e-6)
    slack = tolerance * largest + (1 if one.dtype.kind in "iu" else 0)  # a code may be rounded the other way
    return bool((np.isnan(a) == np.isnan(b)).all() and (np.abs(a - b)[finite] <= slack).all())
