"""Activations told by their values, whatever computes them: the one table of both engines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

_POINTS = 2000
_DISTINCT = 16
_A_SIDE = 4  # points on each side of zero
_SELU = 1.0507009873554804934, 1.6732632423543772848  # scale and alpha of Klambauer et al., 2017
_TANH_GELU = math.sqrt(2 / math.pi), 0.044715  # Hendrycks and Gimpel, 2016

_erf = np.vectorize(math.erf, otypes=[float])


def form_of(x: Any, y: Any, *, tolerance: float | None = None) -> str:
    """The kind of activation whose values at the points x are y; ``""`` where it is none, or the points do not tell.

    x, y: arrays of one shape and of any real dtype, as a run of a network shows them; about 2,000 of the points are
    looked at. Points that are not finite are left out. The names are those of `ACTIVATIONS` and `GATES`: ``relu``,
    ``relu6``, ``hardtanh``, ``clip``, ``threshold``, ``leakyrelu``, ``elu``, ``celu``, ``selu``, ``gelu`` (exact and
    by tanh), ``quickgelu``, ``silu``, ``mish``, ``softplus``, ``hardswish``, ``hardsigmoid``, ``sigmoid``,
    ``logsigmoid``, ``softsign``, ``tanh``. Slopes, limits and rates are read off the points. A form seen in part has
    the simplest name that fits: a ReLU6 below 6 is ``relu``. An affine map is no activation.
    tolerance: of an error, relative to ``|x| + |y| + min(1, max |x|)``; by default what the coarser dtype allows.

    The points do not tell where fewer than 16 of x differ, fewer than 4 lie on a side of zero, or y is constant or an
    affine map of x there. Arrays of two shapes have no form.
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape or x.dtype.kind in "bcO" or y.dtype.kind in "bcO":
        return ""
    if tolerance is None:
        tolerance = max(_tolerance(x.dtype), _tolerance(y.dtype))
    x, y = _points(x, y)
    if min((x < 0).sum(), (x > 0).sum()) < _A_SIDE or np.unique(x).size < _DISTINCT:
        return ""
    scale = np.abs(x) + np.abs(y) + min(1.0, np.abs(x).max())
    if _is_affine(x, y, scale, tolerance):
        return ""
    found: list[tuple[str, float]] = []
    with np.errstate(all="ignore"):
        for kind, expected in _forms(x, y, scale * tolerance):
            errors = np.abs(y - expected) / scale
            if errors.max() <= tolerance:  # not where it is NaN
                found.append((kind, math.sqrt(np.mean(errors**2))))
    best = min((error for _, error in found), default=0.0)
    return next((kind for kind, error in found if error <= 2 * best + 0.02 * tolerance), "")


def _tolerance(dtype: np.dtype[Any]) -> float:
    if dtype.kind in "iu":
        return 1e-6
    if dtype.name == "bfloat16":
        return 1.6e-2
    return max(2.0 * float(np.finfo(dtype).eps), 1e-5)


def _points(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """About 2,000 of the finite points, with the outermost two, in order of x."""
    x, y = x.astype(np.float64).ravel(), y.astype(np.float64).ravel()
    finite = np.isfinite(x) & np.isfinite(y)
    if not finite.all():
        x, y = x[finite], y[finite]
    if x.size > _POINTS:
        even = np.linspace(0, x.size - 1, _POINTS).round().astype(int)
        kept = np.unique(np.concatenate((even, (x.argmin(), x.argmax()))))
        x, y = x[kept], y[kept]
    order = np.argsort(x, kind="stable")
    return x[order], y[order]


def _is_affine(x: np.ndarray, y: np.ndarray, scale: np.ndarray, tolerance: float) -> bool:
    """Whether a straight line meets the points; it is fitted to them as they are judged, relative to `scale`."""
    slope, offset = _line(x, y, 1 / scale)
    return bool((np.abs(y - slope * x - offset) <= 2 * tolerance * scale).all())


def _line(x: np.ndarray, y: np.ndarray, weights: np.ndarray | float = 1.0) -> tuple[float, float]:
    columns = np.stack((x, np.ones_like(x)), axis=1) * np.broadcast_to(weights, x.shape)[:, None]
    (slope, offset), *_ = np.linalg.lstsq(columns, y * weights, rcond=None)
    return float(slope), float(offset)


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _softplus(x: Any, beta: float = 1.0) -> Any:
    return np.logaddexp(0, beta * x) / beta


def _elu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)


def _celu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0) / alpha), x)


def _forms(x: np.ndarray, y: np.ndarray, allowed: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Every activation and its values at x, the simplest first, with the parameters that y shows."""
    yield from _bounded(x, y, allowed)
    yield "sigmoid", _sigmoid(x)
    yield "tanh", np.tanh(x)
    rate, cube = _TANH_GELU
    yield "gelu", 0.5 * x * (1 + _erf(x / math.sqrt(2)))
    yield "gelu", 0.5 * x * (1 + np.tanh(rate * (x + cube * x**3)))
    yield "silu", x * _sigmoid(x)
    yield "mish", x * np.tanh(_softplus(x))
    yield "softplus", _softplus(x)
    yield "hardswish", x * np.clip(x / 6 + 0.5, 0, 1)
    for steep in (1 / 6, 0.2):
        yield "hardsigmoid", np.clip(steep * x + 0.5, 0, 1)
    yield "logsigmoid", -_softplus(-x)
    yield "softsign", x / (1 + np.abs(x))
    outer, inner = _SELU
    yield "selu", outer * _elu(x, inner)
    yield from _bent(x, y)
    yield from _steep(x, y)
    yield from _stepped(x, y, allowed)


def _bounded(x: np.ndarray, y: np.ndarray, allowed: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """ReLU and clips: the lower limit is at most 0, which a ReLU meets exactly, and it is seen."""
    low, high = float(y.min()), float(y.max())
    if not (low <= 0 < high and low > x[0] + allowed[0]):
        return
    above = high < x[-1] - allowed[-1]
    if low == 0 and not above:
        yield "relu", np.maximum(x, 0)
        return
    names = {(0.0, 6.0): "relu6", (-1.0, 1.0): "hardtanh"}
    yield names.get((low, high), "clip") if above else "clip", np.clip(x, low, high if above else np.inf)


def _bent(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Activations that are the identity above zero, and something of their own below it."""
    below = x < 0
    slope = float(x[below] @ y[below]) / float(x[below] @ x[below])
    if 1e-5 < slope < 1:
        yield "leakyrelu", np.where(below, slope * x, x)
    curve = np.expm1(x[below])
    alpha = float(curve @ y[below]) / float(curve @ curve)
    if 1e-3 < alpha < 50:
        yield "elu", _elu(x, alpha)
        width = _fitted(_celu, x, y)
        if 0.02 < width < 50:
            yield "celu", _celu(x, width)


def _steep(x: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Activations with a rate: SiLU and softplus of any, and the gates made of straight lines."""
    gate = y / x
    inner = (gate > 0.02) & (gate < 0.98) & (np.abs(x) > 0.02 * min(1.0, np.abs(x).max()))
    if inner.sum() > 3:
        alpha = float(np.median(np.log(gate[inner] / (1 - gate[inner])) / x[inner]))
        if 0.2 < alpha < 50:
            yield "quickgelu", x * _sigmoid(alpha * x)
    beta = _fitted(_softplus, x, y)
    if 0.02 < beta < 50:
        yield "softplus", _softplus(x, beta)
    for kind, values, factor in (("hardswish", gate, x), ("hardsigmoid", y, 1.0)):
        between = (values > 0.01) & (values < 0.99) & (np.abs(x) > 0)
        if between.sum() > 1:
            first, last = np.flatnonzero(between)[[0, -1]]
            steep, middle = _line(x[between], values[between])
            if first > 0 and last < x.size - 1 and steep > 0 and 0 < middle < 1:  # both ends are seen
                yield kind, factor * np.clip(steep * x + middle, 0, 1)


def _stepped(x: np.ndarray, y: np.ndarray, allowed: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """The identity above a threshold, and below it one value that the identity does not reach there."""
    changed = np.flatnonzero(np.abs(y - x) > allowed)
    if changed.size > 3 and changed[-1] + 1 < x.size:
        last = changed[-1]
        value = float(np.median(y[changed]))
        if abs(value - x[last]) > 10 * max(allowed[last], x[last + 1] - x[last]):
            yield "threshold", np.where(np.arange(x.size) > last, x, value)


def _fitted(form: Callable[[np.ndarray, float], np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    """The parameter of a form with the least squares, by steps of Gauss and Newton from 1; NaN where it runs away."""
    value = 1.0
    for _ in range(20):
        now = form(x, value)
        slope = (form(x, value * 1.0001) - now) / (value * 1e-4)
        steps = float(slope @ slope)
        if steps == 0:
            return math.nan
        step = float(slope @ (y - now)) / steps
        following = min(max(value + step, value / 2), value * 2)
        if not 1e-3 < following < 1e3:
            return math.nan
        if abs(following - value) <= 1e-9 * value:
            return following
        value = following
    return value
