"""Reasons as supervision, after SafeCoT (arXiv 2506.08399): rules lead from a risk to a reason and a refusal.

A `ReasonTable` words the answers, `rewritten` lets a local model vary them, `training_set` makes what a model is tuned
on. Names are loaded when they are first used; only `written` needs PyTorch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...packages import install_hint

if TYPE_CHECKING:
    from .building import TrainingSet, training_set
    from .lessons import Request, TaughtAnswer, read_lessons, read_requests, write_lessons
    from .rewriting import ReasonRules, rewritten
    from .risks import RULES, RiskRules
    from .table import ReasonTable
    from .writing import LONGEST, Written, written

__all__ = [
    "LONGEST", "RULES", "ReasonRules", "ReasonTable", "Request", "RiskRules", "TaughtAnswer", "TrainingSet", "Written",
    "read_lessons", "read_requests", "rewritten", "training_set", "write_lessons", "written",
]  # fmt: skip

_MODULES = {
    "building": ("TrainingSet", "training_set"),
    "lessons": ("Request", "TaughtAnswer", "read_lessons", "read_requests", "write_lessons"),
    "rewriting": ("ReasonRules", "rewritten"),
    "risks": ("RULES", "RiskRules"),
    "table": ("ReasonTable",),
    "writing": ("LONGEST", "Written", "written"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


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
