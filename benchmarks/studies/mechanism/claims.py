"""The paper's claims about the mechanism, each with its figure and the rule by which it held, fixed before the run.

A claim has parts, one for each method or kind of input that it is about; each part is one number a seed, made so that
the claim says it lies above a bound. A part held if the lower end of its 95 % t-interval over seeds lies above the
bound; partly, if that is not so but every seed does; otherwise it did not hold. A claim held if all its parts did; it
did not hold if fewer than half of them held even partly; otherwise it held partly. One seed has no interval: then a
part holds partly at best. With three seeds the interval is 2.5 standard deviations to either side, so `partly` is often
all that can be said, and a part about which nothing is true holds partly one time in eight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HELD, PARTLY, NOT = "held", "partly", "not held"
METHODS = ("SSFT", "DPO", "unlearning")
RATE = "M"
"""The learning rate that claims are decided on, the paper's medium one; the small one is in the tables."""
JAILBREAKS = ("JB-CO-Task", "JB-CO-Text", "JB-MisGen")
BASE = "base"
AS_RANDOM = 0.05  # a share must exceed that of random changes by this much
LARGE = 1.5  # "large only for unsafe inputs": at least so many times as large, over what random changes give
LITTLE = 0.05  # "little cost": fewer safe inputs answered rightly, at most
BEYOND = 1.5  # the α above 1 of the claim

MEAN, FIRST = "separation", "separation_first"
_WHERE = {MEAN: "", FIRST: ", at the first output alone"}
"""The paper averages over ten output positions; the first alone has seen nothing of the output that is fed."""

Figures = Mapping[str, Any]
"""What `outrider.runtime.lab.analysis.analyse` gives for one seed."""


@dataclass(frozen=True)
class PartFound:
    """One part of a claim over seeds. values, untuned, random: one number a seed, in the units of the claim."""

    name: str
    values: Sequence[float]
    untuned: Sequence[float] = field(default=())
    random: Sequence[float] = field(default=())
    bound: float = 0.0
    decided: Sequence[float] | None = None

    @property
    def verdict(self) -> str:
        """Held, partly or not, by the numbers that decide: `decided` where they are others than those shown."""
        deciding = self.values if self.decided is None else self.decided
        low = over_seeds(deciding)[1]
        if low is not None and low > self.bound:
            return HELD
        return PARTLY if deciding and all(value > self.bound for value in deciding) else NOT


@dataclass(frozen=True)
class ClaimFound:
    """A claim with its parts. says: the paper's statement. shows: what the numbers are, and their unit."""

    says: str
    shows: str
    parts: Sequence[PartFound]

    @property
    def verdict(self) -> str:
        said = [part.verdict for part in self.parts]
        if all(verdict == HELD for verdict in said):
            return HELD
        return NOT if 2 * said.count(NOT) > len(said) else PARTLY


def over_seeds(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Mean and 95 % t-interval of one number a seed; None for its ends where there is one seed.

    A number that is missing makes all of them NaN, which no bound lies below.
    """
    from scipy.stats import t

    of = np.array(values, np.float64)
    mean = float(of.mean()) if len(of) else float("nan")
    if len(of) < 2:
        return mean, None, None
    half = float(t.ppf(0.975, len(of) - 1) * of.std(ddof=1) / np.sqrt(len(of)))
    return mean, mean - half, mean + half


def claims(seeds: Sequence[Figures]) -> list[ClaimFound]:
    """All claims on the figures of some seeds, one for each. Raises ValueError for none."""
    if not seeds:
        raise ValueError("expected the figures of at least one seed, got none")
    return [claim(seeds, of) for claim in _OF_CLUSTERS for of in (MEAN, FIRST)] + [claim(seeds) for claim in _CLAIMS]


def name_of(method: str, rate: str = RATE) -> str:
    """``SSFT-M``: what a tuned model is called in the figures."""
    return f"{method}-{rate}"


def deeper(seeds: Sequence[Figures], of: str = MEAN) -> ClaimFound:
    """Distance in the last third of the layers less that in the first third, less the same of the base."""
    parts = []
    for method in METHODS:
        own = _each(seeds, lambda f, m=method: _growth(f["models"][name_of(m)][of]["distance"]))
        base = _each(seeds, lambda f: _growth(f["models"][BASE][of]["distance"]))
        random = _each(seeds, lambda f, m=method: _growth(f["models"][name_of(m)][of]["shuffled"]["distance"]))
        parts.append(
            PartFound(
                method, own, base, random, decided=_less(own, [_most(*two) for two in zip(base, random, strict=True)])
            )
        )
    return ClaimFound(
        f"safe and unsafe clusters separate more with depth{_WHERE[of]}",
        "distance over spread, last third of layers less the first; above the untuned model's and random labels'",
        parts,
    )


def methods(seeds: Sequence[Figures], of: str = MEAN) -> ClaimFound:
    """Distance in the last layer less that of supervised tuning."""
    first = _each(seeds, lambda f: _last(f, name_of("SSFT"), of))
    parts = []
    for method in METHODS[1:]:
        own = _each(seeds, lambda f, m=method: _last(f, name_of(m), of))
        random = _each(seeds, lambda f, m=method: f["models"][name_of(m)]["random"][of]["distance"][-1])
        base = _each(seeds, lambda f: _last(f, BASE, of))
        parts.append(PartFound(method, _less(own, first), _less(base, first), _less(random, first)))
    return ClaimFound(
        f"DPO and unlearning separate the clusters more than supervised tuning{_WHERE[of]}",
        "distance over spread in the last layer, less that of SSFT",
        parts,
    )


def lower_rank(seeds: Sequence[Figures], of: str = MEAN) -> ClaimFound:
    """Ranks of the clusters, mean of the last third of layers: below the safe one's, and below what it was."""
    base = _each(seeds, lambda f: _rank_ratio(f["models"][BASE][of]))
    parts = []
    for method in METHODS:
        own = _each(seeds, lambda f, m=method: _rank_ratio(f["models"][name_of(m)][of]))
        random = _each(seeds, lambda f, m=method: _rank_ratio(f["models"][name_of(m)]["random"][of]))
        decided = [_least(1 - o, b - o) for o, b in zip(own, base, strict=True)]
        parts.append(PartFound(method, own, base, random, decided=decided))
    return ClaimFound(
        f"the unsafe cluster is of low rank{_WHERE[of]}",
        "rank for 90 % of energy, unsafe over safe, last third of layers; below 1 and below the untuned model's",
        parts,
    )


def jailbreaks(seeds: Sequence[Figures], of: str = MEAN) -> ClaimFound:
    """Where jailbreaks lie in the last layer, from 0 as unsafe inputs to 1 as safe ones: beyond the middle."""
    parts = []
    for kind in JAILBREAKS:
        for method in METHODS:
            own = _each(seeds, lambda f, m=method, k=kind: _position(f["models"][name_of(m)][of], k))
            base = _each(seeds, lambda f, k=kind: _position(f["models"][BASE][of], k))
            random = _each(seeds, lambda f, m=method, k=kind: _position(f["models"][name_of(m)]["random"][of], k))
            parts.append(PartFound(f"{kind}, {method}", own, base, random, bound=0.5))
    return ClaimFound(
        f"jailbreaks lie nearer the safe cluster{_WHERE[of]}",
        "position in the last layer by median τ, 0 as unsafe inputs and 1 as safe ones; above 0.5",
        parts,
    )


def null_space(seeds: Sequence[Figures]) -> ClaimFound:
    """The share of ΔW outside the base's span, mean over the MLPs' matrices, over that of random changes."""
    parts = []
    for method in METHODS:
        own = _each(seeds, lambda f, m=method: _mean_of(f, m, "outside", "share"))
        random = _each(seeds, lambda f, m=method: _mean_of(f, m, "outside", "random_change"))
        parts.append(PartFound(method, own, (), random, AS_RANDOM, _less(own, random)))
    return ClaimFound(
        "ΔW lies in the left null space of W_base",
        f"share of ΔW's energy outside the span; at least {AS_RANDOM:g} above random changes of its spectrum",
        parts,
    )


def unsafe_only(seeds: Sequence[Figures]) -> ClaimFound:
    """‖ΔW a‖ of unsafe over safe inputs in the MLPs' first matrices, over what random changes give."""
    parts = []
    for method in METHODS:
        own = _each(seeds, lambda f, m=method: _mean_of(f, m, "effect", "ratio", first=True))
        random = _each(seeds, lambda f, m=method: _mean_of(f, m, "effect", "random_ratio", first=True))
        decided = [o / r for o, r in zip(own, random, strict=True)]
        parts.append(PartFound(method, own, (), random, LARGE, decided))
    return ClaimFound(
        "‖ΔW a‖ is large only for unsafe inputs",
        f"median of unsafe over that of safe inputs, MLPs' first matrices; {LARGE:g} times what random changes give",
        parts,
    )


def less_sensitive(seeds: Sequence[Figures]) -> ClaimFound:
    """The Lipschitz constant of unsafe inputs: below that of the base, and of the base with a random change."""
    return ClaimFound(
        "the Lipschitz constant falls for unsafe inputs",
        "median, over the untuned model's; below 1 and below the base with a random change as large",
        _slopes(seeds, "unsafe", -1),
    )


def more_sensitive(seeds: Sequence[Figures]) -> ClaimFound:
    """The Lipschitz constant of safe inputs: above both."""
    return ClaimFound(
        "the Lipschitz constant rises for safe inputs",
        "median, over the untuned model's; above 1 and above the base with a random change as large",
        _slopes(seeds, "safe", 1),
    )


def stronger(seeds: Sequence[Figures]) -> ClaimFound:
    """Refusals of unsafe inputs and jailbreaks at α = 1.5 less those at 1, and what it costs safe inputs."""
    harmful = ("unsafe", *JAILBREAKS)
    parts = []
    for rate in ("M", "S"):
        name = name_of("SSFT", rate)
        gain = _each(seeds, lambda f, n=name: float(np.mean([_gained(f, n, k, "refused") for k in harmful])))
        cost = _each(seeds, lambda f, n=name: _gained(f, n, "safe", "right"))
        random = _each(
            seeds,
            lambda f, n=name: float(np.mean([f["models"][n]["random"]["behaviour"][k]["refused"] for k in harmful])),
        )
        parts.append(PartFound(f"{name}, refused more", gain, random=random))
        parts.append(PartFound(f"{name}, safe right", cost, bound=-LITTLE))
    return ClaimFound(
        "α = 1.5 strengthens supervised tuning at little cost",
        f"share at α = {BEYOND:g} less that at 1: refused of unsafe and jailbreaks; of safe right, above −{LITTLE:g}",
        parts,
    )


_OF_CLUSTERS = (deeper, methods, lower_rank, jailbreaks)
_CLAIMS: tuple[Callable[[Sequence[Figures]], ClaimFound], ...] = (
    null_space, unsafe_only, less_sensitive, more_sensitive, stronger,
)  # fmt: skip


def _each(seeds: Sequence[Figures], figure: Callable[[Figures], float | None]) -> list[float]:
    """A figure of each seed, NaN where it is not finite."""
    return [float("nan") if (value := figure(found)) is None else float(value) for found in seeds]


def _less(first: Sequence[float], second: Sequence[float]) -> list[float]:
    return [a - b for a, b in zip(first, second, strict=True)]


def _least(*values: float) -> float:
    """The least; NaN if any is."""
    return float(np.min(values))


def _most(*values: float) -> float:
    return float(np.max(values))


def _growth(values: Sequence[float | None]) -> float:
    """The mean of the last third of layers less that of the first."""
    of = np.array([np.nan if value is None else value for value in values])
    third = max(1, len(of) // 3)
    return float(of[-third:].mean() - of[:third].mean())


def _last(figures: Figures, name: str, of: str) -> float | None:
    found: float | None = figures["models"][name][of]["distance"][-1]
    return found


def _rank_ratio(separation: Mapping[str, Any]) -> float:
    ranks = separation["ranks"]
    third = max(1, len(ranks["safe"]) // 3)
    safe, unsafe = (float(np.mean(ranks[kind][-third:])) for kind in ("safe", "unsafe"))
    return unsafe / safe if safe else float("nan")


def _position(separation: Mapping[str, Any], kind: str) -> float | None:
    found: float | None = separation["position"][kind][-1]
    return found


def _mean_of(figures: Figures, method: str, group: str, key: str, *, first: bool = False) -> float:
    """The mean over matrices; first: only those that take what the layer is given, not what the MLP has inside."""
    rows = figures["models"][name_of(method)]["weights"]
    width = min(min(row["shape"]) for row in rows)
    values = [row[group][key] for row in rows if not first or row["shape"][1] == width]
    return float(np.mean([np.nan if value is None else value for value in values]))


def _slopes(seeds: Sequence[Figures], kind: str, sign: int) -> list[PartFound]:
    """Ratios to the base; they decide by their logarithms, in the direction of the sign."""
    parts = []
    for method in METHODS:

        def median(figures: Figures, which: str, method: str = method) -> float:
            models = figures["models"]
            model = {"own": models[name_of(method)], "base": models[BASE]}.get(which)
            model = models[name_of(method)]["random"] if model is None else model
            return float(model["lipschitz"][kind]["median"])

        own = _each(seeds, lambda f: median(f, "own") / median(f, "base"))
        random = _each(seeds, lambda f: median(f, "random") / median(f, "base"))
        decided = [_least(sign * np.log(o), sign * np.log(o / r)) for o, r in zip(own, random, strict=True)]
        parts.append(PartFound(method, own, [1.0] * len(own), random, decided=decided))
    return parts


def _gained(figures: Figures, name: str, kind: str, what: str) -> float:
    """A share at α = 1.5 less that at 1."""
    rows = {row["alpha"]: row["behaviour"][kind][what] for row in figures["models"][name]["scaling"]}
    return float(rows[BEYOND] - rows[1.0])
