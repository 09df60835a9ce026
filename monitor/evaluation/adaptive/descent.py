"""Attacks that follow gradients: of the network alone, of network and monitor together, and towards a trusted image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .ball import Ball
from .twin import Twin

Confirm = Callable[[Tensor, Tensor], Tensor]
"""(images, labels) -> (n,) bool: whether the monitor itself stays silent while the network errs."""
Forward = Callable[[Tensor], tuple[Tensor, Any]]
_PGD_STEPS = 40
_MOMENTUM, _OF_SQUARES = 0.8, 0.95
_FIRST, _LAST = 0.26, 0.01  # of epsilon: the size of a step at the beginning and at the end
_GOAL = 0.95  # of the threshold, which the score is pressed below
_LEARNING = 1.1


@dataclass(frozen=True)
class Strategy:
    """One way to attack network and monitor together: Adam on the margin of the label plus λ times the deviation.

    Each image's two gradients are brought to length 1 first. weight: λ at the beginning. adapt: whether λ then grows
    where the network is fooled and the monitor speaks, and shrinks where the network is right. random: start anywhere
    in the ball instead of at its centre. lead: by how much another class is to lead, in logits. masked: move the object
    alone, where there is a mask. rank: 0 leads to whichever other class is likeliest; above 0 to one class all along,
    than which so many others are likelier at the beginning. steps: at most.
    """

    weight: float = 1.0
    random: bool = False
    lead: float = 0.3
    masked: bool = False
    adapt: bool = False
    rank: int = 0
    steps: int = 100

    @property
    def name(self) -> str:
        """The strategy in a few words."""
        words = [f"λ {self.weight:g}{' adapted' if self.adapt else ''}", f"lead {self.lead:g}"]
        words += ["random start"] * self.random + ["object only"] * self.masked
        words += [f"class {self.rank + 1}"] * (self.rank > 0) + [f"{self.steps} steps"] * (self.steps != 100)
        return ", ".join(words)


@dataclass
class Found:
    """What an attack found of n images: fooled, evaded (n,) bool, and the best image of each.

    The best is one that evades, else one that fools the network with the lowest score, else the start.
    """

    images: Tensor
    fooled: Tensor
    evaded: Tensor
    score: Tensor

    @classmethod
    def nothing(cls, ball: Ball) -> Found:
        no = torch.zeros(len(ball), dtype=torch.bool, device=ball.start.device)
        return cls(ball.start.clone(), no, no.clone(), torch.full(no.shape, torch.inf, device=no.device))

    def note(self, rows: Tensor, images: Tensor, fooled: Tensor, score: Tensor) -> None:
        """Keep what fools with a lower score than before. rows: (m,) which images these are."""
        better = fooled & (score < self.score[rows]) & ~self.evaded[rows]
        first = fooled & ~self.fooled[rows]
        better |= first
        self.images[rows[better]], self.score[rows[better]] = images[better], score[better].to(self.score.dtype)
        self.fooled[rows[fooled]] = True

    def win(self, rows: Tensor, images: Tensor) -> None:
        """Keep what evades."""
        self.images[rows], self.evaded[rows], self.fooled[rows] = images, True, True


def ignorant(
    forward: Forward, ball: Ball, labels: Tensor, generator: torch.Generator, steps: int = _PGD_STEPS
) -> Tensor:
    """Projected gradient ascent on the cross-entropy (Madry et al., ICLR 2018): an attack on the network alone.

    forward: images -> (class scores, anything). Returns the images.
    """
    images = ball.drawn(generator)
    reach = (ball.high - ball.low).flatten(1).amax(1).view(-1, *[1] * (images.ndim - 1)) / 2
    for _ in range(steps):
        images = images.detach().requires_grad_()
        loss = functional.cross_entropy(forward(images)[0], labels, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, images)
        images = ball.kept(images.detach() + 2.5 * reach / steps * gradient.sign())
    return images.detach()


def descend(
    twin: Twin, confirm: Confirm, ball: Ball, labels: Tensor, strategy: Strategy, epsilon: float,
    generator: torch.Generator,
) -> Found:  # fmt: skip
    """Attack network and monitor together. What evades is left in peace once `confirm` says so."""
    found, rows = Found.nothing(ball), torch.arange(len(ball), device=ball.start.device)
    images = ball.drawn(generator) if strategy.random else ball.start.clone()
    momentum, squares = torch.zeros_like(images), torch.zeros_like(images)
    weight = torch.full((len(images),), strategy.weight, device=images.device)
    toward = None
    if strategy.rank:
        with torch.no_grad():
            toward = twin.rivals(twin(ball.start).logits, labels, strategy.rank)
    for step in range(strategy.steps + 1):
        images = images.detach().requires_grad_(step < strategy.steps)
        with torch.set_grad_enabled(step < strategy.steps):
            seen = twin(images, avoiding=labels if toward is None else None, toward=toward)
        fooled, silent = seen.predictions != labels, seen.score <= seen.threshold
        found.note(rows, images.detach(), fooled, (seen.score / seen.threshold.clamp_min(1e-9)).detach())
        won = _confirmed(confirm, images.detach(), labels, fooled & silent)
        if bool(won.any()):
            found.win(rows[won], images.detach()[won])
        if step == strategy.steps or bool(won.all()):
            break
        lead = _lead(seen.logits, labels, seen.compared)
        gradient = _unit(_gradient(functional.relu(lead + strategy.lead), images, keep=True))
        loud = (seen.score > _GOAL * seen.threshold).to(images.dtype)
        pressure = functional.relu(seen.pressures - _GOAL).sum(1).to(images.dtype) * loud
        gradient = gradient + _wide(weight, images) * _unit(_gradient(pressure, images))
        momentum = _MOMENTUM * momentum + (1 - _MOMENTUM) * gradient
        squares = _OF_SQUARES * squares + (1 - _OF_SQUARES) * gradient.square()
        ahead = momentum / (1 - _MOMENTUM ** (step + 1))
        move = ahead / ((squares / (1 - _OF_SQUARES ** (step + 1))).sqrt() + 1e-8)
        images = ball.kept(images.detach() - epsilon * _rate(step, strategy.steps) * move)
        if strategy.adapt:
            turned = torch.where(fooled & ~silent, _LEARNING, torch.where(fooled, 1.0, 1 / _LEARNING))
            weight = (weight * turned).clamp(strategy.weight / 10, strategy.weight * 10)
        left = ~won
        if not bool(left.all()):
            rows, labels, ball, images = rows[left], labels[left], ball[left], images[left]
            momentum, squares, weight = momentum[left], squares[left], weight[left]
            toward = None if toward is None else toward[left]
    return found


class Bank:
    """Trusted images with their features, among which a match is looked for.

    images: (n, *shape). Those on which the monitor is silent should be given alone.
    """

    def __init__(self, twin: Twin, images: np.ndarray, batch: int = 100) -> None:
        self.images = torch.from_numpy(np.ascontiguousarray(images, np.float32)).to(twin.device)
        with torch.no_grad():
            seen = [twin.features(part) for part in self.images.split(batch)]
        self.classes = torch.cat([logits.argmax(1) for logits, _ in seen])
        self._last = torch.cat([neurons[max(len(neurons) - 2, 0)] for _, neurons in seen])

    def nearest(self, twin: Twin, images: Tensor, labels: Tensor) -> Tensor:
        """For each image the trusted one of another class that is nearest before the class scores."""
        with torch.no_grad():
            _, neurons = twin.features(images)
        distance = torch.cdist(neurons[max(len(neurons) - 2, 0)], self._last)
        return self.images[distance.masked_fill(labels[:, None] == self.classes, torch.inf).argmin(1)]


def match(
    twin: Twin, confirm: Confirm, ball: Ball, labels: Tensor, bank: Bank, epsilon: float, steps: int = 100
) -> Found:
    """Move the neurons of all taps towards those of the nearest trusted image of another class."""
    found, rows = Found.nothing(ball), torch.arange(len(ball), device=ball.start.device)
    with torch.no_grad():
        _, goals = twin.features(bank.nearest(twin, ball.start, labels))
    images = ball.start.clone()
    for step in range(steps + 1):
        images = images.detach().requires_grad_()
        with torch.no_grad():
            seen = twin(images, avoiding=labels)
        fooled, silent = seen.predictions != labels, seen.score <= seen.threshold
        found.note(rows, images.detach(), fooled, seen.score / seen.threshold.clamp_min(1e-9))
        won = _confirmed(confirm, images.detach(), labels, fooled & silent)
        if bool(won.any()):
            found.win(rows[won], images.detach()[won])
        if step == steps or bool(won.all()):
            break
        _, neurons = twin.features(images)
        loss = torch.stack(
            [(a - b).square().sum(1) / (b.square().sum(1) + 1e-6) for a, b in zip(neurons, goals, strict=True)]
        ).sum(0)
        images = ball.kept(images.detach() - epsilon * _rate(step, steps) * _gradient(loss, images).sign())
        left = ~won
        if not bool(left.all()):
            rows, labels, ball, images = rows[left], labels[left], ball[left], images[left]
            goals = [goal[left] for goal in goals]
    return found


def _lead(logits: Tensor, labels: Tensor, rivals: Tensor) -> Tensor:
    """By how much the label's score lies above that of the class that is to win, (n,)."""
    return (logits.gather(1, labels[:, None]) - logits.gather(1, rivals[:, None]))[:, 0]


def _confirmed(confirm: Confirm, images: Tensor, labels: Tensor, candidates: Tensor) -> Tensor:
    won = torch.zeros_like(candidates)
    if bool(candidates.any()):
        won[candidates] = confirm(images[candidates], labels[candidates])
    return won


def _gradient(values: Tensor, images: Tensor, keep: bool = False) -> Tensor:
    (gradient,) = torch.autograd.grad(values.sum(), images, retain_graph=keep)
    return torch.nan_to_num(gradient, 0, 0, 0)


def _unit(gradient: Tensor) -> Tensor:
    return gradient / _wide(gradient.flatten(1).norm(dim=1) + 1e-12, gradient)


def _wide(values: Tensor, images: Tensor) -> Tensor:
    return values.view(-1, *[1] * (images.ndim - 1))


def _rate(step: int, steps: int) -> float:
    return _FIRST * (1 - step / steps) + _LAST
