"""Batches and outputs as arrays, and whether they are finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...coverage.kernels.rows import first_non_finite_row
from ...networks import Network


def as_array(batch: Any) -> np.ndarray:
    """The batch as numpy: an array, or a torch tensor on any device."""
    return batch.detach().cpu().numpy() if hasattr(batch, "detach") else np.asarray(batch)


def taken(batch: Any, network: Network) -> Any:
    """The batch as a network takes it: a torch tensor as an array where it takes none."""
    return as_array(batch) if hasattr(batch, "detach") and not network.takes_tensors else batch


def all_finite(array: np.ndarray) -> bool:
    """Whether there is neither NaN nor Inf; for C-contiguous float32 nothing is allocated."""
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
