"""By how much a threshold is higher for classes of which little was profiled."""

from __future__ import annotations

import numpy as np

_HIGH = 0.8  # of the quantiles that are compared; chosen on held-out training images
_LEAST_POOL = 6  # the fewest scores of which one that is far off leaves that quantile alone


def raised_where_few(scores: np.ndarray, predictions: np.ndarray, profiled: np.ndarray) -> np.ndarray:
    """By how much a threshold should be higher for classes of which little was profiled, (classes,) float64, from 0 on.

    Ranges of few frames are narrow and their means rough, so new frames of these classes score higher. The 0.8 quantile
    of the scores is taken as a function of the number of profiled frames that never rises with it: isotonic regression
    by pooling adjacent violators (Barlow et al., 1972). Between numbers it is interpolated. The class with the most
    counts as 0. Numbers with fewer than six scores are taken together with the next: one frame that is far off would
    raise a threshold beyond all that is unsafe. The idea to raise thresholds so is our own.
    scores, predictions: (n,), of frames that set no threshold, so that the promise of the threshold holds. profiled:
    (classes,) counts.
    """
    pools: list[tuple[float, np.ndarray, list[int]]] = []
    for mine, counts in _enough_together(scores, profiled[predictions]):
        level = float(np.quantile(mine, _HIGH))
        while pools and pools[-1][0] < level:
            _, theirs, others = pools.pop()
            mine, counts = np.concatenate([theirs, mine]), others + counts  # noqa: PLW2901 (a pool grows)
            level = float(np.quantile(mine, _HIGH))
        pools.append((level, mine, counts))
    if not pools:
        return np.zeros(len(profiled))
    counts = [count for _, _, several in pools for count in several]
    levels = [level for level, _, several in pools for _ in several]
    found: np.ndarray = np.interp(profiled, counts, levels) - levels[-1]
    return found


def _enough_together(scores: np.ndarray, counts: np.ndarray) -> list[tuple[np.ndarray, list[int]]]:
    """The scores (n,) of each count, the lowest first; counts with too few scores for a quantile are one group."""
    found: list[tuple[np.ndarray, list[int]]] = []
    for count in np.unique(counts).tolist():
        mine = scores[counts == count]
        few = bool(found) and (len(found[-1][0]) < _LEAST_POOL or (counts >= count).sum() < _LEAST_POOL)
        before, others = found.pop() if few else (mine[:0], [])
        found.append((np.concatenate([before, mine]), [*others, count]))
    return found
