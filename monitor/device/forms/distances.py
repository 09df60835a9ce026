"""Criteria that are distances: columns of as many neurons go through one product of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....coverage import Signature
from ....coverage.criteria.norm import SMALLEST
from .form import Form, OfOne, SomeNeurons, form_of, rows, tables_of


class Stacked(Form):
    """Columns by their size: those of one size lie behind each other, (columns, n, neurons)."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        super().__init__([signature.neurons for signature in signatures])
        self.lots = [[i for i, own in enumerate(self.sizes) if own == size] for size in sorted(set(self.sizes))]
        there = [i for lot in self.lots for i in lot]
        order = None if there == sorted(there) else torch.from_numpy(np.argsort(there))
        self.register_buffer("order", order)
        tables = tables_of(signatures)
        for k, lot in enumerate(self.lots):
            self.put_lot(k, [tables[i] for i in lot])
        self.place(self.starts)

    def place(self, starts: Sequence[int]) -> None:
        super().place(starts)
        ranges = [np.arange(start, start + size) for start, size in zip(self.starts, self.sizes, strict=True)]
        self.taken = nn.ModuleList([SomeNeurons(np.concatenate([ranges[i] for i in lot])) for lot in self.lots])

    def put_lot(self, k: int, tables: list[Any]) -> None:
        """Keep the tables of a lot."""
        raise NotImplementedError

    def squares(self, k: int, values: Tensor, labels: Tensor) -> Tensor:
        """(columns, n) of the values of a lot, (columns, n, neurons)."""
        raise NotImplementedError

    def forward(self, values: Tensor, labels: Tensor) -> Tensor:
        found = []
        for k, (lot, taken) in enumerate(zip(self.lots, self.taken, strict=True)):
            stacked = taken(values).reshape(values.shape[0], len(lot), -1).transpose(0, 1)
            own = self.squares(k, stacked, labels)
            right = torch.isfinite(stacked).all(2) & (own >= 0)  # also of numbers whose products overflow
            found.append(torch.where(right, own, torch.inf))
        whole = (found[0] if len(found) == 1 else torch.cat(found)).transpose(0, 1)
        return whole if self.order is None else whole.index_select(1, self.order)


def _of_class(table: Tensor, labels: Tensor) -> Tensor:
    """Of tables (columns, classes, any) the rows of the labels: (columns, n or 1, any)."""
    return table if table.shape[1] == 1 else table.index_select(1, labels)


class Whitened(Stacked):
    """The norm of a step from the mean of the class in whitened space, as `whitened_distance`."""

    def put_lot(self, k: int, tables: list[Any]) -> None:
        mean, flat = zip(*tables, strict=True)
        self.put(f"mean{k}", np.stack(mean))
        self.put(f"whitening{k}", np.stack(flat).reshape(len(flat), mean[0].shape[1], -1))

    def squares(self, k: int, values: Tensor, labels: Tensor) -> Tensor:
        steps = values - _of_class(getattr(self, f"mean{k}"), labels)
        return torch.sqrt(torch.bmm(steps, getattr(self, f"whitening{k}")).square().sum(2))


class Relative(Stacked):
    """The squared distance above that to all samples, as `relative_distance`."""

    def put_lot(self, k: int, tables: list[Any]) -> None:
        centre, flat, targets, offsets = zip(*tables, strict=True)
        self.put(f"centre{k}", np.stack(centre)[:, None])
        self.put(f"directions{k}", np.stack(flat).reshape(len(flat), len(centre[0]), -1))
        self.put(f"targets{k}", np.stack(targets))
        self.put(f"offsets{k}", np.stack(offsets)[:, :, 0])

    def squares(self, k: int, values: Tensor, labels: Tensor) -> Tensor:
        along = torch.bmm(values - getattr(self, f"centre{k}"), getattr(self, f"directions{k}"))
        away = (along - _of_class(getattr(self, f"targets{k}"), labels)).square().sum(2)
        return away + _of_class(getattr(self, f"offsets{k}"), labels)


class WhitenedByClass(OfOne):
    """`Whitened` with a matrix for each class, as `whitened_distance_by_class`."""

    def __init__(self, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((mean, flat),) = tables_of([signature])
        self.put("mean", mean)
        self.put("whitening", flat.reshape(*mean.shape, -1))

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        steps = (values - rows(self.mean, labels)).unsqueeze(1)
        found = torch.matmul(steps, rows(self.whitening, labels)).square().sum((1, 2))
        return torch.where(found >= 0, torch.sqrt(found), torch.inf)


class Nearest(OfOne):
    """The distance to the k-th nearest sample of the class, as `kth_nearest`.

    Products of matrices say which sample it is. Its distance is worked out anew: little is left of it in sums that
    cancel out.
    """

    def __init__(self, criterion: Any, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((bank, held),) = tables_of([signature])
        most = max(int(held.max(initial=0)), 1)
        bank = bank[:, :most].astype(np.float32)
        there = np.arange(most) < held[:, None]
        with np.errstate(over="ignore"):
            self.put("lengths", np.where(there, np.square(bank).sum(axis=2), np.inf).astype(np.float32))
        self.put("bank", bank)
        self.put("last", np.minimum(np.minimum(criterion.k, most), np.maximum(held, 1)).astype(np.int64) - 1)
        self.put("empty", held == 0)
        self.k, self.normalise = min(criterion.k, most), criterion.normalise

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        if self.normalise:
            length = torch.sqrt(values.double().square().sum(1, keepdim=True))
            values = (values.double() * torch.where(length > 0, 1 / length, 0.0)).float()
        bank = rows(self.bank, labels).expand(values.shape[0], -1, -1)
        scores = rows(self.lengths, labels) - 2 * torch.bmm(bank, values.unsqueeze(2)).squeeze(2)
        nearest = torch.topk(scores, self.k, 1, largest=False, sorted=True).indices
        last = rows(self.last, labels).expand(values.shape[0])
        chosen = nearest.gather(1, last.unsqueeze(1)).unsqueeze(2).expand(-1, 1, values.shape[1])
        away = values - bank.gather(1, chosen).squeeze(1)
        found = torch.sqrt(away.double().square().sum(1)).float()
        return torch.where(rows(self.empty, labels), torch.inf, found)


class Length(OfOne):
    """How unusual the length of a row is, as `length_deviation`."""

    def __init__(self, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((mean, spread),) = tables_of([signature])
        self.put("mean", mean)
        self.put("spread", spread)

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        lengths = torch.sqrt(values.double().square().sum(1)).clamp_min(SMALLEST)
        return ((torch.log(lengths) - rows(self.mean, labels)).abs() / rows(self.spread, labels)).float()


@form_of("mahalanobis", several=True)
def _mahalanobis(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return Whitened(signatures)


@form_of("relative_mahalanobis", several=True)
def _relative_mahalanobis(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return Relative(signatures)


@form_of("class_mahalanobis")
def _class_mahalanobis(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return WhitenedByClass(signatures[0])


@form_of("neighbours")
def _neighbours(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return Nearest(criterion, signatures[0])


@form_of("norm")
def _norm(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return Length(signatures[0])
