"""Class scores: how many classes they tell apart, of which kind they are, and their rows."""

from __future__ import annotations

import numpy as np

LOGITS, PROBABILITIES = "logits", "probabilities"
"""The kinds of class scores."""


def count_classes(
    shape: tuple[int | None, ...] | str, floats: bool, batch: int, told: int | str | None, axis: int = 1
) -> tuple[int | None, int | None]:
    """How many classes rows of scores tell apart, and how many a map of scores; None where there is neither.

    shape, floats: of the scores for a batch, and whether they are floats; what is no tensor has its type for a shape.
    Rows are (batch, classes), or (batch, classes, 1, 1). One number for a frame, (batch,) or (batch, 1), tells two
    classes apart where the network was told so; otherwise it is no class score (regression).
    told: what an adapter is told as its `classes`. axis: of the classes in a map.
    Raises ValueError where the scores are others than told.
    """
    if told is None:
        return None, None
    if told not in ("auto", "pixel") and (not isinstance(told, int) or told < 2):
        raise ValueError(f"expected classes 'auto', 'pixel', None or a number from 2, got {told!r}")
    sizes = shape if floats and isinstance(shape, tuple) and shape[:1] == (batch,) else ()
    if told == "pixel":
        size = sizes[axis] if len(sizes) == 4 else None
        if not isinstance(size, int) or size < 2:
            raise ValueError(
                f"expected a map of the scores of 2 classes or more, ({batch}, classes, height, width), got {shape}"
            )
        return None, size
    found = _columns(sizes)
    if found == 1:
        found = 2 if told == 2 else None
    if told not in ("auto", found):
        raise ValueError(f"expected class scores of shape {(batch, told)} for a batch of {batch}, got {shape}")
    return found, None


def _columns(sizes: tuple[int | None, ...]) -> int | None:
    """The numbers in a row of scores of this shape, with the batch; None where they are no row."""
    if len(sizes) == 1:
        return 1
    if len(sizes) == 2 or (len(sizes) == 4 and sizes[2:] == (1, 1)):
        return sizes[1] or None
    return None


def class_scores(values: np.ndarray, scores: str) -> np.ndarray:
    """The class scores that a network returns as rows, (n, classes) float32, C-contiguous.

    values: (n, classes) or (n, classes, 1, 1) of any float type; a view where it can be. One number for a frame, (n,)
    or (n, 1), is the score of the second of two classes: the rows are [0, z] for a logit z, [1 - p, p] for a
    probability p. scores: ``logits`` or ``probabilities``.
    """
    rows = np.ascontiguousarray(values, np.float32)
    if rows.ndim != 2:
        rows = rows.reshape(len(values), -1)
    if rows.shape[1] != 1:
        return rows
    both = np.empty((len(rows), 2), np.float32)
    write_both(rows, scores, both)
    return both


def write_both(column: np.ndarray, scores: str, rows: np.ndarray) -> None:
    """Write the scores of two classes, (n, 2) float32, of which the network returns the second, (n, 1) or (n,)."""
    second = column.reshape(len(rows))
    rows[:, 1] = second
    if check_kind(scores) == PROBABILITIES:
        np.subtract(1, rows[:, 1], out=rows[:, 0])
    else:
        rows[:, 0] = 0


def check_kind(scores: str, *more: str) -> str:
    """The kind of class scores as it is. Raises ValueError for one that is neither a kind nor one `more`."""
    if scores not in (*more, LOGITS, PROBABILITIES):
        raise ValueError(f"expected scores {', '.join(map(repr, (*more, LOGITS, PROBABILITIES)))}, got {scores!r}")
    return scores


def probabilities(values: np.ndarray, scores: str = LOGITS) -> np.ndarray:
    """Class scores (n, classes) as probabilities, float32: the softmax of ``logits``; ``probabilities`` as they are.

    scores: the kind, which is that of the network (`Network.scores`) and the same for every row.
    """
    rows = np.asarray(values, np.float32)
    if rows.ndim != 2:
        raise ValueError(f"expected class scores of shape (batch, classes), got {rows.shape}")
    if check_kind(scores) == PROBABILITIES:
        return rows
    with np.errstate(invalid="ignore", over="ignore"):
        powers = np.exp(rows - rows.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))
