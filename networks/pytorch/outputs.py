"""Which output of a module holds the class scores, and how many classes they tell apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .hooks import TRIAL


def count_classes(output: Any, key: int | str, classes: int | str | None) -> tuple[int | None, int | None]:
    """How many classes the rows of scores of a trial run tell apart, and a map of scores; None where there is neither.

    key, classes: as `TorchNetwork` takes scores_output and classes. Raises ValueError where the output is another.
    """
    if classes is None:
        return None, None
    scores = pick(output, key)
    shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
    is_scores = (
        isinstance(scores, Tensor) and scores.is_floating_point() and len(shape) == (4 if classes == "pixel" else 2)
    )
    found = scores.shape[1] if is_scores and len(scores) == TRIAL and scores.shape[1] >= 2 else None
    if classes == "pixel":
        if found is None:
            raise ValueError(
                f"expected a map of the scores of 2 classes or more, ({TRIAL}, classes, height, width), got {shape}"
            )
        return None, found
    if classes == "auto":
        return found, None
    if not isinstance(classes, int) or classes < 2:
        raise ValueError(f"expected classes 'auto', 'pixel', None or a number from 2, got {classes!r}")
    if found != classes:
        raise ValueError(f"expected class scores of shape {(TRIAL, classes)} for a batch of {TRIAL}, got {shape}")
    return classes, None


def pick(output: Any, key: int | str) -> Any:
    """One of a module's outputs. Raises ValueError when there is none of that index or name."""
    if isinstance(output, Tensor):
        named: dict[Any, Any] = {0: output}
    elif isinstance(output, Mapping):
        named = {**dict(enumerate(output.values())), **output}
    elif isinstance(output, (tuple, list)):
        named = {**dict(enumerate(output)), **(output._asdict() if hasattr(output, "_asdict") else {})}
    else:
        named = {0: output, **vars(output)} if hasattr(output, "__dict__") else {0: output}
    if key not in named:
        raise ValueError(f"expected scores_output to be one of the outputs {', '.join(map(repr, named))}, got {key!r}")
    return named[key]
