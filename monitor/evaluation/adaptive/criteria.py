"""Criteria as functions of tensors: the same deviations, with gradients.

A deviation that counts has a gradient of zero. Its twin takes the count as its value and a smooth surrogate for its
gradient (straight-through, Bengio et al. 2013). A new criterion is one function under its name here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ....coverage import Criterion, Signature
from ....coverage.criteria.norm import SMALLEST

Twinned = Callable[[Tensor, Tensor], Tensor]
"""(values (n, neurons), labels (n,) int64) -> deviations (n,)."""
Make = Callable[[Any, Any, torch.device], Twinned]
"""(criterion, the tables that it compares with, device) -> its twin."""

CRITERIA: dict[str, Make] = {}
_SOFTEST = 0.05  # of a range: how far outside a neuron counts two thirds
_NEVER = 1e6


def twin_of_criterion(*names: str) -> Callable[[Make], Make]:
    """Decorates what makes the twin of the criteria of these names, see `Criterion.name`."""

    def register(make: Make) -> Make:
        CRITERIA.update(dict.fromkeys(names, make))
        return make

    return register


def criterion_twin(criterion: Criterion, signature: Signature, device: torch.device) -> Twinned:
    """The twin of a criterion that has learned. Raises ValueError that names one without a twin.

    A row of a class that was never observed deviates by +inf, without a gradient.
    """
    if criterion.name not in CRITERIA:
        raise ValueError(
            f"expected a criterion with a twin, {', '.join(sorted(CRITERIA))}, got {criterion.name!r}; write one and"
            " register it with twin_of_criterion"
        )
    criterion.prepare(signature)
    twin = CRITERIA[criterion.name](criterion, signature.tables(tuple), device)
    seen = torch.from_numpy(signature.counts > 0).to(device)
    if bool(seen.all()):
        return twin

    def of_seen(values: Tensor, labels: Tensor) -> Tensor:
        some = int(seen.nonzero()[0, 0]) if bool(seen.any()) else 0
        found = twin(values, torch.where(seen[labels], labels, some))
        return torch.where(seen[labels], found, torch.inf)

    return of_seen


def through(hard: Tensor, soft: Tensor) -> Tensor:
    """The value of the first, to the last digit, with the gradient of the second."""
    return hard.detach() + (soft - soft.detach())


def _put(tables: Any, device: torch.device) -> list[Tensor]:
    """Tables as tensors. What was never observed is not finite there, and 0 here: its result is not used."""
    put = [torch.from_numpy(np.ascontiguousarray(table)).to(device) for table in tables]
    return [torch.nan_to_num(one, 0, 0, 0) if one.is_floating_point() else one for one in put]


def _saturating(beyond: Tensor) -> Tensor:
    """About 1 for each neuron that is well beyond its bound, with a gradient that does not die farther out."""
    return (1 - torch.exp(-beyond) + _SOFTEST * beyond).sum(1)


@twin_of_criterion("single_range", "gaussian")
def _ranges(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    low, high, *inverse_width = _put(tables, device)
    width = high - low
    typical = torch.stack([row[row > 0].median() if bool((row > 0).any()) else row.new_ones(()) for row in width])
    softness = _SOFTEST * torch.where(width > 0, width, typical[:, None])

    def outside(values: Tensor, labels: Tensor) -> Tensor:
        lowest, highest = low[labels], high[labels]
        beyond = functional.relu(torch.maximum(lowest - values, values - highest))
        if inverse_width:
            return (beyond * inverse_width[0][labels]).sum(1)
        hard = (~((lowest <= values) & (values <= highest))).sum(1)
        return through(hard, _saturating(beyond / softness[labels]))

    return outside


@twin_of_criterion("multi_range")
def _sections(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    """Inside of its range a neuron's cost is linear between the middles of sections."""
    low, high, per_unit, cost = _put(tables, device)
    last = cost.shape[2] - 2
    neurons = torch.arange(cost.shape[1], device=device)

    def costs(values: Tensor, labels: Tensor) -> Tensor:
        lowest, highest, scale = low[labels], high[labels], per_unit[labels]
        classes = labels[:, None].expand_as(values)
        inside = (lowest <= values) & (values <= highest)
        place = (values - lowest) * scale
        section = (torch.ceil(place.detach()).long() - 1).clamp(0, last)
        hard = cost[classes, neurons, torch.where(inside, section, last + 1)].sum(1)
        middle = (place - 0.5).clamp(0, last)
        below = middle.detach().floor().long().clamp_max(max(last - 1, 0))
        here, there = cost[classes, neurons, below], cost[classes, neurons, (below + 1).clamp_max(last)]
        between = here + (there - here) * (middle - below)
        beyond = functional.relu(torch.maximum(lowest - values, values - highest))
        farther = 2 * beyond * torch.where(scale > 0, scale, torch.ones_like(scale))
        return through(hard, between.sum(1) + _saturating(farther))

    return costs


@twin_of_criterion("bitmap")
def _bitmap(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    scale, base, bits = _put(tables, device)
    visited = _unpacked(bits)
    return lambda values, labels: _outside_of_sections(values * scale, base, visited[labels])


def _unpacked(bits: Tensor) -> Tensor:
    """(..., 8) bool: the bits of bytes, lowest first."""
    return (bits[..., None] >> torch.arange(8, dtype=torch.uint8, device=bits.device)) & 1 > 0


def _outside_of_sections(scaled: Tensor, base: Tensor, visited: Tensor) -> Tensor:
    """How many are in a section not visited; smooth in the distance to the nearest that is, in sections.

    scaled: (n, figures). base: (figures,). visited: (n, figures, 8) bool.
    """
    found = torch.floor(scaled.detach()) - base
    within = (found >= 0) & (found < 8)
    bit = visited.gather(-1, found.clamp(0, 7).long()[..., None])[..., 0]
    hard = (~(within & bit)).sum(1)
    section = torch.arange(8, device=scaled.device)
    place = (scaled - base)[..., None]
    away = functional.relu(torch.maximum(section - place, place - (section + 1)))
    nearest = torch.where(visited, away, _NEVER).amin(-1)
    nearest = torch.where(nearest < _NEVER, nearest, 0.0)  # a class that was nowhere here gives no direction
    return through(hard, _saturating((nearest + 0.02 * (nearest > 0)) / 0.1))


@twin_of_criterion("head")
def _heads(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    directions, scale, base, bits = _put(tables, device)
    visited, heads = _unpacked(bits), scale.shape[1]

    def outside(values: Tensor, labels: Tensor) -> Tensor:
        outputs, along = values.unflatten(1, (heads, -1)), directions[labels].unflatten(1, (heads, -1))
        norm = (outputs.double().square().sum(2) + 1e-30).sqrt()
        cosine = (outputs.double() * along).sum(2) / norm
        exact = torch.acos(cosine.detach().clamp(-1, 1))
        angle = through(exact, torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6)))
        figures = torch.cat([norm, angle], 1).float()
        return _outside_of_sections(figures * scale.flatten(), base.flatten(), visited[labels].flatten(1, 2))

    return outside


@twin_of_criterion("neuron_rank")
def _ranks(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    """The gradient lowers neurons among the highest that cost more than these do on average, and raises the others."""
    cost, weights = _put(tables, device)
    ranks = len(weights)

    def costs(values: Tensor, labels: Tensor) -> Tensor:
        mine = cost[labels]
        ordered, order = torch.sort(values.detach(), dim=1, descending=True, stable=True)
        highest = mine.gather(1, order[:, :ranks])
        hard = (highest * weights).sum(1)
        least, softness = ordered[:, ranks - 1 : ranks], ordered.std(1, keepdim=True) / 4 + 1e-6
        among = torch.sigmoid((values - least) / softness) / ranks
        return through(hard, ((mine - highest.mean(1, keepdim=True)) * among).sum(1))

    return costs


@twin_of_criterion("pattern", "nearest_neighbour")
def _patterns(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    """The gradient moves towards the k-th nearest pattern of the class."""
    reference, packed, held = tables
    neurons, k = len(reference), getattr(criterion, "k", 1)
    bytes_ = np.ascontiguousarray(packed).astype("<u8", copy=False).view(np.uint8)
    stored = torch.from_numpy(np.unpackbits(bytes_, axis=-1, bitorder="little", count=neurons)).to(device)
    (bound,) = _put([reference], device)
    sizes = held.tolist()

    def distance(values: Tensor, labels: Tensor) -> Tensor:
        on = (values.detach() > bound).float()
        hard, nearest = values.new_zeros(len(values)), values.new_zeros(values.shape)
        for c in labels.unique().tolist():
            rows, patterns = labels == c, stored[c, : max(sizes[c], 1)].float()
            here = on[rows]
            apart = here.sum(1, keepdim=True) + patterns.sum(1) - 2 * here @ patterns.T
            farthest = torch.topk(apart, min(k, len(patterns)), largest=False)
            hard[rows] = farthest.values[:, -1].round()
            nearest[rows] = patterns[farthest.indices[:, -1]]
        softness = 0.1 * (values.detach() - bound).abs().mean(1, keepdim=True) + 1e-6
        short = torch.where(nearest > 0, bound - values, values - bound) / softness
        wrong = on != nearest
        return through(hard, _saturating(torch.where(wrong, short + 0.1, 0.0)))

    return distance


@twin_of_criterion("box")
def _boxes(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    low, high, inverse_width = _put(tables, device)

    def distance(values: Tensor, labels: Tensor) -> Tensor:
        here = values[:, None]
        beyond = functional.relu(torch.maximum(low[labels] - here, here - high[labels]))
        return (beyond * inverse_width[labels][:, None]).sum(2).amin(1)

    return distance


@twin_of_criterion("mahalanobis")
def _mahalanobis(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    mean, whitening = _put(tables, device)
    matrix = whitening.view(mean.shape[1], -1)
    return lambda values, labels: (((values - mean[labels]) @ matrix).square().sum(1) + 1e-12).sqrt()


@twin_of_criterion("relative_mahalanobis")
def _relative(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    centre, directions, targets, offsets = _put(tables, device)
    matrix = directions.view(len(centre), -1)

    def distance(values: Tensor, labels: Tensor) -> Tensor:
        return ((values - centre) @ matrix - targets[labels]).square().sum(1) + offsets[labels, 0]

    return distance


@twin_of_criterion("class_mahalanobis")
def _class_mahalanobis(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    mean, flat = _put(tables, device)
    matrices = flat.view(*mean.shape, -1)

    def distance(values: Tensor, labels: Tensor) -> Tensor:
        found = values.new_zeros(len(values))
        for c in labels.unique().tolist():
            rows = labels == c
            squares = ((values[rows] - mean[c]) @ matrices[c]).square().sum(1)
            found = found.masked_scatter(rows, (squares + 1e-12).sqrt())
        return found

    return distance


@twin_of_criterion("neighbours")
def _neighbours(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    bank, held = _put(tables, device)

    def distance(values: Tensor, labels: Tensor) -> Tensor:
        vectors = values.double()
        if criterion.normalise:
            vectors = functional.normalize(vectors, eps=torch.finfo(torch.float64).tiny)
        found = values.new_zeros(len(values))
        for c in labels.unique().tolist():
            rows, samples = labels == c, bank[c, : max(int(held[c]), 1)]
            apart = torch.cdist(vectors[rows].float(), samples, compute_mode="donot_use_mm_for_euclid_dist")
            kth = torch.topk(apart, min(criterion.k, len(samples)), largest=False).values[:, -1]
            found = found.masked_scatter(rows, kth)
        return found

    return distance


@twin_of_criterion("softmax")
def _softmax(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    """The gradient is that of the label's probability, whichever class is highest."""

    def surprise(values: Tensor, labels: Tensor) -> Tensor:
        logs = _logs(criterion, values).double()
        highest = logs.detach().amax(1)
        total = torch.logsumexp(logs - highest[:, None], 1) if criterion.scores == "logits" else -highest
        hard = functional.relu(total)
        return through(hard, total + highest - logs.gather(1, labels[:, None])[:, 0]).float()

    return surprise


@twin_of_criterion("margin")
def _margin(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    """The gradient is that of the label's margin over all others, also where it is not the highest."""

    def inverse(values: Tensor, labels: Tensor) -> Tensor:
        if values.shape[1] == 1:
            return 0 * values[:, 0]
        logs = _logs(criterion, values)
        first, second = torch.topk(logs, 2, dim=1).values.double().unbind(1)
        hard = 1 / (first - second).clamp_min(1e-6)
        others = logs.scatter(1, labels[:, None], -torch.inf).amax(1)
        margin = logs.gather(1, labels[:, None])[:, 0] - others
        return through(hard.float(), 1 / (functional.softplus(4 * margin) / 4 + 1e-2))

    return inverse


@twin_of_criterion("norm")
def _norm(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    mean, spread = _put(tables, device)

    def twin(values: Tensor, labels: Tensor) -> Tensor:
        lengths = torch.linalg.vector_norm(values.double(), dim=1).clamp_min(SMALLEST)
        return ((lengths.log() - mean[labels]).abs() / spread[labels]).float()

    return twin


@twin_of_criterion("energy")
def _energy(criterion: Any, tables: Any, device: torch.device) -> Twinned:
    (highest,) = _put(tables, device)
    return lambda values, labels: functional.relu(highest[labels] - torch.logsumexp(values.double(), 1)).float()


def _logs(criterion: Any, values: Tensor) -> Tensor:
    if criterion.scores == "logits":
        return values
    return torch.log(values.clamp_min(torch.finfo(values.dtype).tiny))
