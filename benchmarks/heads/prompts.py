"""The prompt sets of the tables, and their splits: search, threshold and test have no prompt in common.

A folder holds JSON lines with `prompt` and `label` ("safe" or "unsafe"); `instructions_*.jsonl` are instructions
(unsafe: AdvBench and others; safe: Alpaca), `vlsafe.jsonl` is VLSafe with LLaVA's questions, without the images, and
`xstest.jsonl` is XSTest, whose prompts have a `type` as well.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

SEARCH = 50  # prompts of each kind that heads are searched with, as in the paper
THRESHOLD = 200
TEST = 100
SETS = {"advbench": "AdvBench–Alpaca", "vlsafe": "VLSafe–LLaVA"}


class Labelled(NamedTuple):
    """A prompt, whether it is unsafe, and its type where the set has types."""

    text: str
    unsafe: bool
    kind: str = ""


@dataclass(frozen=True)
class Split:
    """The prompts of a row's three stages. No prompt stands in two of them."""

    unsafe: Sequence[str]
    safe: Sequence[str]
    threshold: Sequence[str]
    test_unsafe: Sequence[str]
    test_safe: Sequence[str]

    def __post_init__(self) -> None:
        texts = self.texts()
        if len(set(texts)) != len(texts):
            raise ValueError("expected each prompt in one part of the split, got one in two")

    def texts(self) -> list[str]:
        """Every prompt of the split."""
        return [*self.unsafe, *self.safe, *self.threshold, *self.test_unsafe, *self.test_safe]

    def sizes(self) -> dict[str, int]:
        """How many prompts each part has."""
        names = ("unsafe", "safe", "threshold", "test_unsafe", "test_safe")
        return {name: len(getattr(self, name)) for name in names}


def read(folder: Path, name: str) -> list[Labelled]:
    """The prompts of one file, in its order, each text once. Raises FileNotFoundError naming the file."""
    found: dict[str, Labelled] = {}
    for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        text = entry["prompt"].strip()
        found.setdefault(text, Labelled(text, entry["label"] == "unsafe", entry.get("type", "")))
    return list(found.values())


def instructions(folder: Path) -> Split:
    """AdvBench and Alpaca, from `instructions_train`."""
    return split(read(folder, "instructions_train"))


def vlsafe(folder: Path) -> Split:
    """VLSafe and LLaVA's questions."""
    return split(read(folder, "vlsafe"))


def split(prompts: Sequence[Labelled], seed: int = 0) -> Split:
    """Draw 50 and 50 for the search, 100 and 100 for the test; 200 other safe ones set the threshold."""
    rng = np.random.default_rng(seed)
    kinds = [[p.text for p in prompts if p.unsafe is unsafe] for unsafe in (True, False)]
    unsafe, safe = ([texts[i] for i in rng.permutation(len(texts))] for texts in kinds)
    rest = safe[SEARCH + TEST :]
    return Split(
        unsafe[:SEARCH], safe[:SEARCH], rest[:THRESHOLD], unsafe[SEARCH : SEARCH + TEST], safe[SEARCH : SEARCH + TEST]
    )
