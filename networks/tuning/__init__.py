"""Making a model safer: training that can be cut off, losses, pairs of answers, adapters, and a plan in YAML.

`train` trains any module, `tune` carries out a `TuningPlan`. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..packages import install_hint

if TYPE_CHECKING:
    from .adapters import load_adapters, merged, with_adapters
    from .chat import prefer, supervise, tokenised
    from .encoding import PairExamples, padded
    from .losses import answer_loss, frozen_copy, mean_cross_entropy, preference, supervised, unlearning
    from .pairs import AnswerPair, read_pairs, shared_out
    from .plan import TuningPlan
    from .record import TrainingError
    from .schedule import Schedule
    from .training import Trained, train
    from .tuning import open_tuned, tune

__all__ = [
    "AnswerPair", "PairExamples", "Schedule", "Trained", "TrainingError", "TuningPlan", "answer_loss",
    "frozen_copy", "load_adapters", "mean_cross_entropy", "merged", "open_tuned", "padded", "prefer", "preference",
    "read_pairs", "shared_out", "supervise", "supervised", "tokenised", "train", "tune", "unlearning",
    "with_adapters",
]  # fmt: skip

_MODULES = {
    "adapters": ("load_adapters", "merged", "with_adapters"),
    "chat": ("prefer", "supervise", "tokenised"),
    "encoding": ("PairExamples", "padded"),
    "losses": ("answer_loss", "frozen_copy", "mean_cross_entropy", "preference", "supervised", "unlearning"),
    "pairs": ("AnswerPair", "read_pairs", "shared_out"),
    "plan": ("TuningPlan",),
    "record": ("TrainingError",),
    "schedule": ("Schedule",),
    "training": ("Trained", "train"),
    "tuning": ("open_tuned", "tune"),
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
