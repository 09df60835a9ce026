"""What a guarded model says of itself: the names it adds to its model, and the facts in its metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ...networks.onnx.proto import parse_model

FORMAT = 1
KEY = "outrider"
"""The key of the facts in the metadata."""

OUTPUTS = ("outrider_score", "outrider_confidence", "outrider_alarm", "outrider_deviation")
THRESHOLD = "outrider_threshold"
_OLD_OUTPUTS = (*OUTPUTS[:3], "outrider_layers")
"""The outputs of models whose facts name none: they were exported before the last one was renamed."""


def guard_facts(model: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The facts in the metadata of a guarded model; None for a model without a monitor.

    Raises FileNotFoundError for a path without a file, ValueError for a file that is no model.
    """
    path = Path(model)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an ONNX model, got no such file")
    text = next((entry.value for entry in parse_model(path.read_bytes()).metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    got = facts.get("format") if isinstance(facts, dict) else text[:20]
    if got != FORMAT:
        raise ValueError(
            f"{path}: expected a guarded model of format {FORMAT}, got {got!r}; use the Outrider that wrote it"
        )
    return {"outputs": list(_OLD_OUTPUTS), **facts}


def carries_monitor(metadata: Collection[str], outputs: Collection[str]) -> bool:
    """Whether a model is guarded, by the keys of its metadata or, where another tool dropped these, by its outputs."""
    return KEY in metadata or any(set(names) <= set(outputs) for names in (OUTPUTS, _OLD_OUTPUTS))
