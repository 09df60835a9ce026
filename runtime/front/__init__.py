"""Outrider: a runtime monitor that says whether an input is on ground that a network's training data covered.

Installed as the package `outrider` itself. Names are loaded when they are first used: importing this costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .coverage import (
        CoverageBitmap,
        Gaussian,
        HeadCoverage,
        Mahalanobis,
        MultiRange,
        NearestNeighbour,
        NeuronRank,
        SingleRange,
        Softmax,
    )  # fmt: skip
    from .monitor import Monitor, Status, Verdict, Verdicts
    from .networks import OnnxNetwork, TorchNetwork
    from .runtime import EventLog, Guard, export

    __version__: str

__all__ = [
    "CoverageBitmap", "EventLog", "Gaussian", "Guard", "HeadCoverage", "Mahalanobis", "Monitor", "MultiRange",
    "NearestNeighbour", "NeuronRank", "OnnxNetwork", "SingleRange", "Softmax", "Status", "TorchNetwork", "Verdict",
    "Verdicts", "__version__", "export",
]  # fmt: skip

_ROOMS = {
    "coverage": (
        "CoverageBitmap", "Gaussian", "HeadCoverage", "Mahalanobis", "MultiRange", "NearestNeighbour", "NeuronRank",
        "SingleRange", "Softmax",
    ),
    "monitor": ("Monitor", "Status", "Verdict", "Verdicts"),
    "networks": ("OnnxNetwork", "TorchNetwork"),
    "runtime": ("EventLog", "Guard", "export"),
}  # fmt: skip
_HOMES = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("outrider")
    elif name in _ROOMS:
        return import_module(f".{name}", __name__)
    elif name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
