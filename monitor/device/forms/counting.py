"""Criteria that add up what each neuron costs: all columns of one at once, cut into blocks of neurons.

A block lies within a column. Sums over the neurons of a block, then over the blocks of a column, are those of a
column. Its first neuron fills up its last block, with tables by which it costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....coverage import Signature
from .form import Form, SomeNeurons, form_of, rows, tables_of

_BLOCK = 32


class CountingForm(Form):
    """The sum over neurons of `costs`; NaN and Inf cost infinity."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__(sizes)
        common = math.gcd(*self.sizes)
        self.block = common if common >= _BLOCK or len(self.sizes) == 1 else _BLOCK
        self.fill = [-size % self.block for size in self.sizes]
        counts = [(size + more) // self.block for size, more in zip(self.sizes, self.fill, strict=True)]
        self.put("within", np.repeat(np.eye(len(counts), dtype=bool), counts, axis=1))
        self.place(self.starts)

    def place(self, starts: Sequence[int]) -> None:
        super().place(starts)
        pairs = zip(self.starts, self.sizes, self.fill, strict=True)
        self.taken = SomeNeurons(
            np.concatenate([np.r_[start : start + size, [start] * more] for start, size, more in pairs])
        )

    def put_joined(self, name: str, tables: Sequence[np.ndarray], fill: float) -> None:
        """Keep tables of the columns beside each other, along their neurons, the second axis or the only one."""
        parts = []
        for table, more in zip(tables, self.fill, strict=True):
            axis = min(1, table.ndim - 1)
            width = [(0, more if i == axis else 0) for i in range(table.ndim)]
            parts.append(np.pad(table, width, constant_values=fill))
        self.put(name, np.concatenate(parts, axis=min(1, tables[0].ndim - 1)))

    def forward(self, values: Tensor, labels: Tensor) -> Tensor:
        whole = self.taken(values)
        costs = torch.where(torch.isfinite(whole), self.costs(whole, labels), torch.inf)
        if len(self.sizes) == 1:
            return costs.sum(1, keepdim=True)
        blocks = costs.reshape(costs.shape[0], -1, self.block).sum(2)
        return torch.where(self.within, blocks.unsqueeze(1), 0.0).sum(2)

    def costs(self, values: Tensor, labels: Tensor) -> Tensor:
        """What each neuron costs, (n, neurons) float32."""
        raise NotImplementedError


class Outside(CountingForm):
    """Neurons outside an interval of their class, as `range_outside`."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        super().__init__([signature.neurons for signature in signatures])
        low, high = zip(*tables_of(signatures), strict=True)
        self.put_joined("low", low, -np.inf)
        self.put_joined("high", high, np.inf)

    def costs(self, values: Tensor, labels: Tensor) -> Tensor:
        inside = (rows(self.low, labels) <= values) & (values <= rows(self.high, labels))
        return torch.where(inside, 0.0, 1.0)


class Beyond(CountingForm):
    """How far neurons lie outside of an interval, in widths of it, as `range_magnitude`."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        super().__init__([signature.neurons for signature in signatures])
        low, high, per_width = zip(*tables_of(signatures), strict=True)
        self.put_joined("low", low, 0)  # of a class without samples the bounds are infinite; no number comes of them
        self.put_joined("high", high, 0)
        self.put_joined("per_width", per_width, 0)

    def costs(self, values: Tensor, labels: Tensor) -> Tensor:
        beyond = torch.maximum(rows(self.low, labels) - values, values - rows(self.high, labels))
        return torch.relu(beyond) * rows(self.per_width, labels)


class InNewSections(CountingForm):
    """Neurons in a section that their class has not visited, as `bitmap_outside`.

    Bits are read by arithmetic that is exact in floats, which every exporter knows: bit k of b is what is odd in
    floor(b / 2**k).
    """

    def __init__(self, signatures: Sequence[Signature]) -> None:
        super().__init__([signature.neurons for signature in signatures])
        scale, base, bits = zip(*tables_of(signatures), strict=True)
        self.put_joined("scale", scale, 0)
        self.put_joined("base", base, 0)
        self.put_joined("bits", bits, 255)
        self.put("halves", np.exp2(-np.arange(8)).astype(np.float32))

    def costs(self, values: Tensor, labels: Tensor) -> Tensor:
        return new_section(values * self.scale, self.base, rows(self.bits, labels), self.halves)


def new_section(scaled: Tensor, base: Tensor, bits: Tensor, halves: Tensor) -> Tensor:
    """1 for a number in a section that is not among the bits, else 0; all of one shape. halves: 2**-k of 0 to 7."""
    section = torch.floor(scaled) - base
    within = (section >= 0) & (section < 8)
    place = torch.where(within, section, 0.0).to(torch.int64)
    shifted = torch.floor(bits.to(torch.float32) * halves[place])
    visited = shifted - 2 * torch.floor(shifted * 0.5) > 0
    return torch.where(within & visited, 0.0, 1.0)


class OfSections(CountingForm):
    """The cost of the section of each neuron, as `sections_cost`."""

    def __init__(self, signatures: Sequence[Signature]) -> None:
        super().__init__([signature.neurons for signature in signatures])
        low, high, per_unit, cost = zip(*tables_of(signatures), strict=True)
        self.put_joined("low", low, 0)
        self.put_joined("high", high, 0)
        self.put_joined("per_unit", per_unit, 0)
        self.put_joined("cost", cost, 0)
        self.put("first", np.arange(self.cost.shape[1]) * self.cost.shape[2])
        self.last = self.cost.shape[2] - 2
        self.of_class = self.cost.shape[1] * self.cost.shape[2]

    def costs(self, values: Tensor, labels: Tensor) -> Tensor:
        lowest = rows(self.low, labels)
        inside = (lowest <= values) & (values <= rows(self.high, labels))
        section = torch.ceil((values - lowest) * rows(self.per_unit, labels)) - 1
        section = torch.where(inside, section.clamp(0, self.last), self.last + 1.0)
        place = section.to(torch.int64) + self.first
        if self.cost.shape[0] > 1:
            place = place + (labels * self.of_class).unsqueeze(1)
        return self.cost.reshape(-1)[place]


@form_of("single_range", several=True)
def _single_range(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return Beyond(signatures) if criterion.magnitude else Outside(signatures)


@form_of("gaussian", several=True)
def _gaussian(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return Outside(signatures)


@form_of("bitmap", several=True)
def _bitmap(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return InNewSections(signatures)


@form_of("multi_range", several=True)
def _multi_range(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return OfSections(signatures)
