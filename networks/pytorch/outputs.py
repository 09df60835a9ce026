"""Which output of a module holds the class scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor


def scores_of(output: Any, key: int | str) -> tuple[tuple[int, ...] | str, bool]:
    """The shape of the class scores among a module's outputs, or what they are instead, and whether they are floats."""
    scores = pick(output, key)
    if isinstance(scores, Tensor):
        return tuple(scores.shape), scores.is_floating_point()
    return type(scores).__name__, False


def pick(output: Any, key: int | str) -> Any:
    """One of a module's outputs. Raises ValueError for an index or name that is not there."""
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
