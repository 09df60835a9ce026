"""Outrider: a runtime monitor that says whether an input is on ground that a network's training data covered.

For language and vision-language models, a guard that tells unsafe prompts by a few attention heads.

Installed as the package `outrider` itself. Names are loaded when they are first used: importing this costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .coverage import (
        Box,
        ClassMahalanobis,
        CoverageBitmap,
        Energy,
        Gaussian,
        HeadCoverage,
        Mahalanobis,
        Margin,
        MultiRange,
        NearestNeighbour,
        Neighbours,
        NeuronRank,
        Norm,
        Pattern,
        RelativeMahalanobis,
        SingleRange,
        Softmax,
    )  # fmt: skip
    from .monitor import Monitor, Status, Verdict, Verdicts
    from .monitor.device.guarded import guarded_module
    from .monitor.heads import HeadGuard
    from .networks import OnnxNetwork, Preprocessing, TorchNetwork, TransformerNetwork, picture_of, read_picture
    from .networks.transformers import open_decoder
    from .runtime import ChatGuard, EventLog, Guard, export, guarded_generate

    __version__: str

__all__ = [
    "Box", "ChatGuard", "ClassMahalanobis", "CoverageBitmap", "Energy", "EventLog", "Gaussian", "Guard", "HeadCoverage",
    "HeadGuard", "Mahalanobis", "Margin", "Monitor", "MultiRange", "NearestNeighbour", "Neighbours", "NeuronRank",
    "Norm", "OnnxNetwork", "Pattern", "Preprocessing", "RelativeMahalanobis", "SingleRange", "Softmax", "Status",
    "TorchNetwork", "TransformerNetwork", "Verdict", "Verdicts", "__version__", "export", "guarded_generate",
    "guarded_module", "open_decoder", "picture_of", "read_picture",
]  # fmt: skip

_ROOMS = {
    "coverage": (
        "Box", "ClassMahalanobis", "CoverageBitmap", "Energy", "Gaussian", "HeadCoverage", "Mahalanobis", "Margin",
        "MultiRange", "NearestNeighbour", "Neighbours", "NeuronRank", "Norm", "Pattern", "RelativeMahalanobis",
        "SingleRange", "Softmax",
    ),
    "monitor": ("Monitor", "Status", "Verdict", "Verdicts"),
    "monitor.device.guarded": ("guarded_module",),
    "monitor.heads": ("HeadGuard",),
    "networks": (
        "OnnxNetwork", "Preprocessing", "TorchNetwork", "TransformerNetwork", "picture_of", "read_picture",
    ),
    "networks.transformers": ("open_decoder",),
    "runtime": ("ChatGuard", "EventLog", "Guard", "export", "guarded_generate"),
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
    return sorted({*__all__, *(room for room in _ROOMS if "." not in room)})
