"""Defences of language models, measured side by side: `evaluate_defences` (SODE-type; methods.md section 8).

Names are loaded when they are first used; importing the package imports neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .answering import MOST_TOKENS
    from .asking import ModelJudge
    from .cells import DefenceCell, Outcome, Rate
    from .defences import DEFENCES, Defence
    from .evaluating import AskedPrompt, DefenceTable, evaluate_defences
    from .guards import GuardSources, LearningPrompts
    from .judge import RuleJudge, judgement
    from .labelled import JudgeMeasured, labelled_answers, measure_judge
    from .picture import defences_picture
    from .tables import table_markdown, table_text

__all__ = [
    "DEFENCES",
    "MOST_TOKENS",
    "AskedPrompt",
    "Defence",
    "DefenceCell",
    "DefenceTable",
    "GuardSources",
    "JudgeMeasured",
    "LearningPrompts",
    "ModelJudge",
    "Outcome",
    "Rate",
    "RuleJudge",
    "defences_picture",
    "evaluate_defences",
    "judgement",
    "labelled_answers",
    "measure_judge",
    "table_markdown",
    "table_text",
]  # fmt: skip

_MODULES = {
    "answering": ("MOST_TOKENS",),
    "asking": ("ModelJudge",),
    "cells": ("DefenceCell", "Outcome", "Rate"),
    "defences": ("DEFENCES", "Defence"),
    "evaluating": ("DefenceTable", "AskedPrompt", "evaluate_defences"),
    "guards": ("GuardSources", "LearningPrompts"),
    "judge": ("RuleJudge", "judgement"),
    "labelled": ("JudgeMeasured", "labelled_answers", "measure_judge"),
    "picture": ("defences_picture",),
    "tables": ("table_markdown", "table_text"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
