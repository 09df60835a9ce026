"""Scores of detectors, kept in the cache: a detector is run again only where something that it rests on has changed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from outrider.networks import cache_folder


@dataclass(frozen=True)
class Scores:
    """What a detector says of each image of the columns, the clean ones first.

    values: (n,) floats for each column, higher = stranger. flagged: (n,) bool for each. chosen: which images of each
    column were judged, (n,) int64, None for all. facts: what else is known of it, as JSON types.
    """

    values: list[np.ndarray]
    flagged: list[np.ndarray]
    chosen: list[np.ndarray] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def scores_folder() -> Path:
    return cache_folder() / "benchmarks" / "evidence" / "scores"


def kept(name: str, key: str, make: Callable[[], Scores], *, anew: bool = False, folder: Path | None = None) -> Scores:
    """The scores of this name and key, made and kept where there are none. anew: whether they are made in any case."""
    stem = re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")
    path = (folder or scores_folder()) / f"{stem}-{key}.npz"
    if not anew and path.is_file():
        return _read(path)
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npz")
    np.savez(partial, facts=np.array(json.dumps(made.facts)), **_arrays(made))
    partial.replace(path)
    return made


def _arrays(made: Scores) -> dict[str, np.ndarray]:
    groups = {"values": made.values, "flagged": made.flagged, "chosen": made.chosen or []}
    return {f"{group}{i}": array for group, arrays in groups.items() for i, array in enumerate(arrays)}


def _read(path: Path) -> Scores:
    with np.load(path) as stored:
        groups: dict[str, list[np.ndarray]] = {
            group: [stored[f"{group}{i}"] for i in range(sum(name.startswith(group) for name in stored.files))]
            for group in ("values", "flagged", "chosen")
        }
        facts = json.loads(str(stored["facts"]))
    return Scores(groups["values"], groups["flagged"], groups["chosen"] or None, facts)
