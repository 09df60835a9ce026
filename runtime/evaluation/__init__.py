"""Sets to evaluate a monitor on that are made from clean pictures, and the page of an evaluation."""

from __future__ import annotations

from .attacks import ATTACKS, AttackRun
from .corruptions import CORRUPTIONS, corrupted
from .faults import FAULTS, faulty
from .page import render_evaluation
from .plan import EvaluationPlan

__all__ = [
    "ATTACKS", "CORRUPTIONS", "FAULTS", "AttackRun", "EvaluationPlan", "corrupted", "faulty", "render_evaluation",
]  # fmt: skip
