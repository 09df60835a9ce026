"""Columns of one criterion, compared in one call: a call costs more time than the channels of a layer do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .criterion import Criterion
from .signature import Signature

Parts = Callable[[np.ndarray, int], np.ndarray]

LARGEST_COLUMN = 16_384
_LARGEST_TABLES = 64 * 2**20


class Joined:
    """Signatures of one criterion beside each other, which one call compares; `join` makes it.

    neurons: their number in all signatures together. Each deviation is that of `Criterion.deviation`.
    """

    def __init__(
        self, kernel: Callable[..., None], with_scratch: Callable[[Any, int], Any], tables: Sequence[np.ndarray],
        signatures: Sequence[Signature],
    ) -> None:  # fmt: skip
        self._kernel, self._with_scratch = kernel, with_scratch
        self._tables = tuple(tables)
        self._sizes = [signature.neurons for signature in signatures]
        self.neurons = sum(self._sizes)
        self._seen = np.stack([signature.counts > 0 for signature in signatures], axis=1).astype(np.uint8)

    def compare(
        self, values: np.ndarray, labels: np.ndarray, out: np.ndarray, positions: Sequence[int] | None = None
    ) -> None:
        """Write the deviations of each row to `out`; as `bound`."""
        self.bound(values, labels, out, positions)()

    def bound(
        self,
        values: np.ndarray,
        labels: np.ndarray,
        out: np.ndarray,
        positions: Sequence[int] | None = None,
        starts: Sequence[int] | None = None,
    ) -> Callable[[], None]:
        """A call that writes the deviations of arrays that stay where they are. It checks and allocates nothing.

        values: (n, any) float32. labels: (n,) int64 within the classes. out: (n, any) float32. All C-contiguous.
        positions: the index in a row of `out` for each signature, side by side by default. starts: the index in a row
        of `values` of its first neuron, one behind the other by default.
        """
        columns = np.empty((len(self._sizes), 3), np.int64)
        columns[:, 0] = np.cumsum(self._sizes)
        columns[:, 1] = columns[:, 0] - self._sizes if starts is None else starts
        columns[:, 2] = range(len(self._sizes)) if positions is None else positions
        tables = self._with_scratch(self._tables, len(values))
        return partial(self._kernel, values, labels, *tables, columns, self._seen, out)


def join(criterion: Criterion, signatures: Sequence[Signature]) -> Joined | None:
    """The signatures as one. None where the criterion has no such form or copies of its tables would be large."""
    kernel, with_scratch = criterion.joined_kernel(), criterion._with_scratch  # noqa: SLF001
    if kernel is None:
        return None
    tables = [_tables(criterion, signature) for signature in signatures]
    if len(tables) == 1:
        return Joined(kernel, with_scratch, tables[0], signatures)
    if max(signature.neurons for signature in signatures) > LARGEST_COLUMN:
        return None
    if sum(array.nbytes for arrays in tables for array in arrays) > _LARGEST_TABLES:
        return None
    joined: list[Any] = [np.concatenate(parts, axis=min(1, parts[0].ndim - 1)) for parts in zip(*tables, strict=True)]
    return Joined(kernel, with_scratch, joined, signatures)


def neuron_parts(criterion: Criterion, signature: Signature) -> Parts | None:
    """A function of (values, label) for what each neuron adds to the deviation of one sample, or to its square.

    values: (neurons,) float32 or codes; NaN and Inf add +inf. label: the class of the sample; every neuron adds +inf
    where it was never observed. The function returns (neurons,) float32. None where a deviation is no sum of neurons.
    """
    tables, neurons, seen = _tables(criterion, signature), signature.neurons, (signature.counts > 0).tolist()

    def parts(values: np.ndarray, label: int) -> np.ndarray:
        out = np.empty(neurons, np.float32)
        if seen[label]:
            criterion.parts(tables, values if values.dtype == np.float32 else values.astype(np.float32), label, out)
        else:
            out.fill(np.inf)
        return out

    nothing = np.zeros(neurons, np.float32)
    return parts if criterion.parts(tables, nothing, 0, nothing.copy()) else None


def _tables(criterion: Criterion, signature: Signature) -> Any:
    criterion.prepare(signature)
    return signature.tables(tuple)
