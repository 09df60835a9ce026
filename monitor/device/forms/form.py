"""What criteria have in common as operations on tensors; a form is registered under the name of its criterion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ....coverage import Criterion, Signature

LARGEST_COLUMN = 16_384
"""As of `coverage.joined`: a larger one is a form of its own."""


class Tables(nn.Module):
    """A module whose tables keep their dtype: it can be moved, but `half()` and the like leave it as exact as it is."""

    if TYPE_CHECKING:  # a table is a buffer by its name

        def __getattr__(self, name: str) -> Any: ...

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        def moved(table: Tensor) -> Tensor:
            found = fn(table)
            return found if found.dtype == table.dtype else table.to(found.device)

        return super()._apply(moved, recurse)


class Form(Tables):
    """Columns of one criterion: (values, labels) -> deviations (n, columns) float32, as `Criterion.deviation`.

    values: (n, any) float32, of which `place` says where the neurons of each column begin; at first they lie one behind
    the other. labels: (n,) int64, within the classes. Rows with NaN or Inf deviate by infinity; for classes that were
    never observed `Bench` sees to it. A form is `put` together from tables as buffers, and its operations are those
    that every exporter knows.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.starts = [sum(self.sizes[:i]) for i in range(len(self.sizes))]

    def put(self, name: str, table: np.ndarray) -> None:
        """Keep a table as a buffer, as it is."""
        self.register_buffer(name, torch.from_numpy(np.array(table, order="C")))

    def place(self, starts: Sequence[int]) -> None:
        """Where in a row of values the neurons of each column begin."""
        self.starts = list(starts)

    def forward(self, values: Tensor, labels: Tensor) -> Tensor:
        raise NotImplementedError


class SomeNeurons(Tables):
    """Some neurons of (n, any) values: a slice where they lie side by side, else gathered."""

    def __init__(self, at: np.ndarray) -> None:
        super().__init__()
        self.first, self.count = int(at[0]), len(at)
        apart = bool((at != np.arange(self.first, self.first + self.count)).any())
        self.register_buffer("at", torch.from_numpy(at.astype(np.int64)) if apart else None)

    def forward(self, values: Tensor) -> Tensor:
        if self.at is None:
            return values[:, self.first : self.first + self.count]
        return values.index_select(1, self.at)


class OfOne(Form):
    """A form of one column, which writes `deviation`: (values (n, neurons), labels) -> (n,)."""

    def forward(self, values: Tensor, labels: Tensor) -> Tensor:
        own = values[:, self.starts[0] : self.starts[0] + self.sizes[0]]
        return torch.where(finite(own), self.deviation(own, labels), torch.inf).unsqueeze(1)

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        """Of rows that are finite; any number for others."""
        raise NotImplementedError


Make = Callable[[Any, Sequence[Signature]], Form]
"""From a criterion and signatures of it, which have learned, to their form."""

FORMS: dict[str, tuple[Make, bool]] = {}
"""By the name of a criterion what makes its form, and whether that takes several columns."""


def form_of(*names: str, several: bool = False) -> Callable[[Make], Make]:
    """Decorates what makes the form of the criteria of these names. several: whether it takes several columns."""

    def register(make: Make) -> Make:
        FORMS.update(dict.fromkeys(names, (make, several)))
        return make

    return register


def refuse_without_form(criteria: Sequence[Criterion]) -> None:
    """Raise ValueError that names a criterion without a form, and those that have one."""
    for criterion in criteria:
        if criterion.name not in FORMS:
            raise ValueError(
                f"expected a criterion with a form on the device, {', '.join(sorted(FORMS))}, got"
                f" {criterion.name!r}; profile without it, or judge on the host with a Monitor"
            )


def forms_of(criterion: Criterion, signatures: Sequence[Signature]) -> list[tuple[Form, list[int]]]:
    """The forms of columns of one criterion, and which of them each compares.

    Raises ValueError for a criterion without a form.
    """
    refuse_without_form([criterion])
    make, several = FORMS[criterion.name]
    for signature in signatures:
        criterion.prepare(signature)
    alone = [i for i, one in enumerate(signatures) if not several or one.neurons > LARGEST_COLUMN]
    together = [i for i in range(len(signatures)) if i not in alone]
    lots = [*([together] if together else []), *([i] for i in alone)]
    return [(make(criterion, [signatures[i] for i in lot]), lot) for lot in lots]


def tables_of(signatures: Sequence[Signature]) -> list[Any]:
    """What a criterion compares with, a set of tables for each signature; they are prepared."""
    return [signature.tables(tuple) for signature in signatures]


def rows(table: Tensor, labels: Tensor) -> Tensor:
    """The rows of a table (classes, ...) of the labels: (n, ...), or (1, ...) where there is one class."""
    return table if table.shape[0] == 1 else table.index_select(0, labels)


def finite(values: Tensor) -> Tensor:
    """(n,) bool: whether rows (n, any) hold neither NaN nor Inf."""
    return torch.isfinite(values).all(1)
