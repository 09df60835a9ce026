"""Whether arrays from a file can be what was learned: each check raises ValueError that names the class and neuron."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cells import POINTS, levels, places_of
from .criterion import Arrays, require
from .kept import hash_of, held_per_class
from .kernels.grids import first_other_grid

_BITS = np.array([index.bit_count() for index in range(256)], np.uint8)
_MANY_NEURONS, _MANY_SECTIONS = 8, 4
"""With so many, no class of real data has been everywhere."""


def check_ranges(arrays: Arrays, counts: np.ndarray) -> None:
    """`low` and `high` (classes, neurons): finite, and in order, where the class was observed."""
    low, high = arrays["low"], arrays["high"]
    right = np.isfinite(low) & np.isfinite(high) & (low <= high)
    refuse(~right & (counts > 0)[:, None], "a range low <= high of finite numbers", low, high)


def check_histogram(arrays: Arrays, counts: np.ndarray) -> None:
    """The ranges, their grid, and a count for every sample; arrays as of `specify_histogram`."""
    check_ranges(arrays, counts)
    observed = counts > 0
    grid = [np.ascontiguousarray(arrays[name][observed]) for name in ("low", "high", "scale", "base")]
    _check_grid([array.reshape(-1) for array in grid], arrays["counts"].shape[2])
    held = arrays["counts"].sum(axis=2, dtype=np.int64)
    refuse(held != counts[:, None], "as many samples in its sections as in its class", held)


def check_bitmap(arrays: Arrays, counts: np.ndarray, sections: int) -> None:
    """`bits` (classes, neurons) uint8 on a grid that all classes share: none that no sample can have set."""
    if not counts.any():
        return
    bits, low, high = arrays["bits"], arrays["low"][None], arrays["high"][None]
    refuse(~(np.isfinite(low) & np.isfinite(high) & (low <= high)), "a range low <= high of finite numbers", low, high)
    _check_grid([arrays[name] for name in ("low", "high", "scale", "base")], sections)
    last = np.clip(np.floor(high * arrays["scale"]) - arrays["base"], 0, sections - 1).astype(np.int64)
    within = (2 << last) - 1
    refuse((bits & ~within) != 0, "sections within the range that was seen", bits)
    set_bits = _BITS[bits]
    refuse(set_bits > counts[:, None], "no more sections than samples", set_bits)
    refuse((set_bits == 0) & (counts > 0)[:, None], "a section for every class that was seen", set_bits)
    everyone = np.bitwise_or.reduce(bits, axis=0)[None]
    ends = 1 | (1 << last)
    refuse((everyone & ends) != ends, "the sections of the lowest and the highest value, of any class", everyone)
    full = (set_bits == sections).all(axis=1) & (counts > 0)
    if full.any() and bits.shape[1] >= _MANY_NEURONS and sections >= _MANY_SECTIONS:
        c = int(np.flatnonzero(full)[0])
        raise ValueError(
            f"class {c}: expected sections that were not reached, got all of all neurons: nothing between"
            " the lowest and the highest value would alarm"
        )


def check_kept(arrays: Arrays, counts: np.ndarray) -> None:
    """Kept samples, as of `specify_kept`: finite, with their hashes in order, no more than were seen."""
    hashes, held = arrays["hashes"], held_per_class(arrays)
    rising = hashes[:, 1:] > hashes[:, :-1]
    behind = np.arange(1, hashes.shape[1]) >= held[:, None]
    refuse(~(rising | behind), "samples in the order of their hashes", hashes[:, 1:], what="place")
    refuse(((held > counts) | ((held == 0) != (counts == 0)))[:, None], "no more samples than were seen", held[:, None])
    samples = arrays["samples"]
    refuse(~np.isfinite(samples).all(axis=2), "samples of finite numbers", hashes, what="place")
    wrong = np.zeros(hashes.shape, bool)
    for c, n in enumerate(held):
        wrong[c, :n] = [hash_of(row) for row in samples[c, :n]] != hashes[c, :n]
    refuse(wrong, "a sample of its hash", hashes, what="place")
    if "times" in arrays:
        check_times(arrays["times"], held, counts)


def check_times(times: np.ndarray, held: np.ndarray, counts: np.ndarray) -> None:
    """How often each of the `held` first ones came, (classes, capacity): once or more, all where there was room."""
    there = np.arange(times.shape[1]) < held[:, None]
    refuse(
        (times < there) | (times > counts[:, None] * there),
        "a number of times up to that of samples",
        times,
        what="place",
    )
    total = times.sum(axis=1)
    lost = (total > counts) | ((total < counts) & (held < times.shape[1]))
    refuse(lost[:, None], "as many times as samples, or fewer where some are left out", total[:, None], what="sum")


def check_cells(arrays: Arrays, counts: np.ndarray) -> None:
    """Cells, as of `specify_cells`: in order, with ranges, and in them as many samples as were seen."""
    level, hashes, places = arrays["level"], arrays["hashes"], arrays["places"]
    finest, coarsest = levels(places.shape[2])
    right = (level == POINTS) | ((finest <= level) & (level <= coarsest))
    refuse(~right[:, None], "the level of a grid", level[:, None], what="place")
    held = held_per_class(arrays)
    there = np.arange(hashes.shape[1]) < held[:, None]
    rising = (hashes[:, 1:] > hashes[:, :-1]) | ~there[:, 1:]
    refuse(~rising, "cells in the order of their hashes", hashes[:, 1:], what="place")
    check_times(arrays["times"], held, counts)
    refuse((arrays["times"].sum(axis=1) != counts)[:, None], "a cell for every sample", held[:, None], what="sum")
    low, high = arrays["low"], arrays["high"]
    right = (np.isfinite(low) & np.isfinite(high) & (low <= high)).all(axis=2)
    refuse(there & ~right, "ranges low <= high of finite numbers", hashes, what="place")
    wrong = np.zeros(hashes.shape, bool)
    for c, n in enumerate(held):
        if level[c] == POINTS:
            alone = (low[c, :n] == high[c, :n]).all(axis=1)
            alone &= (places[c, :n] == places_of(low[c, :n], places.shape[2])).all(axis=1)
            wrong[c, :n] = ~alone | (np.array([hash_of(row) for row in low[c, :n]], np.uint64) != hashes[c, :n])
        else:
            wrong[c, :n] = np.array([hash_of(row) for row in places[c, :n]], np.uint64) != hashes[c, :n]
    refuse(wrong, "a cell of its hash", hashes, what="place")


def refuse(wrong: Any, expected: str, *got: np.ndarray, what: str = "neuron") -> None:
    """Raise ValueError for the first place that is wrong. wrong: (classes, neurons) bool. got: what to show of it."""
    if wrong.any():
        c, j = (int(index) for index in np.argwhere(wrong)[0])
        shown = " to ".join(f"{np.broadcast_to(array, wrong.shape)[c, j]}" for array in got)
        where = f"class {c}, {what} {j}" if wrong.shape[0] > 1 else f"{what} {j}"
        raise ValueError(f"{where}: expected {expected}, got {shown}")


def _check_grid(grid: list[np.ndarray], sections: int) -> None:
    j = first_other_grid(*grid, sections)
    require(j < 0, "the dyadic grid of the range", f"another at {j}")
