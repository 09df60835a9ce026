"""What is tested, what guards learn of, and what sets their thresholds, on the splits of the study of reasons.

Tested: unsafe instructions and XSTest's unsafe prompts, safe instructions and XSTest's safe ones, as many of each as
asked for. Guards learn of prompts of the pools that models are tuned on. Thresholds are set on the safe prompts that
were chosen with, which are half instructions and half XSTest, as the tested ones are. No prompt is in two parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from outrider.runtime.lab.evaluation import AskedPrompt, LearningPrompts

from ..reasons.prompts import SETS, Prompts, prompts

RATE = 0.05
PARTS = {"unsafe": True, "contrasts": True, "borderline": False, "safe": False}
"""Tested sets of the study of reasons, and whether their prompts are unsafe."""


@dataclass(frozen=True)
class Material:
    """pools: what models are tuned on. asked: the tested prompts. learning: what guards learn of."""

    pools: Prompts
    asked: list[AskedPrompt]
    learning: LearningPrompts


def material(folder: Path, most: int, learned: int) -> Material:
    """The prompts of a folder. most: of each tested set. learned: instructions of each kind that guards learn of."""
    pools = prompts(folder, [most] * len(SETS))
    asked = [AskedPrompt(text, unsafe) for name, unsafe in PARTS.items() for text in pools.tested[name]]
    threshold = [*pools.chosen_with["safe"], *pools.chosen_with["borderline"]]
    learning = LearningPrompts(
        [*pools.unsafe[:learned], *pools.border_unsafe[: learned // 4]],
        [*pools.safe[:learned], *pools.border_safe[: learned // 4]],
        threshold, RATE,
    )  # fmt: skip
    return Material(pools, asked, learning)
