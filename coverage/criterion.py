"""The base of every criterion. It owns shapes, dtypes, NaN, unseen classes and repr."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, ClassVar, final

import numpy as np

from .blocks import FEWEST
from .kernels import rows
from .signature import Signature

Arrays = dict[str, np.ndarray]
Comparer = Callable[[np.ndarray, np.ndarray, np.ndarray], None]
"""Writes the deviations of values of some labels to an array; see `Criterion.compare`."""


class Criterion(ABC):
    """A way to summarise the neurons of trusted samples and to say how far a new sample lies outside.

    A subclass is a frozen dataclass of its hyper-parameters and writes `_specification`, `_observe`, `_merge`,
    `_deviation` and, where comparing wants derived tables, `_prepare`. It may rely on: values (n, neurons) finite
    C-contiguous float32 when observing, labels (n,) int64 within the classes, out (n,) float32.

    The neurons of a quantised network come as uint8 codes. A code means the same number as in float32: signature and
    deviation are the same to the last bit. A subclass that sets `takes_codes` gets the codes, and the tables of
    `_prepare_codes`; the base converts them for any other.
    """

    name: ClassVar[str]
    """The word for this criterion in files, configurations and on the command line."""
    takes_codes: ClassVar[bool] = False
    """Whether `_observe` and `_deviation` take uint8 values as well as float32."""
    tells_confidence: ClassVar[bool] = False
    """Whether its deviation says how unsure the network itself is."""
    follows_confidence: ClassVar[bool] = False
    """Whether its deviation falls as the network is surer, so that a logic may judge it given the confidence."""
    merges_exactly: ClassVar[bool] = False
    """Whether what it keeps has the same bits however samples are split, and in whichever order they are merged: so it
    is with counts, extremes and samples chosen by their hash. Sums of floats differ in their last bits."""

    @final
    def empty(self, neurons: int, classes: int) -> Signature:
        """A signature that has seen nothing. Raises ValueError unless both numbers are at least 1."""
        if neurons < 1 or classes < 1:
            raise ValueError(f"expected at least 1 neuron and 1 class, got {neurons} and {classes}")
        return Signature(repr(self), neurons, np.zeros(classes, np.int64), self._arrays(neurons, classes))

    @final
    def observe(self, signature: Signature, values: np.ndarray, labels: np.ndarray) -> None:
        """Add trusted samples to `signature`, in place.

        values: (n, neurons) float32, finite, or uint8 codes. labels: (n,) integers, the class of each sample.
        Raises ValueError or TypeError where these do not hold, and leaves the signature as it was.
        """
        self._check_owner(signature)
        values, labels = self._check_batch(signature, values, labels)
        row = -1 if values.dtype == np.uint8 else rows.first_non_finite_row(values)
        if row >= 0:
            raise ValueError(
                f"expected finite values to learn from, got NaN or Inf in row {row}; leave that sample out"
            )
        if len(values):
            self._observe(signature.arrays, signature.counts, values, labels)
            np.add.at(signature.counts, labels, 1)
            signature.forget_tables()

    @final
    def merge(self, a: Signature, b: Signature) -> Signature:
        """The signature of the samples of both, as one pass over all of them would leave it."""
        merged = a.copy()
        self.absorb(merged, b.copy())
        return merged

    @final
    def absorb(self, into: Signature, other: Signature) -> None:
        """`merge` in place: add the samples of `other` to `into`. What `other` holds is lost."""
        self._check_owner(into)
        self._check_owner(other)
        if (into.neurons, into.classes) != (other.neurons, other.classes):
            raise ValueError(
                f"expected signatures of the same size, got {into.neurons} neurons x {into.classes} classes"
                f" and {other.neurons} x {other.classes}"
            )
        self._merge(into, other)
        into.counts += other.counts
        into.forget_tables()

    @final
    def deviation(
        self, signature: Signature, values: np.ndarray, labels: np.ndarray, out: np.ndarray | None = None
    ) -> np.ndarray:
        """How far each sample lies outside what its class covered: (n,) float32, >= 0, larger = less covered.

        values: (n, neurons) float32, or uint8 codes. labels: (n,) int64, the predicted class. A row with NaN or Inf,
        or of a class that was never observed, deviates by +inf. `out` is written and returned where given.
        """
        self._check_owner(signature)
        values, labels = self._check_batch(signature, values, labels)
        if out is None:
            out = np.empty(len(values), np.float32)
        self.compare(signature, values, labels, out)
        return out

    @final
    def compare(self, signature: Signature, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        """`deviation` without checks.

        signature: of this criterion. values: (n, neurons) float32, or uint8 where `takes_codes`; labels: (n,) int64
        within the classes; out: (n,) float32; all C-contiguous.
        """
        self.comparer(signature, len(values), values.dtype == np.uint8)(values, labels, out)

    @final
    def comparer(self, signature: Signature, n: int, codes: bool = False, rows_a_frame: int = 1) -> Comparer:
        """`compare` for n rows of floats or of codes, as often as one likes: this call derives and allocates.

        rows_a_frame: how many rows belong together, one lot behind the other, such as the places of a map; n is a
        multiple. Some criteria compare lots of 16 rows or more much faster, with other last bits. Those of a lot are
        the same whatever the other lots are.
        """
        counts, tables = signature.counts, self._tables(signature, codes)
        many = self._many_rows(tables, n, rows_a_frame) if rows_a_frame >= FEWEST else None
        write = many or partial(self._deviation, self._with_scratch(tables, n))

        def compare(values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
            write(values, labels, out)
            if codes:
                rows.alarm_unseen_classes(labels, counts, out)
            else:
                rows.alarm_uncovered_rows(values, labels, counts, out)

        return compare

    @final
    def prepare(self, signature: Signature, codes: bool = False) -> None:
        """Derive the tables that `deviation` reads, so that its first call takes no longer than the next."""
        self._check_owner(signature)
        self._tables(signature, codes and self.takes_codes)

    @final
    def restore(self, neurons: int, counts: np.ndarray, arrays: Arrays) -> Signature:
        """A signature from stored arrays.

        Raises ValueError where names, shapes or dtypes are not those of `layout`, and where they cannot be what was
        learned: NaN among them, or what `_check_stored` refuses.
        """
        expected = {name: (array.shape, array.dtype) for name, array in self.layout(neurons, len(counts)).items()}
        got = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        if expected != got:
            raise ValueError(f"expected arrays {expected} for {self!r}, got {got}")
        for name, array in arrays.items():
            require(array.dtype.kind != "f" or not np.isnan(array).any(), f"numbers in {name}", "NaN")
        self._check_stored(arrays, np.asarray(counts))
        owned = {name: np.array(array, order="C") for name, array in arrays.items()}
        return Signature(repr(self), neurons, np.array(counts, np.int64), owned)

    @final
    def layout(self, neurons: int, classes: int) -> Arrays:
        """Arrays with the names, shapes and dtypes of a signature. They hold no memory of their own."""
        return {
            name: np.broadcast_to(np.zeros((), dtype), shape)
            for name, (shape, dtype, _) in self._specification(neurons, classes).items()
        }

    def for_heads(self, channels: int | None) -> Criterion:
        """This criterion for neurons that are the outputs of attention heads, of so many channels each.

        channels: None for other neurons. By default they are all the same. Raises ValueError where they do not fit.
        """
        return self

    def for_scores(self, scores: str) -> Criterion:
        """This criterion for the class scores of a network, ``logits`` or ``probabilities``.

        By default they are all the same. Raises ValueError where they do not fit.
        """
        return self

    @abstractmethod
    def _specification(self, neurons: int, classes: int) -> dict[str, tuple[tuple[int, ...], Any, Any]]:
        """Name -> (shape, dtype, initial value) of the arrays of a signature."""

    def _arrays(self, neurons: int, classes: int) -> Arrays:
        return {
            name: np.full(shape, start, dtype) if start else np.zeros(shape, dtype)
            for name, (shape, dtype, start) in self._specification(neurons, classes).items()
        }

    @abstractmethod
    def _observe(self, arrays: Arrays, counts: np.ndarray, values: np.ndarray, labels: np.ndarray) -> None:
        """Add the samples to `arrays`; `counts` are those before these samples."""

    @abstractmethod
    def _merge(self, into: Signature, other: Signature) -> None:
        """Add `other`, which may change, to the arrays of `into`. The base adds the counts afterwards."""

    def _check_stored(self, arrays: Arrays, counts: np.ndarray) -> None:  # noqa: B027 (a hook that may stay empty)
        """Raise ValueError for arrays of `layout` that `_observe` can never have left; by default all can be."""

    def _prepare(self, signature: Signature) -> Any:
        """Tables for `_deviation`; by default the arrays themselves."""
        return signature.arrays

    def _prepare_codes(self, signature: Signature) -> Any:
        """Tables for `_deviation` of uint8 values; by default those of floats."""
        return self._tables(signature)

    def _with_scratch(self, tables: Any, n: int) -> Any:
        """The tables, and the arrays that `_deviation` writes to for n rows. Each caller has its own."""
        return tables

    def _many_rows(self, tables: Any, n: int, rows_a_frame: int) -> Comparer | None:
        """Another way to compare n rows in lots of `rows_a_frame`, 16 or more; by default there is none.

        See `comparer`. It may write any number for a row with NaN or Inf, and no NaN for others.
        """
        return None

    @final
    def _tables(self, signature: Signature, codes: bool = False) -> Any:
        return signature.tables(lambda: (self._prepare_codes if codes else self._prepare)(signature), codes)

    def keeps(self) -> Any:
        """What tells apart criteria that keep other arrays. Those of equal ones are the same, and can be kept once.

        By default it is the criterion itself.
        """
        return self

    def joined_kernel(self) -> Callable[..., None] | None:
        """The kernel that compares many columns at once, see `join`; by default there is none.

        The tables of `_prepare` have their neurons on the second axis, or the only one. `_with_scratch` is asked for
        arrays that hold those of all columns.
        """
        return None

    def tells_nothing(self, signature: Signature) -> str:
        """Why every deviation from what was learned is 0, in words; by default "", as it is not."""
        return ""

    def parts(self, tables: Any, values: np.ndarray, label: int, out: np.ndarray) -> bool:
        """Write what each neuron adds to the deviation, or to its square. False where neither is such a sum.

        values, out: (neurons,) float32. label: a class that was observed.
        """
        return False

    @abstractmethod
    def _deviation(self, tables: Any, values: np.ndarray, labels: np.ndarray, out: np.ndarray) -> None:
        """Write the deviation of each row to `out`."""

    @cached_property
    def _text(self) -> str:
        return repr(self)

    @final
    def _check_owner(self, signature: Signature) -> None:
        if signature.criterion != self._text:
            raise ValueError(f"expected a signature of {self!r}, got one of {signature.criterion}")

    @final
    def _check_batch(
        self, signature: Signature, values: np.ndarray, labels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        values, labels = np.asarray(values), np.asarray(labels)
        if values.dtype not in (np.float32, np.uint8):
            raise TypeError(
                f"expected float32 values or uint8 codes, got {values.dtype}; convert with values.astype(np.float32)"
            )
        if values.ndim != 2 or values.shape[1] != signature.neurons:
            raise ValueError(f"expected values of shape (n, {signature.neurons}), got {values.shape}")
        if labels.shape != values.shape[:1] or labels.dtype.kind not in "iu":
            raise ValueError(
                f"expected integer labels of shape ({len(values)},), got {labels.dtype} of shape {labels.shape}"
            )
        if values.dtype == np.uint8 and not self.takes_codes:
            values = values.astype(np.float32)
        values = np.ascontiguousarray(values)
        labels = np.ascontiguousarray(labels, np.int64)
        if not rows.labels_within(labels, signature.classes):
            raise ValueError(f"expected labels in [0, {signature.classes}), got {labels.min()} to {labels.max()}")
        return values, labels


def require(condition: bool, expected: str, got: Any) -> None:
    """Raise ValueError in the usual words unless the condition on a hyper-parameter holds."""
    if not condition:
        raise ValueError(f"expected {expected}, got {got!r}")
