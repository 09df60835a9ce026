"""What a network says of itself, and the arrays that it promises: each fault is named."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import check_network

from .faults import Views, activations, answers, faulty

FAULTS = {
    r"expected taps of type Taps, got list": faulty(__init__=lambda self: setattr(self, "taps", [])),
    r"a fingerprint of 64 hexadecimal digits, got 'abc'": faulty(fingerprint="abc"),
    r"expected input_shape and dtype of Input": faulty(input_shape=(5,)),
    r"expected scores among logits and probabilities, got 'odds'": faulty(scores="odds"),
    r"expected classes from 2 or None, got 1": faulty(classes=1),
    r"expected 2 activations, one for each tap, got 1": faulty(**activations(lambda parts: parts[:1])),
    r"tap hidden:unit: expected \(3 rows, 6\) float32, got \(3, 6\) float64": faulty(
        **activations(lambda parts: (parts[0].astype(float), parts[1]))
    ),
    r"tap hidden:unit: expected \(3 rows, 6\) float32, got \(3, 5\)": faulty(
        **activations(lambda parts: (parts[0][:, 1:].copy(), parts[1]))
    ),
    r"tap hidden:unit: expected \(3 rows, 6\) float32, got \(4, 6\)": faulty(
        **activations(lambda parts: (np.repeat(parts[0], 2, 0)[:4], parts[1]))
    ),
    r"tap hidden:unit: expected a C-contiguous array": faulty(
        **activations(lambda parts: (np.asfortranarray(parts[0]), parts[1]))
    ),
    r"expected the rows of each frame in Observation.rows\[2\], \(3,\) int64, got None": faulty(
        Views, seen=lambda self, hidden, logits: Views.seen(self, hidden, logits)._replace(rows=None)
    ),
    r"has no classes and yet logits": faulty(classes=None),
    r"expected logits \(3, 3\) float32, got none": faulty(**answers(lambda s, b, seen: seen._replace(logits=None))),
    r"expected probabilities that sum to 1, got sums from": faulty(scores="probabilities"),
    r"class scores that are not finite": faulty(
        answer=lambda self, hidden: np.full((len(hidden), 3), np.inf, np.float32)
    ),
    r"expected a map of scores \(3, 4, height, width\), got none": faulty(map_classes=4),
}


@pytest.mark.parametrize("message", FAULTS)
def test_each_broken_promise_is_named(message):
    with pytest.raises(AssertionError, match=message):
        check_network(FAULTS[message])
