"""The neurons that spoke. They are named when somebody reads the names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from typing import Any, overload

import numpy as np

from ...coverage import Criterion, Parts, Signature, neuron_parts
from ..kernels.verdicts import take_highest

_NEURONS, _NEURONS_OF_A_LAYER = 8, 4
_LARGEST_COPY = 1024
"""Values; of more a queue of alarms would hold too much."""

Naming = Callable[[np.ndarray, int], Sequence[str]]
Namer = Callable[[], Sequence[str]]


class Neurons(Sequence[str]):
    """Names such as "relu1:unit[17]", a handful, worked out when they are first read, in whatever thread that is."""

    def __init__(self, namers: Sequence[Namer] = ()) -> None:
        self._namers = namers
        self._found: tuple[str, ...] | None = None

    @property
    def _names(self) -> tuple[str, ...]:
        if self._found is None:
            self._found = tuple(chain.from_iterable(namer() for namer in self._namers))[:_NEURONS]
        return self._found

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        return self._names[place]

    def __len__(self) -> int:
        return len(self._names)

    def __eq__(self, other: object) -> bool:
        return self._names == (tuple(other) if isinstance(other, Neurons) else other)

    def __hash__(self) -> int:
        return hash(self._names)

    def __repr__(self) -> str:
        return repr(self._names)

    def __reduce__(self) -> tuple[Any, ...]:
        return tuple, (self._names,)


def naming(tap: str, criterion: Criterion, signature: Signature) -> Naming | None:
    """What names the neurons of a tap that add most to a deviation, of equal ones the first, by (values, label).

    values: (neurons,) float32 or codes. label: the class of the sample. None where a deviation is no sum over neurons.
    """
    parts = neuron_parts(criterion, signature)
    return None if parts is None else partial(_highest, tap, parts)


def namer(name: Naming, values: np.ndarray, label: int) -> Namer:
    """What names the neurons of one sample; `values` may change."""
    if values.size > _LARGEST_COPY:
        return partial(tuple, name(values, label))
    return partial(name, values.copy(), label)


def _highest(tap: str, parts: Parts, values: np.ndarray, label: int) -> list[str]:
    places = np.empty(_NEURONS_OF_A_LAYER, np.int64)
    return [f"{tap}[{place}]" for place in places[: take_highest(parts(values, label), places)].tolist()]
