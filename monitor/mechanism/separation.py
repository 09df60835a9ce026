"""How far the MLP activations of safe and unsafe inputs lie apart, layer by layer, and on which side others lie.

τ(x) = ‖a(x) − μ_unsafe‖ − ‖a(x) − μ_safe‖, above 0 on the safe side (Jain et al., 2024, section 4). The means are those
of one half of the inputs, and all figures those of the other half [ours: the paper does not say that it splits].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..calibration import auroc

ENERGY = 0.9
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ClusterSeparation:
    """Figures of each layer, from the half that gave no means.

    tau: of each kind, (layers, n) float64. gap: ‖μ_safe − μ_unsafe‖, (layers,). auroc: of τ, safe above unsafe.
    distance: the gap in units of the clusters' spread, the root mean square distance of an input to the mean of its own
    cluster. contrast: the difference of the mean τ of safe and unsafe inputs in standard deviations (d′). ranks: of
    each cluster, how many principal directions hold 90 % of its energy. shuffled: the same of labels drawn at random,
    each figure's mean over the draws, and `distance_high` and `auroc_high`, their 97.5 % quantiles.
    """

    tau: Mapping[str, np.ndarray]
    gap: np.ndarray
    auroc: np.ndarray
    distance: np.ndarray
    contrast: np.ndarray
    ranks: Mapping[str, np.ndarray]
    shuffled: Mapping[str, np.ndarray]

    def position(self, kind: str) -> np.ndarray:
        """Where a kind lies between the clusters, (layers,): by its median τ, 0 as unsafe inputs and 1 as safe ones.

        One half where these two lie at the same place.
        """
        of, low, high = (np.median(self.tau[name], axis=1) for name in (kind, "unsafe", "safe"))
        apart = high - low
        found: np.ndarray = np.where(apart == 0, 0.5, (of - low) / np.where(apart == 0, 1, apart))
        return found

    def nearer_safe(self, kind: str) -> np.ndarray:
        """The share of a kind that lies nearer the safe mean, (layers,); a tie counts half."""
        found: np.ndarray = ((self.tau[kind] > 0) + 0.5 * (self.tau[kind] == 0)).mean(axis=1)
        return found


def separation(
    safe: np.ndarray,
    unsafe: np.ndarray,
    others: Mapping[str, np.ndarray] | None = None,
    *,
    shuffles: int = 20,
    seed: int = 0,
) -> ClusterSeparation:
    """Figures of activations (layers, n, width). others: kinds that are placed and give no means, as jailbreaks.

    shuffles: how often labels are drawn at random, 0 for none. Raises ValueError for fewer than four inputs of a kind,
    shapes that do not fit, and kinds named safe or unsafe.
    """
    kinds = {"safe": safe, "unsafe": unsafe}
    others = dict(others or {})
    if both := kinds.keys() & others.keys():
        raise ValueError(f"expected other kinds than safe and unsafe, got {', '.join(sorted(both))}")
    for name, values in (kinds | others).items():
        if values.ndim != 3 or values.shape[::2] != safe.shape[::2]:
            raise ValueError(f"{name}: expected (layers, n, width) as {safe.shape} has, got {values.shape}")
        if name in kinds and values.shape[1] < 4:
            raise ValueError(f"expected at least 4 {name} inputs, 2 for the mean and 2 for the figures, got fewer")
    rng = np.random.default_rng(seed)
    halves = {name: _halves(values.shape[1], rng) for name, values in kinds.items()}
    splits = [
        {name: (values[layer][halves[name][0]], values[layer][halves[name][1]]) for name, values in kinds.items()}
        for layer in range(len(safe))
    ]
    found = [_figures(split) for split in splits]
    means = [{name: first.mean(axis=0, dtype=np.float64) for name, (first, _) in split.items()} for split in splits]
    taus = {
        name: np.stack(
            [
                tau(splits[i][name][1] if name in kinds else values[i], means[i]["unsafe"], means[i]["safe"])
                for i in range(len(safe))
            ]
        )
        for name, values in (kinds | others).items()
    }
    columns = {key: np.array([figures[key] for figures in found]) for key in ("gap", "auroc", "distance", "contrast")}
    ranks = {name: np.array([energy_rank(_centred(np.concatenate(split[name]))) for split in splits]) for name in kinds}
    return ClusterSeparation(taus, **columns, ranks=ranks, shuffled=_shuffled(splits, shuffles, rng))


def tau(values: np.ndarray, unsafe_mean: np.ndarray, safe_mean: np.ndarray) -> np.ndarray:
    """‖a − μ_unsafe‖ − ‖a − μ_safe‖ of activations (n, width): (n,) float64, above 0 nearer the safe mean."""
    values = np.asarray(values, np.float64)
    found: np.ndarray = np.linalg.norm(values - unsafe_mean, axis=1) - np.linalg.norm(values - safe_mean, axis=1)
    return found


def energy_rank(values: np.ndarray, energy: float = ENERGY) -> int:
    """The least number of singular directions of a matrix that hold this share of its squared singular values.

    0 for a matrix of zeros.
    """
    squares = np.linalg.svd(np.asarray(values, np.float64), compute_uv=False) ** 2
    total = squares.sum()
    return int(np.searchsorted(squares.cumsum() / total, energy - _ROUNDING) + 1) if total > 0 else 0


def _halves(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    order = rng.permutation(n)
    return order[: n // 2], order[n // 2 :]


def _centred(values: np.ndarray) -> np.ndarray:
    found: np.ndarray = values - values.mean(axis=0, dtype=np.float64)
    return found


def _figures(split: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, float]:
    means = {name: first.mean(axis=0, dtype=np.float64) for name, (first, _) in split.items()}
    held = {name: second.astype(np.float64) for name, (_, second) in split.items()}
    scores = {name: tau(values, means["unsafe"], means["safe"]) for name, values in held.items()}
    gap = float(np.linalg.norm(means["safe"] - means["unsafe"]))
    spread = float(np.sqrt(np.mean([((values - means[name]) ** 2).sum(1).mean() for name, values in held.items()])))
    noise = float(np.sqrt(np.mean([values.var(ddof=1) for values in scores.values()])))
    apart = float(scores["safe"].mean() - scores["unsafe"].mean())
    return {
        "gap": gap,
        "auroc": auroc(scores["unsafe"], scores["safe"]),
        "distance": _over(gap, spread),
        "contrast": _over(apart, noise),
    }


def _over(value: float, unit: float) -> float:
    """value / unit; a unit of 0 makes 0 of 0 and infinity of all else."""
    if unit > 0:
        return value / unit
    return 0.0 if value == 0 else float(np.copysign(np.inf, value))


def _shuffled(
    splits: list[dict[str, tuple[np.ndarray, np.ndarray]]], count: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """The figures of random labels: in each half the same inputs, as many of either label."""
    if not count:
        return {}
    first, second = (len(splits[0]["safe"][half]) for half in (0, 1))
    sizes = [sum(len(values[half]) for values in splits[0].values()) for half in (0, 1)]
    draws = []
    for _ in range(count):
        orders = [rng.permutation(size) for size in sizes]
        figures = []
        for split in splits:
            pooled = [np.concatenate([split["safe"][half], split["unsafe"][half]])[orders[half]] for half in (0, 1)]
            labelled = {
                "safe": (pooled[0][:first], pooled[1][:second]),
                "unsafe": (pooled[0][first:], pooled[1][second:]),
            }
            figures.append(_figures(labelled))
        draws.append(figures)
    table = {key: np.array([[layer[key] for layer in draw] for draw in draws]) for key in ("auroc", "distance")}
    found = {key: values.mean(axis=0) for key, values in table.items()}
    return found | {f"{key}_high": np.quantile(values, 0.975, axis=0) for key, values in table.items()}
