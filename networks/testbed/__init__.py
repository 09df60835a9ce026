"""The synthetic testbed of safety tuning: a language of tasks and texts, its model, and jailbreaks."""

from __future__ import annotations

from .language import JAILBREAKS, KINDS, SAFE_KINDS, SPLITS, Language
from .sequences import IGNORED, Sequences, joined

__all__ = ["IGNORED", "JAILBREAKS", "KINDS", "SAFE_KINDS", "SPLITS", "Language", "Sequences", "joined"]
