"""Two learners in few lines of numpy and scipy: shrinkage LDA of every head at once, and logistic regression."""

from __future__ import annotations

import numpy as np

_AT_ONCE = 1 << 24  # numbers in the largest intermediate array


def fit_lda(values: np.ndarray, unsafe: np.ndarray, shrinkage: float) -> tuple[np.ndarray, np.ndarray]:
    """Linear discriminants, one per head: weights (heads, size) and biases (heads,), float64.

    The pooled within-class covariance is moved by `shrinkage` towards a multiple of the identity of the same trace
    (Friedman, 1989; a fixed weight, not Ledoit and Wolf's). A score is x · w + b, 0 half-way between the class means.
    values: (n, heads, size). unsafe: (n,) bool with at least one prompt of each kind and three in all.
    """
    x = np.moveaxis(np.asarray(values, np.float64), 0, 1)
    high, low = x[:, unsafe].mean(axis=1), x[:, ~unsafe].mean(axis=1)
    within = x - np.where(unsafe[None, :, None], high[:, None], low[:, None])
    covariance = within.transpose(0, 2, 1) @ within / (len(unsafe) - 2)
    size = values.shape[2]
    ridge = _ridge(shrinkage * np.trace(covariance, axis1=1, axis2=2) / size, high - low)
    covariance = (1 - shrinkage) * covariance + ridge[:, None, None] * np.eye(size)
    weights = np.linalg.solve(covariance, (high - low)[..., None])[..., 0]
    return weights, -np.einsum("hd,hd->h", (high + low) / 2, weights)


def cross_validated_lda(values: np.ndarray, labels: np.ndarray, folds: np.ndarray, shrinkage: float) -> np.ndarray:
    """The scores of `fit_lda` for prompts that it did not learn from: (heads, n, p) float64.

    values: (n, heads, size). labels: (n, p) bool, p labellings that have as many of each kind in a fold. folds: (n,).
    The total scatter of a fold's training prompts is the same for every labelling. It is decomposed once; each
    labelling takes its own rank-one part away (Sherman and Morrison).
    """
    n, heads, size = values.shape
    many = labels.shape[1]
    scores = np.empty((heads, n, many))
    step = max(1, _AT_ONCE // (max(n, many, size) * size))
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        for start in range(0, heads, step):
            some = slice(start, start + step)
            if many > 1:
                scores[some, test] = _fold(values[train, some], values[test, some], labels[train], shrinkage)
                continue
            weights, bias = fit_lda(values[train, some], labels[train, 0], shrinkage)
            scores[some, test, 0] = np.einsum("nhd,hd->hn", values[test, some], weights) + bias[:, None]
    return scores


def _fold(train: np.ndarray, test: np.ndarray, labels: np.ndarray, shrinkage: float) -> np.ndarray:
    n, _, size = train.shape
    x = np.moveaxis(train.astype(np.float64), 0, 1)
    centre = x.mean(axis=1, keepdims=True)
    x -= centre
    spread, axes = np.linalg.eigh(x.transpose(0, 2, 1) @ x)
    spread = np.maximum(spread, 0)
    x, new = x @ axes, (np.moveaxis(test.astype(np.float64), 0, 1) - centre) @ axes
    unsafe = labels.sum(axis=0)[None, :, None].astype(np.float64)
    safe = n - unsafe
    high = (labels.T.astype(np.float64) @ x) / unsafe
    difference = high * (n / safe)
    part = unsafe * safe / n
    trace = spread.sum(axis=1)[:, None] - part[..., 0] * (difference**2).sum(axis=2)
    ridge = _ridge(shrinkage * np.maximum(trace, 0) / (size * (n - 2)), difference)
    share = (1 - shrinkage) / (n - 2)
    weights = difference / (share * spread[:, None] + ridge[..., None])
    weights /= 1 - share * part * (difference * weights).sum(axis=2, keepdims=True)
    middle = high * ((1 - unsafe / safe) / 2)
    return np.asarray(new @ weights.transpose(0, 2, 1) - (middle * weights).sum(axis=2)[:, None])


def _ridge(wanted: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """The ridge, kept above 0 where all prompts of a kind look the same."""
    return np.maximum(wanted, 1e-12 * (difference**2).sum(axis=-1) + np.finfo(np.float64).tiny ** 0.5)


def fit_logistic(values: np.ndarray, unsafe: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    """L2-penalised logistic regression: weights (columns,) and bias, float64, on the values as given.

    Columns are standardised for the fit: it minimises the summed log-loss + penalty · |w|² / 2 on them, as
    scikit-learn does with C = 1 / penalty. values: (n, columns). unsafe: (n,) bool.
    """
    from scipy.optimize import minimize

    values = np.asarray(values, np.float64)
    mean, scale = values.mean(axis=0), values.std(axis=0)
    scale[~(scale > 0)] = 1
    z, sign = (values - mean) / scale, np.where(unsafe, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weights, bias = parameters[:-1], parameters[-1]
        margin = sign * (z @ weights + bias)
        pull = -sign * np.exp(-np.logaddexp(0, margin))  # -sign / (1 + exp(margin))
        gradient = np.append(z.T @ pull + penalty * weights, pull.sum())
        return float(np.logaddexp(0, -margin).sum() + penalty * weights @ weights / 2), gradient

    found = minimize(
        loss, np.zeros(values.shape[1] + 1), jac=True, method="L-BFGS-B",
        options={"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-7},
    )  # fmt: skip
    weights = found.x[:-1] / scale
    return weights, float(found.x[-1] - mean @ weights)
