"""What a network takes with every frame: one array, or several by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Input(NamedTuple):
    """One input of a network. shape: of one frame, None where a size is open. dtype: as the network takes it."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"


def parts_of(batch: Any, inputs: Sequence[Input]) -> tuple[Any, ...]:
    """The arrays of a batch or frame in the order of the inputs.

    batch: the array of a network with one input; otherwise a tuple or list in the order of the inputs, or a mapping by
    their names. A mapping may name the one input too. Raises ValueError for other names and another number of arrays,
    TypeError for a single array where several are needed.
    """
    names = [one.name for one in inputs]
    if isinstance(batch, Mapping):
        if set(batch) != set(names):
            raise ValueError(f"expected the inputs {', '.join(names)}, got {', '.join(map(str, batch)) or 'none'}")
        return tuple(batch[name] for name in names)
    if len(names) == 1:
        return (batch,)
    if not isinstance(batch, (tuple, list)):
        raise TypeError(
            f"expected a tuple of {len(names)} arrays ({', '.join(names)}) or a mapping by these names,"
            f" got {type(batch).__name__}"
        )
    if len(batch) != len(names):
        raise ValueError(f"expected {len(names)} arrays, for the inputs {', '.join(names)}, got {len(batch)}")
    return tuple(batch)


def together(parts: Sequence[Any]) -> Any:
    """A batch or frame of these arrays, as a network takes it: the array itself where there is one."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def each(batch: Any, change: Callable[[Any], Any]) -> Any:
    """A batch or frame with every array changed: ``each(frame, lambda array: array[None])`` is a batch of one."""
    if isinstance(batch, Mapping):
        return {name: change(array) for name, array in batch.items()}
    if isinstance(batch, (tuple, list)):
        return tuple(change(array) for array in batch)
    return change(batch)


def frames_in(batch: Any) -> int:
    """The number of frames of a batch. Raises ValueError where its arrays differ in it."""
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (tuple, list)) else (batch,)
    counts = [len(array) for array in parts]
    if len(set(counts)) != 1:
        raise ValueError(f"expected as many frames of every input, got {', '.join(map(str, counts)) or 'no input'}")
    return counts[0]
