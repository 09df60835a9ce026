"""Values of outputs of every form."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from outrider.networks.recurrent.outputs import copied, form, is_batched, joined, value


class Pair(NamedTuple):
    scores: Any
    state: Any


SCORES, STATE = np.arange(3.0)[None], np.ones((1, 2), np.float32)
FORMS = [(SCORES, STATE), [SCORES, STATE], Pair(SCORES, STATE), {"scores": SCORES, "state": STATE}]


@pytest.mark.parametrize("output", FORMS, ids=lambda output: type(output).__name__)
def test_outputs_keep_their_form(output):
    assert value(output, 1) is STATE
    if isinstance(output, (dict, Pair)):
        assert value(output, "state") is STATE
    copy = copied(output)
    assert type(copy) is type(output)
    np.testing.assert_array_equal(value(copy, 1), STATE)
    assert value(copy, 1) is not STATE
    rows = joined([output, copy, output])
    assert type(rows) is type(output)
    np.testing.assert_array_equal(value(rows, 0), np.concatenate([SCORES] * 3))


def test_the_batch_axis_is_the_one_that_goes():
    assert is_batched(Pair(SCORES, STATE), Pair(SCORES[0], STATE[0]))
    assert not is_batched({"scores": SCORES, "state": STATE}, {"scores": SCORES[0], "state": STATE})
    assert not is_batched((SCORES, 3), (SCORES[0], 3))


def test_tensors_are_joined_as_tensors():
    torch = pytest.importorskip("torch")
    state = torch.ones(1, 2)
    rows = joined([(state,), (2 * state,)])[0]
    assert rows.tolist() == [[1, 1], [2, 2]]
    assert copied(state) is not state
    assert form(state) == form(STATE) == "float32 (1, 2)"
    assert form("text") == "str"


@pytest.mark.parametrize(
    ("output", "place", "message"),
    [
        ((SCORES,), 1, "expected 2 outputs or more, got 1"),
        (SCORES, "state", "expected an output called 'state', got outputs without names; say its index"),
        ({"scores": SCORES}, "state", "expected an output 'state', got scores"),
        ({"scores": SCORES}, 1, "expected an output '1', got scores"),
    ],
)
def test_what_is_not_there_is_named(output, place, message):
    with pytest.raises(ValueError, match=message):
        value(output, place)
