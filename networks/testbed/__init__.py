"""The synthetic testbed of safety tuning (Jain et al., NeurIPS 2024): a language, its model, tuning and jailbreaks.

The language needs numpy alone. Names that need PyTorch are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..packages import install_hint
from .language import JAILBREAKS, KINDS, SAFE_KINDS, SPLITS, Language
from .sequences import Sequences, joined

if TYPE_CHECKING:
    from .adversary import Attack, attack
    from .model import new_model, open_model
    from .scoring import Scores, score
    from .training import METHODS, make_safe, pretrain

__all__ = [
    "JAILBREAKS", "KINDS", "METHODS", "SAFE_KINDS", "SPLITS", "Attack", "Language", "Scores", "Sequences", "attack",
    "joined", "make_safe", "new_model", "open_model", "pretrain", "score",
]  # fmt: skip

_HOMES = {
    "Attack": "adversary", "attack": "adversary", "new_model": "model", "open_model": "model", "Scores": "scoring",
    "score": "scoring", "METHODS": "training", "make_safe": "training", "pretrain": "training",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        raise ImportError(f"{name} needs PyTorch and transformers: {install_hint('lab')}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
