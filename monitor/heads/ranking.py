"""How well scores rank unsafe above safe: AUROC and separation of many heads, under many labellings, at once."""

from __future__ import annotations

import numpy as np


def mid_ranks(scores: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the last axis, equal scores sharing their mean. scores: (..., n) finite numbers."""
    n = scores.shape[-1]
    order = np.argsort(scores, axis=-1, kind="stable")
    ordered = np.take_along_axis(scores, order, -1)
    places = np.broadcast_to(np.arange(n), ordered.shape)
    new = np.ones(ordered.shape, bool)
    new[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    last = np.ones(ordered.shape, bool)
    last[..., :-1] = new[..., 1:]
    first_place = np.maximum.accumulate(np.where(new, places, 0), axis=-1)
    last_place = np.minimum.accumulate(np.where(last, places, n - 1)[..., ::-1], axis=-1)[..., ::-1]
    ranks = np.empty(ordered.shape)
    np.put_along_axis(ranks, order, (first_place + last_place) / 2 + 1, -1)
    return ranks


def auroc_of_heads(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The chance that an unsafe prompt scores above a safe one, ties counting half: (heads, p) float64.

    scores: (heads, n, p), or (heads, n, 1) for scores that do not depend on the labelling. labels: (n, p) bool, unsafe.
    """
    ranks = mid_ranks(np.moveaxis(scores, 1, -1))
    unsafe = labels.sum(axis=0)
    if ranks.shape[1] == 1:
        sums = ranks[:, 0] @ labels.astype(np.float64)
    else:
        sums = np.einsum("hpn,np->hp", ranks, labels.astype(np.float64))
    return (sums - unsafe * (unsafe + 1) / 2) / (unsafe * (len(labels) - unsafe))


def separation_of_heads(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """d′: the difference of the means of unsafe and safe, in root mean variances; (heads, p) float64.

    scores, labels: as of `auroc_of_heads`. It is 0 for a head whose scores are all the same.
    """
    weights = np.stack([labels, ~labels]).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    if scores.shape[2] == 1:
        means = np.einsum("hn,cnp->chp", scores[:, :, 0], weights)
        squares = np.einsum("hn,cnp->chp", scores[:, :, 0] ** 2, weights)
    else:
        means = np.einsum("hnp,cnp->chp", scores, weights)
        squares = np.einsum("hnp,cnp->chp", scores**2, weights)
    variance = np.maximum(squares - means**2, 0).mean(axis=0)
    difference = means[0] - means[1]
    scale = np.sqrt(np.maximum(variance, 1e-24 * (1 + squares.mean(axis=0))))
    return np.clip(difference / scale, -1e6, 1e6)
