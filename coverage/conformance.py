"""The rules for every criterion, which a third party can run on its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from .catalogue import describe_criterion, make_criterion
from .criterion import Criterion
from .signature import Signature

_NEURONS, _CLASSES, _SAMPLES = 70, 3, 240


def check_criterion(criterion: Criterion) -> None:
    """Check a criterion against the rules for all. Raises AssertionError that names the first rule it breaks.

    Its description makes it again. Merging shards equals one pass, in any order. Deviations are float32, not
    negative, the same for a batch and for its rows, and +inf for NaN, Inf and unseen classes. Of frames of many rows
    they are the same to the last bit for a frame alone and among others. Bad shapes, dtypes and labels raise and change
    nothing. A signature survives storage, and comparing leaves it as it was. Trusted samples deviate less than strange
    ones on average, unless it tells how unsure the network is. uint8 codes count as the same numbers in float32.
    """
    for rule in _RULES:
        rule(criterion, np.random.default_rng(0))


def _expect(condition: bool, rule: str, criterion: Criterion) -> None:
    if not condition:
        raise AssertionError(f"{criterion!r}: {rule}")


def _data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(0, _CLASSES, _SAMPLES)
    centres = rng.normal(0, 2, (_CLASSES, _NEURONS))
    values = np.maximum(centres[labels] + rng.normal(0, 1, (_SAMPLES, _NEURONS)), 0)
    return values.astype(np.float32), labels


def _learn(criterion: Criterion, values: np.ndarray, labels: np.ndarray, step: int = 50) -> Signature:
    signature = criterion.empty(_NEURONS, _CLASSES)
    for start in range(0, len(values), step):
        criterion.observe(signature, values[start : start + step], labels[start : start + step])
    return signature


def _made_again(criterion: Criterion, rng: np.random.Generator) -> None:
    again = make_criterion(**describe_criterion(criterion))
    _expect(again == criterion and repr(again) == repr(criterion), "is not made again from its description", criterion)


def _merges(criterion: Criterion, rng: np.random.Generator) -> None:
    values, labels = _data(rng)
    whole = _learn(criterion, values, labels)
    a, b, c = (
        _learn(criterion, values[rows], labels[rows], 17) for rows in np.array_split(rng.permutation(len(values)), 3)
    )
    before = a.copy()
    first, second = criterion.merge(criterion.merge(a, b), c), criterion.merge(c, criterion.merge(b, a))
    _expect(_same(a, before), "merge changed one of the signatures it joined", criterion)
    _expect(_same(first, whole), "merging shards differs from one pass over all samples", criterion)
    _expect(_same(first, second), "merging in another order gives another signature", criterion)
    exact = not criterion.merges_exactly or all(_alike(whole, one) for one in (first, second))
    _expect(exact, "merges_exactly, and shards have other bits than one pass", criterion)
    _expect(
        _same(criterion.merge(whole, criterion.empty(_NEURONS, _CLASSES)), whole), "merging nothing adds", criterion
    )


def _same(a: Signature, b: Signature) -> bool:
    if not np.array_equal(a.counts, b.counts):
        return False
    return all(
        np.allclose(array, b.arrays[name], rtol=1e-9, atol=1e-9)
        if array.dtype == np.float64
        else np.array_equal(array, b.arrays[name])
        for name, array in a.arrays.items()
    )


def _alike(a: Signature, b: Signature) -> bool:
    """Whether two signatures have the same bits."""
    return all(array.tobytes() == b.arrays[name].tobytes() for name, array in a.arrays.items())


def _deviates(criterion: Criterion, rng: np.random.Generator) -> None:
    values, labels = _data(rng)
    signature = _learn(criterion, values, labels)
    before = signature.copy()
    strange = (rng.normal(0, 8, values.shape)).astype(np.float32)
    deviation = criterion.deviation(signature, values, labels)
    _expect(deviation.dtype == np.float32 and deviation.shape == (len(values),), "is not (n,) float32", criterion)
    _expect(bool((deviation >= 0).all()), "has a negative deviation", criterion)
    rows = [criterion.deviation(signature, values[i : i + 1], labels[i : i + 1])[0] for i in range(20)]
    _expect(np.array_equal(rows, deviation[:20]), "treats a row alone unlike the same row in a batch", criterion)
    out = np.empty(len(values), np.float32)
    _expect(criterion.deviation(signature, values, labels, out) is out, "does not return the given buffer", criterion)
    _expect(_same(signature, before), "comparing changed the signature", criterion)
    if signature.arrays and not criterion.tells_confidence:
        far = criterion.deviation(signature, strange, labels)
        _expect(far.mean() > deviation.mean(), "strange samples deviate no more than trusted ones", criterion)


def _frames_of_many_rows(criterion: Criterion, rng: np.random.Generator) -> None:
    values, labels = _data(rng)
    signature, frame = _learn(criterion, values, labels), _SAMPLES // 4
    values[rng.integers(frame), 3] = np.nan

    def compared(rows: slice) -> np.ndarray:
        out = np.empty(len(labels[rows]), np.float32)
        criterion.comparer(signature, len(out), rows_a_frame=frame)(values[rows], labels[rows], out)
        return out

    together = compared(slice(_SAMPLES))
    frames = [compared(slice(start, start + frame)) for start in range(0, _SAMPLES, frame)]
    same = np.array_equal(np.concatenate(frames), together)
    _expect(same, "treats a frame of many rows alone unlike the same frame among others", criterion)
    by_row = criterion.deviation(signature, values, labels)
    close = np.allclose(together, by_row, rtol=1e-3, atol=1e-4 * by_row[np.isfinite(by_row)].max())
    _expect(close, "gives rows of a frame of many another deviation than each alone", criterion)


def _fails_safe(criterion: Criterion, rng: np.random.Generator) -> None:
    values, labels = _data(rng)
    seen = labels < _CLASSES - 1
    signature = _learn(criterion, values[seen], labels[seen])
    for poison in (np.nan, np.inf, -np.inf):
        broken = values[seen][:5].copy()
        broken[2, rng.integers(_NEURONS)] = poison
        deviation = criterion.deviation(signature, broken, labels[seen][:5])
        _expect(bool(np.isposinf(deviation[2])), f"{poison} in a neuron does not deviate by +inf", criterion)
        _expect(bool(np.isfinite(np.delete(deviation, 2)).all()), f"{poison} in one row spoils another", criterion)
        before = signature.copy()
        _refuses(criterion, ValueError, partial(criterion.observe, signature, broken, labels[seen][:5]))
        _expect(_same(signature, before), "a refused batch changed the signature", criterion)
    unseen = criterion.deviation(signature, values[:4], np.full(4, _CLASSES - 1))
    _expect(bool(np.isposinf(unseen).all()), "a class that was never seen does not deviate by +inf", criterion)


def _refuses_bad_batches(criterion: Criterion, rng: np.random.Generator) -> None:
    values, labels = _data(rng)
    signature = _learn(criterion, values, labels)
    for function in (criterion.observe, criterion.deviation):
        _refuses(criterion, TypeError, partial(function, signature, values.astype(np.float64), labels))
        _refuses(criterion, ValueError, partial(function, signature, values[:, 1:], labels))
        _refuses(criterion, ValueError, partial(function, signature, values, labels[1:]))
        _refuses(criterion, ValueError, partial(function, signature, values, labels + _CLASSES))
        _refuses(criterion, ValueError, partial(function, signature, values, labels - _CLASSES))


def _refuses(criterion: Criterion, error: type[Exception], call: Callable[[], object]) -> None:
    try:
        call()
    except error as caught:
        _expect("expected" in str(caught) and "got" in str(caught), f"says {caught!r} without what it got", criterion)
    else:
        _expect(False, f"accepts a bad batch that should raise {error.__name__}", criterion)


def _stored(criterion: Criterion, rng: np.random.Generator) -> None:
    values, labels = _data(rng)
    signature = _learn(criterion, values, labels)
    again = criterion.restore(_NEURONS, signature.counts, signature.arrays)
    same = np.array_equal(criterion.deviation(again, values, labels), criterion.deviation(signature, values, labels))
    _expect(same, "a stored signature gives other deviations", criterion)


def _codes_are_numbers(criterion: Criterion, rng: np.random.Generator) -> None:
    values, labels = _data(rng)
    known = labels < _CLASSES - 1
    for offset, scale in ((0, 40), (250, 2), (120, 0.3)):  # many codes, the last few, hardly any
        codes = np.clip(np.round(values * scale) + offset, 0, 255).astype(np.uint8)
        numbers = codes.astype(np.float32)
        signature = _learn(criterion, numbers[known], labels[known])
        same = _same(_learn(criterion, codes[known], labels[known]), signature)
        _expect(same, "codes are not learned as the same numbers in float32", criterion)
        strange = rng.integers(0, 256, codes.shape, np.uint8)
        for new in (codes, strange):
            expected = criterion.deviation(signature, new.astype(np.float32), labels)
            got = criterion.deviation(signature, new, labels)
            _expect(np.array_equal(got, expected), "codes deviate unlike the same numbers in float32", criterion)


_RULES = (
    _made_again, _merges, _deviates, _frames_of_many_rows, _fails_safe, _refuses_bad_batches, _stored,
    _codes_are_numbers,
)  # fmt: skip
