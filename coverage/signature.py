"""What a criterion remembers of the trusted samples of one layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class Signature:
    """The arrays that one criterion keeps of one tap, and how many samples of each class they summarise.

    criterion: repr of the criterion that owns it. neurons: how many the tap has. counts: (classes,) int64, the
    samples. arrays: by name; their meaning is the criterion's.
    """

    def __init__(self, criterion: str, neurons: int, counts: np.ndarray, arrays: Mapping[str, np.ndarray]):
        self.criterion = criterion
        self.neurons = neurons
        self.counts = counts
        self.arrays = dict(arrays)
        self._tables: dict[bool, Any] = {}

    @property
    def classes(self) -> int:
        """How many classes it tells apart, 1 for a network without."""
        return len(self.counts)

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, in memory and in a file."""
        return self.counts.nbytes + sum(array.nbytes for array in self.arrays.values())

    def shared(self, criterion: str) -> Signature:
        """The signature of another criterion that keeps the same, `Criterion.keeps`: the arrays are those of this one.

        criterion: its repr. Samples are to be observed into one of the two; the other then forgets its tables.
        """
        return Signature(criterion, self.neurons, self.counts, self.arrays)

    def copy(self) -> Signature:
        """A copy that shares no memory with this one."""
        arrays = {name: array.copy() for name, array in self.arrays.items()}
        return Signature(self.criterion, self.neurons, self.counts.copy(), arrays)

    def tables(self, make: Callable[[], Any], codes: bool = False) -> Any:
        """What the criterion derives from the arrays to compare floats or codes. Made once, until `forget_tables`."""
        if codes not in self._tables:
            self._tables[codes] = make()
        return self._tables[codes]

    def forget_tables(self) -> None:
        """Drop the derived tables, because the arrays changed."""
        self._tables.clear()

    def __repr__(self) -> str:
        samples = int(self.counts.sum())
        return f"<Signature of {self.criterion}: {self.neurons} neurons, {self.classes} classes, {samples} samples>"
