"""What safety tuning did inside a model: clusters, the change of weights, sensitivity, and more or less of the change.

The measures are those of Jain et al., "What Makes and Breaks Safety Fine-tuning? A Mechanistic Study" (NeurIPS 2024),
computed from their definitions, each with a baseline that has no meaning. Any causal model of transformers will do.
Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...networks.packages import install_hint

if TYPE_CHECKING:
    from .effect import ChangeEffect, change_effect, effect, moved
    from .inputs import TokenInputs
    from .lipschitz import lipschitz, median_interval
    from .reading import Readings, read
    from .scaling import merged_copy, randomised, scaled, scalings
    from .separation import ClusterSeparation, energy_rank, separation, tau
    from .weights import OutsideShare, WeightChange, outside, span_of_top, weight_changes

__all__ = [
    "ChangeEffect", "ClusterSeparation", "OutsideShare", "Readings", "TokenInputs", "WeightChange", "change_effect",
    "effect", "energy_rank", "lipschitz", "median_interval", "merged_copy", "moved", "outside", "randomised", "read",
    "scaled", "scalings", "separation", "span_of_top", "tau", "weight_changes",
]  # fmt: skip

_MODULES = {
    "effect": ("ChangeEffect", "change_effect", "effect", "moved"),
    "inputs": ("TokenInputs",),
    "lipschitz": ("lipschitz", "median_interval"),
    "reading": ("Readings", "read"),
    "scaling": ("merged_copy", "randomised", "scaled", "scalings"),
    "separation": ("ClusterSeparation", "energy_rank", "separation", "tau"),
    "weights": ("OutsideShare", "WeightChange", "outside", "span_of_top", "weight_changes"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f".{_HOMES[name]}", __name__)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"{name} needs PyTorch: {install_hint('lab')}") from None
    # A module may have the name of its function, and importing it binds that here: the function goes over it.
    for its in _MODULES[_HOMES[name]]:
        globals()[its] = getattr(module, its)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
