"""What safety tuning did inside models, gathered beside their base and random baselines, and shown on one page."""

from __future__ import annotations

from .chat import open_bare, open_tuned, prompt_inputs, refusing
from .gathering import AnalysisPlan, analyse
from .page import render_analysis
from .testbed import answering, language_of, measured_sequences, sequence_inputs

__all__ = [
    "AnalysisPlan", "analyse", "answering", "language_of", "measured_sequences", "open_bare", "open_tuned",
    "prompt_inputs", "refusing", "render_analysis", "sequence_inputs",
]  # fmt: skip
