"""The figures of a base and of models tuned from it, as JSON types, each beside a baseline without meaning."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ....monitor.mechanism import ClusterSeparation, Readings, TokenInputs, WeightChange

BASE = "base"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
Behaviour = Callable[[Any], Mapping[str, Mapping[str, float]]]
"""What a model does: of each kind of input, shares such as `refused` and `right`."""


@dataclass(frozen=True)
class AnalysisPlan:
    """What is measured.

    positions: how many output positions are averaged over. batch: inputs at a time. alphas: of W_base + α ΔW; each but
    0 and 1, which are the models themselves, is a model that is run. shuffles: of the labels. draws: of random changes
    of each matrix. random_models: whether the base with a random change as long as the tuning's is measured too.
    attention: whether the matrices outside the MLPs are as well. Raises ValueError for what is out of range.
    """

    positions: int = 10
    batch: int = 32
    alphas: tuple[float, ...] = (0, 0.5, 1, 1.5, 2)
    shuffles: int = 20
    draws: int = 5
    random_models: bool = True
    attention: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("positions", 1), ("batch", 1), ("shuffles", 0), ("draws", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"expected {name} of at least {least}, got {getattr(self, name)}")
        if not all(0 <= alpha <= 2 for alpha in self.alphas):
            raise ValueError(f"expected every α within 0 and 2, got {', '.join(map(str, self.alphas))}")


def analyse(
    base: Any,
    tuned: Mapping[str, Any],
    kinds: Mapping[str, TokenInputs],
    plan: AnalysisPlan | None = None,
    *,
    behaviour: Behaviour | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Figures of all models. tuned: by name; adapters are merged. kinds: safe, unsafe, and others such as jailbreaks.

    behaviour: asked of the base, of every tuned model and at every α; it says what its own caller calls a refusal.
    progress: called with the stages done and all. The values are JSON types; a figure that is not finite is None.
    Raises ValueError for models that do not fit each other, for a model named ``base``, and without both kinds.
    """
    from ....monitor.mechanism import merged_copy

    plan = plan or AnalysisPlan()
    if missing := {"safe", "unsafe"} - kinds.keys():
        raise ValueError(f"expected safe and unsafe inputs, got none that are {', '.join(sorted(missing))}")
    if not tuned or BASE in tuned:
        raise ValueError(f"expected one or more tuned models, none of them named {BASE!r}, got {list(tuned)}")
    work = _Work(base, kinds, plan, behaviour)
    stages = [(BASE, None), *tuned.items()]
    models: dict[str, Any] = {}
    for done, (name, model) in enumerate(stages):
        if progress is not None:
            progress(done, len(stages))
        models[name] = work.of_base() if model is None else work.of_tuned(merged_copy(model))
    if progress is not None:
        progress(len(stages), len(stages))
    return {
        "plan": plain(asdict(plan)),
        "kinds": {kind: len(inputs) for kind, inputs in kinds.items()},
        "layers": work.layers,
        "parameters": sum(parameter.numel() for parameter in base.parameters()),
        "models": models,
    }


class _Work:
    """A base, what it said of every kind of input, and the figures of models beside it."""

    def __init__(
        self, base: Any, kinds: Mapping[str, TokenInputs], plan: AnalysisPlan, behaviour: Behaviour | None
    ) -> None:
        self.base, self.kinds, self.plan, self.behaviour = base, kinds, plan, behaviour
        self.seen = {kind: self._read(base, inputs, matrices=True) for kind, inputs in kinds.items()}
        self.layers = len(self.seen["safe"].outputs)
        self.does = self._does(base)

    def of_base(self) -> dict[str, Any]:
        """Clusters, sensitivity and behaviour."""
        return self._measured(self.base, self.seen) | self.does

    def of_tuned(self, model: Any) -> dict[str, Any]:
        """The same, the change of weights, the behaviour along α, and what a random change as long does."""
        from ....monitor.mechanism import randomised, weight_changes

        found = self._measured(model) | self._does(model)
        found["weights"] = [self._of_change(one) for one in weight_changes(self.base, model, attention=self._wide)]
        found["scaling"] = list(self._along(model, found.get("behaviour")))
        if self.plan.random_models:
            other = randomised(self.base, model, self.plan.seed)
            found["random"] = self._measured(other) | self._does(other)
        return found

    @property
    def _wide(self) -> bool:
        return self.plan.attention

    def _read(self, model: Any, inputs: TokenInputs, *, matrices: bool = False) -> Readings:
        from ....monitor.mechanism import read

        return read(
            model,
            inputs,
            positions=self.plan.positions,
            batch=self.plan.batch,
            matrices=matrices,
            attention=matrices and self._wide,
        )

    def _measured(self, model: Any, seen: Mapping[str, Readings] | None = None) -> dict[str, Any]:
        from ....monitor.mechanism import lipschitz, median_interval, separation

        read = seen or {kind: self._read(model, inputs) for kind, inputs in self.kinds.items()}

        def clusters(outputs: dict[str, np.ndarray]) -> dict[str, Any]:
            safe, unsafe = outputs.pop("safe"), outputs.pop("unsafe")
            return _of_clusters(separation(safe, unsafe, outputs, shuffles=self.plan.shuffles, seed=self.plan.seed))

        slopes = {
            kind: dict(
                zip(
                    ("median", "low", "high"),
                    median_interval(lipschitz(model, inputs, batch=self.plan.batch)),
                    strict=True,
                )
            )
            for kind, inputs in self.kinds.items()
        }
        found = {"separation": clusters({kind: one.outputs for kind, one in read.items()}), "lipschitz": plain(slopes)}
        if self.plan.positions > 1:
            found["separation_first"] = clusters({kind: one.first for kind, one in read.items()})
        return found

    def _does(self, model: Any) -> dict[str, Any]:
        return {} if self.behaviour is None else {"behaviour": plain(self.behaviour(model))}

    def _of_change(self, change: WeightChange) -> dict[str, Any]:
        from ....monitor.mechanism import change_effect, outside

        fed = {kind: seen.inputs[change.name] for kind, seen in self.seen.items()}
        found = {"layer": change.layer, "name": change.name, "shape": list(change.base.shape)}
        found["outside"] = plain(asdict(outside(change, draws=self.plan.draws, seed=self.plan.seed)))
        found["effect"] = plain(asdict(change_effect(change, fed, draws=self.plan.draws, seed=self.plan.seed)))
        return found

    def _along(self, model: Any, own: Any) -> Iterator[dict[str, Any]]:
        """At 0 and 1 stand the models themselves, bit for bit: what they do is known. own: what the tuned one does."""
        from ....monitor.mechanism import scalings

        if self.behaviour is not None:
            known = {0.0: self.does["behaviour"], 1.0: own}
            others = scalings(self.base, model, [alpha for alpha in self.plan.alphas if alpha not in known])
            for alpha in self.plan.alphas:
                found = known[alpha] if alpha in known else plain(self.behaviour(next(others)[1]))
                yield {"alpha": float(alpha), "behaviour": found}


def _of_clusters(found: ClusterSeparation) -> dict[str, Any]:
    return plain(
        {
            "tau": {kind: np.quantile(values, QUANTILES, axis=1).T for kind, values in found.tau.items()},
            "position": {kind: found.position(kind) for kind in found.tau},
            "nearer_safe": {kind: found.nearer_safe(kind) for kind in found.tau},
            "gap": found.gap,
            "auroc": found.auroc,
            "distance": found.distance,
            "contrast": found.contrast,
            "ranks": found.ranks,
            "shuffled": found.shuffled,
        }
    )


def plain(value: Any) -> Any:
    """The same in JSON types, numbers to six digits, None for those that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    number = float(value)
    return float(f"{number:.6g}") if math.isfinite(number) else None
