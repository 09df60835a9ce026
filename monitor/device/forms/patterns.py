"""Criteria that compare whole patterns of a layer: on and off, ranks, boxes, heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....coverage import Signature
from .counting import new_section
from .form import Form, OfOne, form_of, rows, tables_of


class OnAndOff(OfOne):
    """The Hamming distance to the k-th nearest pattern of the class, as `nearest_distance`."""

    def __init__(self, criterion: Any, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((reference, packed, held),) = tables_of([signature])
        octets = np.ascontiguousarray(packed).astype("<u8", copy=False).view(np.uint8)
        bits = np.unpackbits(octets, axis=-1, bitorder="little", count=signature.neurons)
        most = max(int(held.max(initial=0)), 1)
        self.put("reference", reference)
        self.put("patterns", bits[:, :most])
        self.put("absent", np.where(np.arange(most) < held[:, None], 0, np.inf).astype(np.float32))
        self.k = min(getattr(criterion, "k", 1), most)
        self.put("last", np.minimum(self.k, np.maximum(held, 1)).astype(np.int64) - 1)

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        on = (values > self.reference).to(torch.float32)
        patterns = rows(self.patterns, labels).to(torch.float32).expand(values.shape[0], -1, -1)
        both = torch.bmm(patterns, on.unsqueeze(2)).squeeze(2)
        apart = on.sum(1, keepdim=True) + patterns.sum(2) - 2 * both + rows(self.absent, labels)
        nearest = torch.topk(apart, self.k, 1, largest=False, sorted=True).values
        last = rows(self.last, labels).expand(values.shape[0])
        return nearest.gather(1, last.unsqueeze(1)).squeeze(1)


class OfRanks(OfOne):
    """What the highest neurons cost, as `rank_cost`; of equal ones the first is the higher."""

    def __init__(self, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((cost, weights),) = tables_of([signature])
        self.put("cost", cost)
        self.put("weights", weights)

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        order = torch.sort(values, dim=1, descending=True, stable=True).indices[:, : self.weights.shape[0]]
        cost = rows(self.cost, labels).expand(values.shape[0], -1)
        return (cost.gather(1, order).double() * self.weights).sum(1).float()


class NearestBox(OfOne):
    """How far a row lies outside the nearest box of its class, as `box_distance`."""

    def __init__(self, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((low, high, per_width),) = tables_of([signature])
        self.put("low", low)
        self.put("high", high)
        self.put("per_width", per_width)

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        here = values.unsqueeze(1)
        beyond = torch.relu(torch.maximum(rows(self.low, labels) - here, here - rows(self.high, labels)))
        return (beyond * rows(self.per_width, labels).unsqueeze(1)).sum(2).amin(1)


class OfHeads(OfOne):
    """Norms and angles of attention heads in sections new to the class, as `heads_outside`."""

    def __init__(self, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((directions, scale, base, bits),) = tables_of([signature])
        self.heads = scale.shape[1]
        self.put("directions", directions)
        self.put("scale", scale.reshape(-1))
        self.put("base", base.reshape(-1))
        self.put("bits", bits.reshape(len(bits), -1))
        self.put("halves", np.exp2(-np.arange(8)).astype(np.float32))

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        outputs = values.double().reshape(values.shape[0], self.heads, -1)
        directions = rows(self.directions, labels).double()
        directions = directions.reshape(directions.shape[0], self.heads, -1)
        norm = torch.sqrt(outputs.square().sum(2))
        along = (outputs * directions).sum(2)
        cosine = torch.where(norm > 0, along / torch.where(norm > 0, norm, 1.0), 0.0)
        figures = torch.cat([norm, torch.acos(cosine.clamp(-1, 1))], 1).float()
        return new_section(figures * self.scale, self.base, rows(self.bits, labels), self.halves).sum(1)


@form_of("pattern", "nearest_neighbour")
def _pattern(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return OnAndOff(criterion, signatures[0])


@form_of("neuron_rank")
def _neuron_rank(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return OfRanks(signatures[0])


@form_of("box")
def _box(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return NearestBox(signatures[0])


@form_of("head")
def _head(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return OfHeads(signatures[0])
