"""Criteria that read the class scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ....coverage import Signature
from .form import Form, OfOne, form_of, rows, tables_of

_LOGITS = "logits"
_LEAST = 1e-6


class Surprise(OfOne):
    """-log of the highest softmax, as `softmax_surprise` and `surprise`."""

    def __init__(self, criterion: Any, signature: Signature) -> None:
        super().__init__([signature.neurons])
        self.of_logits = criterion.scores == _LOGITS

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        highest = values.amax(1, keepdim=True)
        if self.of_logits:
            return torch.log(torch.exp((values - highest).double()).sum(1)).float()
        share = highest[:, 0].double()
        return torch.where(share > 0, torch.relu(-torch.log(share)), torch.inf).float()


class InverseMargin(OfOne):
    """1 over the margin between the two highest, as `inverse_margin` and `inverse_margin_of_shares`."""

    def __init__(self, criterion: Any, signature: Signature) -> None:
        super().__init__([signature.neurons])
        self.of_logits = criterion.scores == _LOGITS

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        if values.shape[1] == 1:
            return torch.where(values[:, 0] > 0, 0.0, 0.0 if self.of_logits else torch.inf)
        both = torch.topk(values, 2, dim=1, sorted=True).values.double()
        first, second = both[:, 0], both[:, 1]
        if self.of_logits:
            return (1 / (first - second).clamp_min(_LEAST)).float()
        margin = torch.log(first) - torch.log(torch.where(second > 0, second, 1.0))
        inverse = torch.where(second > 0, 1 / margin.clamp_min(_LEAST), 0.0)
        return torch.where(first > 0, inverse, torch.inf).float()


class BelowHighest(OfOne):
    """How far the energy is below the highest of the class, as `below_highest_energy`."""

    def __init__(self, signature: Signature) -> None:
        super().__init__([signature.neurons])
        ((highest,),) = tables_of([signature])
        self.put("highest", highest)

    def deviation(self, values: Tensor, labels: Tensor) -> Tensor:
        top = values.amax(1, keepdim=True)
        energy = top[:, 0].double() + torch.log(torch.exp((values - top).double()).sum(1))
        return torch.relu(rows(self.highest, labels) - energy).float()


@form_of("softmax")
def _softmax(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return Surprise(criterion, signatures[0])


@form_of("margin")
def _margin(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return InverseMargin(criterion, signatures[0])


@form_of("energy")
def _energy(criterion: Any, signatures: Sequence[Signature]) -> Form:
    return BelowHighest(signatures[0])
