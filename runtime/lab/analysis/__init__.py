"""What safety tuning did inside models, gathered beside their base and random baselines, and shown on one page."""

from __future__ import annotations

from .gathering import AnalysisPlan, analyse
from .page import render_analysis

__all__ = ["AnalysisPlan", "analyse", "render_analysis"]
