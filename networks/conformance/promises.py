"""What a network says of itself, and whether the arrays of its observations are so."""

from __future__ import annotations

import math
import re
from typing import cast

import numpy as np

from ..inputs import Input, frames_in
from ..network import Observation
from ..selectors import OUTPUT
from ..tap import Tap, Taps
from .checked import Checked

_SUM = 0.05  # probabilities of codes of 8 bits sum to 1 within this
_KINDS = {"logits", "probabilities"}


def says_what_it_is(checked: Checked) -> None:
    network, expect = checked.network, checked.expect
    expect(isinstance(network.taps, Taps), f"expected taps of type Taps, got {type(network.taps).__name__}")
    expect(
        bool(re.fullmatch("[0-9a-f]{64}", network.fingerprint)),
        f"expected a fingerprint of 64 hexadecimal digits, got {network.fingerprint!r}",
    )
    inputs = checked.inputs
    expect(bool(inputs) and all(isinstance(one, Input) for one in inputs), f"expected inputs, got {inputs!r}")
    same = tuple(network.input_shape) == tuple(inputs[0].shape) and network.dtype == inputs[0].dtype
    expect(same, f"expected input_shape and dtype of {inputs[0]}, got {network.input_shape} and {network.dtype}")
    expect(network.scores in _KINDS, f"expected scores among logits and probabilities, got {network.scores!r}")
    for name in ("classes", "map_classes"):
        count = getattr(network, name)
        expect(
            count is None or (isinstance(count, int) and count > 1), f"expected {name} from 2 or None, got {count!r}"
        )


def observes_as_promised(checked: Checked) -> None:
    """Numbers, shapes and dtypes of the arrays, for a batch of one and of several."""
    for batch in (checked.frames, checked.cut(0, 1)):
        _fits_promises(checked, checked.observe(batch), frames_in(batch))


def _fits_promises(checked: Checked, seen: Observation, n: int) -> None:
    network, expect = checked.network, checked.expect
    expect(
        len(seen.activations) == len(network.taps),
        f"expected {len(network.taps)} activations, one for each tap, got {len(seen.activations)}",
    )
    for index, (tap, values) in enumerate(zip(network.taps, seen.activations, strict=True)):
        rows = _rows(checked, seen, index, tap, n)
        codes = tap.neurons == "unit" and tap.dtype in ("uint8", "int8")
        expected = "uint8" if codes else "float32"
        got = f"got {values.shape} {values.dtype} for {n} frames"
        fitting = values.ndim == 2 and values.shape[1] == tap.size and str(values.dtype) == expected
        places = tap.place_sizes or ()
        if None in places:
            fitting = fitting and len(values) % max(rows, 1) == 0
        else:
            rows *= math.prod(size for size in places if size is not None)
            fitting = fitting and len(values) == rows
        expect(fitting, f"tap {tap.id}: expected ({rows} rows, {tap.size}) {expected}, {got}")
        expect(values.flags.c_contiguous, f"tap {tap.id}: expected a C-contiguous array, {got}")
    _fits_scores(checked, seen, n)


def _rows(checked: Checked, seen: Observation, index: int, tap: Tap, n: int) -> int:
    if tap.rows is not None:
        return n * tap.rows
    told = (seen.rows or {}).get(index)
    checked.expect(
        told is not None and told.shape == (n,) and told.dtype == np.int64,
        f"tap {tap.id}: expected the rows of each frame in Observation.rows[{index}], ({n},) int64, got {told!r}",
    )
    return int(cast(np.ndarray, told).sum())


def _fits_scores(checked: Checked, seen: Observation, n: int) -> None:
    network, expect = checked.network, checked.expect
    classes, logits, of_map = network.classes, seen.logits, seen.score_map
    if classes is None:
        expect(logits is None, "has no classes and yet logits")
        wrong = [
            tap.id for tap in network.taps if tap.kind == OUTPUT and (tap.layout == "NC" or network.map_classes is None)
        ]
        expect(not wrong, f"has no classes and yet a tap of kind {OUTPUT!r}, {', '.join(wrong)}")
    else:
        got = "none" if logits is None else f"{logits.shape} {logits.dtype}"
        fitting = logits is not None and logits.shape == (n, classes) and logits.dtype == np.float32
        expect(fitting, f"expected logits ({n}, {classes}) float32, got {got}")
        _are_scores(checked, cast(np.ndarray, logits))
    if network.map_classes is None:
        expect(of_map is None, "has no map_classes and yet a map of scores")
    else:
        got = "none" if of_map is None else str(of_map.shape)
        fitting = of_map is not None and of_map.ndim == 4 and of_map.shape[:2] == (n, network.map_classes)
        expect(fitting, f"expected a map of scores ({n}, {network.map_classes}, height, width), got {got}")


def _are_scores(checked: Checked, logits: np.ndarray) -> None:
    checked.expect(bool(np.isfinite(logits).all()), "has class scores that are not finite for frames that are")
    if checked.network.scores == "probabilities":
        sums = logits.sum(1)
        near = bool((np.abs(sums - 1) <= _SUM).all() and (logits >= 0).all())
        checked.expect(near, f"expected probabilities that sum to 1, got sums from {sums.min():g} to {sums.max():g}")
