"""How many classes the scores that a network returns tell apart."""

from __future__ import annotations


def count_classes(
    shape: tuple[int | None, ...] | str, floats: bool, batch: int, told: int | str | None, axis: int = 1
) -> tuple[int | None, int | None]:
    """How many classes rows of scores tell apart, and how many a map of scores; None where there is neither.

    shape, floats: of the scores for a batch, and whether they are floats; what is no tensor has its type for a shape.
    told: what an adapter is told as its `classes`. axis: of the classes in a map.
    Raises ValueError where the scores are others than told.
    """
    if told is None:
        return None, None
    if told not in ("auto", "pixel") and (not isinstance(told, int) or told < 2):
        raise ValueError(f"expected classes 'auto', 'pixel', None or a number from 2, got {told!r}")
    sizes = shape if floats and shape[:1] == (batch,) else ()
    rank, axis = (4, axis) if told == "pixel" else (2, 1)
    size = sizes[axis] if len(sizes) == rank else None
    found = size if isinstance(size, int) and size >= 2 else None
    if told == "pixel":
        if found is None:
            raise ValueError(
                f"expected a map of the scores of 2 classes or more, ({batch}, classes, height, width), got {shape}"
            )
        return None, found
    if told not in ("auto", found):
        raise ValueError(f"expected class scores of shape {(batch, told)} for a batch of {batch}, got {shape}")
    return found, None
