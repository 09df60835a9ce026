"""Which heads to watch: chosen by cross-validation, and held against the same choice on shuffled labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import ProfileError
from .ranking import auroc_of_heads, separation_of_heads
from .statistic import Head, Statistic, head_name

LEAST = 10
"""The fewest prompts of each kind that a search takes."""
FOLDS, ROUNDS = 5, 3
RULES = ("auroc", "paper")
_TIE_BREAK = 1e-3
_PERCENTILE = 80


@dataclass(frozen=True)
class Choice:
    """Which of the measured heads were chosen, and why.

    chosen: their indices, best first. auroc, separation: (heads,) float64, cross-validated; of a joint statistic those
    of each head's own values. found: what the permutation test compares: the mean cross-validated AUROC of the chosen
    heads, in the first round of folds. null: (p,) float64, the same of the choice on each shuffle.
    """

    chosen: np.ndarray
    auroc: np.ndarray
    separation: np.ndarray
    found: float
    null: np.ndarray

    @property
    def p_value(self) -> float | None:
        """(1 + the shuffles that do as well) / (1 + shuffles), None without any."""
        if not len(self.null):
            return None
        return float((1 + (self.null >= self.found - 1e-12).sum()) / (1 + len(self.null)))


@dataclass(frozen=True)
class SearchReport:
    """What a search saw.

    statistic: as of `describe_statistic`. rule: how heads were chosen. auroc, separation: (layers, heads) float64,
    cross-validated AUROC and d′ of every head, NaN where it was not measured; of a joint statistic, those of each
    head's own values. chosen: the (layer, head) pairs, best first. found: the mean cross-validated AUROC of the choice,
    in one round of folds. It flatters, because the best of many was chosen. null: (p,) the same for shuffled labels.
    p_value: the share of shuffles that do as well, the true labels counted as one of them. Where only some heads were
    measured, as the same prompts picked them, `found` and p_value flatter: the shuffles do not repeat that pick.
    unsafe, safe: prompts that were learned from. skipped: (kind, index, reason) of the others.
    """

    statistic: dict[str, Any]
    rule: str
    auroc: np.ndarray
    separation: np.ndarray
    chosen: tuple[Head, ...]
    found: float
    null: np.ndarray
    p_value: float | None
    unsafe: int
    safe: int
    skipped: tuple[tuple[str, int, str], ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """The report in JSON types; a head that was not measured is None."""
        return {
            "statistic": self.statistic,
            "rule": self.rule,
            "auroc": _table(self.auroc),
            "separation": _table(self.separation),
            "chosen": [list(head) for head in self.chosen],
            "found": self.found,
            "null": self.null.tolist(),
            "p_value": self.p_value,
            "unsafe": self.unsafe,
            "safe": self.safe,
            "skipped": [list(one) for one in self.skipped],
        }

    def __str__(self) -> str:
        measured, shown = int(np.isfinite(self.auroc).sum()), self.chosen[:8]
        more = f", and {len(self.chosen) - len(shown)} more" if len(self.chosen) > len(shown) else ""
        reached = f"cross-validated AUROC of the choice {self.found:.3f}"
        if self.p_value is None:
            against = "not held against shuffled labels"
        else:
            middle, highest = float(np.median(self.null)), float(self.null.max())
            shuffles = f"{len(self.null)} shuffles, p = {self.p_value:.3g}"
            against = f"on shuffled labels {middle:.3f} in the middle and at most {highest:.3f} ({shuffles})"
        flatters = (
            f"only {measured} of {self.auroc.size} heads were measured; where these prompts picked them, AUROC and p"
            " flatter, as the shuffles do not repeat that pick"
        )
        return "\n".join(
            [
                f"{self.statistic['name']} of {measured} heads, {self.unsafe} unsafe and {self.safe} safe prompts",
                f"chosen: {', '.join(f'{head_name(head)} ({self.auroc[head]:.3f})' for head in shown)}{more}",
                f"{reached}; {against}",
                *([flatters] if measured < self.auroc.size else []),
                *(f"{kind} prompt {index} was left out: {reason}" for kind, index, reason in self.skipped),
            ]
        )


def check_enough(unsafe: int, safe: int, skipped: Sequence[tuple[str, int, str]] = ()) -> None:
    """Raise ProfileError, naming the number needed, unless there are enough prompts of each kind.

    skipped: (kind, index, reason) of those left out; the first of the kind is said.
    """
    for kind, n in (("unsafe", unsafe), ("safe", safe)):
        if n < LEAST:
            raise ProfileError(
                f"expected at least {LEAST} {kind} prompts that can be judged to search with, got {n}; 50 are usual"
                + next((f"; number {i} cannot: {reason}" for of, i, reason in skipped if of == kind), "")
            )


def choose(
    statistic: Statistic, values: np.ndarray, unsafe: np.ndarray, heads: int, *, rule: str = "auroc",
    permutations: int = 0, seed: int = 0,
) -> Choice:  # fmt: skip
    """Choose so many heads by one of two rules.

    "auroc": the highest AUROC over three rounds of stratified 5-fold cross-validation, to which a thousandth of d′ is
    added, so that it breaks ties. "paper": the
    largest mean of unsafe minus mean of safe prompts among heads whose mean on safe prompts is below the 80th
    percentile over heads (One-head Defense, NeurIPS 2025), for statistics of one number a head.
    Shuffles keep the number of each kind in every fold, and repeat the whole choice with the first round of folds.
    values: (n, heads, size), finite. unsafe: (n,) bool.
    """
    rng = np.random.default_rng(seed)
    rounds = [stratified_folds(unsafe, rng) for _ in range(ROUNDS)]
    labels = np.stack([unsafe, *(_shuffled(unsafe, rounds[0], rng) for _ in range(permutations))], axis=1)
    first = statistic.cross_validate(values, labels, rounds[0])
    truth = labels[:, :1]
    pooled = first[..., :1]
    if statistic.learns:
        pooled = pooled + sum(statistic.cross_validate(values, truth, folds) for folds in rounds[1:])
    in_first = auroc_of_heads(first, labels)
    if statistic.joint:
        own = values[..., 0].T[..., None].astype(np.float64)
        auroc, separation = auroc_of_heads(own, truth)[:, 0], separation_of_heads(own, truth)[:, 0]
        return Choice(np.arange(values.shape[1]), auroc, separation, float(in_first[0, 0]), in_first[0, 1:])
    auroc, separation = auroc_of_heads(pooled, truth)[:, 0], separation_of_heads(pooled, truth)[:, 0]
    if rule == "paper":
        rank = _published(values, labels)
        ranked = rank[:, 0]
    else:
        rank = in_first + _TIE_BREAK * separation_of_heads(first, labels)
        ranked = auroc + _TIE_BREAK * separation
    best = np.argsort(-rank, axis=0, kind="stable")[:heads]
    reached = np.take_along_axis(in_first, best, 0).mean(axis=0)
    chosen = np.argsort(-ranked, kind="stable")[:heads]
    return Choice(chosen, auroc, separation, float(reached[0]), reached[1:])


def stratified_folds(unsafe: np.ndarray, rng: np.random.Generator, folds: int = FOLDS) -> np.ndarray:
    """The fold of each prompt, (n,) int64: as many of each kind in every fold, to within one."""
    found = np.empty(len(unsafe), np.int64)
    start = 0
    for kind in (True, False):
        indices = rng.permutation(np.flatnonzero(unsafe == kind))
        found[indices] = (start + np.arange(len(indices))) % folds
        start += len(indices)
    return found


def _shuffled(unsafe: np.ndarray, folds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    labels = unsafe.copy()
    for fold in np.unique(folds):
        within = np.flatnonzero(folds == fold)
        labels[within] = rng.permutation(labels[within])
    return labels


def _published(values: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The published rule's rank of each head under each labelling, (heads, p); -inf above the percentile."""
    angles = values[..., 0].T.astype(np.float64)
    weights = labels.astype(np.float64)
    unsafe = angles @ (weights / weights.sum(axis=0))
    safe = angles @ ((1 - weights) / (1 - weights).sum(axis=0))
    return np.asarray(np.where(safe < np.percentile(safe, _PERCENTILE, axis=0), unsafe - safe, -np.inf))


def _table(values: np.ndarray) -> list[list[float | None]]:
    return [[float(value) if np.isfinite(value) else None for value in row] for row in values]
