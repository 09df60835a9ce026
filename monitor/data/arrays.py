"""Batches and outputs as arrays, and whether they are finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...coverage.kernels.rows import first_non_finite_row
from ...networks import Network
from ...networks.inputs import Input, parts_of, together


def as_array(batch: Any) -> np.ndarray:
    """The batch as numpy: an array, or a torch tensor on any device."""
    return batch.detach().cpu().numpy() if hasattr(batch, "detach") else np.asarray(batch)


def as_arrays(batch: Any) -> tuple[np.ndarray, ...]:
    """The arrays of a batch, one of each input, as numpy."""
    return tuple(map(as_array, batch)) if type(batch) is tuple else (as_array(batch),)


def taken(batch: Any, network: Network) -> Any:
    """The batch or frame as a network takes it: an array, or a tuple in the order of its inputs.

    A torch tensor becomes an array where the network takes none. Raises what `parts_of` raises.
    """
    if type(batch) is np.ndarray and len(network.inputs) == 1:
        return batch
    parts = parts_of(batch, network.inputs)
    if not network.takes_tensors:
        parts = tuple(as_array(part) if hasattr(part, "detach") else part for part in parts)
    return together(parts)


def refuse_no_frame(frame: Any, inputs: Sequence[Input]) -> None:
    """Raise ValueError unless each part of a frame has the axes of its input, and what `parts_of` raises."""
    if type(frame) is np.ndarray and len(inputs) == 1 and frame.ndim == len(inputs[0].shape):
        return
    for part, one in zip(parts_of(frame, inputs), inputs, strict=True):
        sizes = getattr(part, "shape", None)
        if sizes is None or len(sizes) != len(one.shape):
            got = type(part).__name__ if sizes is None else f"shape {tuple(sizes)}"
            of = f"input {one.name}: " if len(inputs) > 1 else ""
            raise ValueError(f"{of}expected one frame of shape {one.shape}, got {got}; a batch is for check()")


def rows_of(batch: Any, inputs: Sequence[Input] = ()) -> int:
    """The number of frames of a batch as `taken` returns it; with inputs, it must be the same of each."""
    if type(batch) is not tuple:
        return len(batch)
    if inputs:
        refuse_unlike(batch, inputs)
    return len(batch[0])


def refuse_unlike(parts: Sequence[Any], inputs: Sequence[Input]) -> None:
    """Raise ValueError unless there are as many frames of every input."""
    if len({len(part) for part in parts}) > 1:
        counts = ", ".join(f"{len(part)} of {one.name}" for part, one in zip(parts, inputs, strict=True))
        raise ValueError(f"expected as many frames of every input, got {counts}")


def all_finite(batch: Any) -> bool:
    """Whether no array of a batch holds NaN or Inf; for one C-contiguous float32 array nothing is allocated."""
    if type(batch) is tuple:
        return all(map(all_finite, batch))
    array = as_array(batch)
    if array.dtype == np.float32 and array.flags.c_contiguous:
        return first_non_finite_row(array.reshape(1, -1)) < 0
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def finite_rows(array: np.ndarray, n: int) -> np.ndarray:
    """(n,) bool: whether the frame holds neither NaN nor Inf; the array has one row or more for each of the n."""
    if array.dtype.kind != "f":
        return np.ones(n, bool)
    flat = array.reshape(n, -1)
    if flat.dtype == np.float32 and first_non_finite_row(np.ascontiguousarray(flat)) < 0:
        return np.ones(len(flat), bool)
    return np.isfinite(flat).all(axis=1)


def finite_frames(batch: Any, n: int) -> np.ndarray:
    """(n,) bool: whether no input of the frame holds NaN or Inf."""
    finite = np.ones(n, bool)
    for array in as_arrays(batch):
        finite &= finite_rows(array, n)
    return finite
