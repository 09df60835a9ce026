"""Redirect the unsafe concepts of a CLIP to safe ones: SafeR-CLIP, Safe-CLIP, and what they did to the encoder.

`open_clip` opens one, `tune_clip` tunes it by a `ClipPlan`. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...packages import install_hint

if TYPE_CHECKING:
    from .curriculum import curriculum
    from .encoder import Clip, open_clip
    from .losses import Embeddings, Redirects, safe_clip_loss, safer_clip_loss
    from .measures import Items, Retrieval, accuracy, first, recall, retrieval, safety
    from .nearest import Frozen, nearest_captions, targets
    from .plan import ClipPlan
    from .quadruples import Quadruple, QuadrupleFile, read_quadruples
    from .tuning import ClipTuning, Redirected, embed, load_tuned, tune_clip

__all__ = [
    "Clip", "ClipPlan", "ClipTuning", "Embeddings", "Frozen", "Items", "Quadruple", "QuadrupleFile", "Redirected",
    "Redirects", "Retrieval", "accuracy", "curriculum", "embed", "first", "load_tuned", "nearest_captions",
    "open_clip", "read_quadruples", "recall", "retrieval", "safe_clip_loss", "safer_clip_loss", "safety", "targets",
    "tune_clip",
]  # fmt: skip

_MODULES = {
    "curriculum": ("curriculum",),
    "encoder": ("Clip", "open_clip"),
    "losses": ("Embeddings", "Redirects", "safe_clip_loss", "safer_clip_loss"),
    "measures": ("Items", "Retrieval", "accuracy", "first", "recall", "retrieval", "safety"),
    "nearest": ("Frozen", "nearest_captions", "targets"),
    "plan": ("ClipPlan",),
    "quadruples": ("Quadruple", "QuadrupleFile", "read_quadruples"),
    "tuning": ("ClipTuning", "Redirected", "embed", "load_tuned", "tune_clip"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_ABSENT = "torch", "transformers", "peft"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name not in _ABSENT:
            raise
        raise ImportError(f"{name} needs PyTorch, transformers and peft: {install_hint('lab')}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
