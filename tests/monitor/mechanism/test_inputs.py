from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from outrider.monitor.mechanism import TokenInputs  # noqa: E402

TOKENS = torch.tensor([[1, 2, 3, 4, 5], [6, 7, 8, 9, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0]])
INPUTS = TokenInputs(TOKENS, MASK, torch.tensor([2, 1]))


def test_output_positions_begin_with_the_last_token_of_the_prompt():
    assert INPUTS.places(1).tolist() == [[2], [1]]
    assert INPUTS.places(3).tolist() == [[2, 3, 4], [1, 2, 3]]
    with pytest.raises(ValueError, match="expected between 1 and 3 output positions, got 4"):
        INPUTS.places(4)
    with pytest.raises(ValueError, match="got 0"):
        INPUTS.places(0)


def test_positions_on_padding_are_refused():
    with pytest.raises(ValueError, match="3 output positions without padding"):
        TokenInputs(TOKENS, MASK, torch.tensor([2, 2])).places(3)
    with pytest.raises(ValueError, match="padding"):
        TokenInputs(TOKENS, MASK, torch.tensor([2, 4]))
    with pytest.raises(ValueError, match="outside"):
        TokenInputs(TOKENS, MASK, torch.tensor([2, 5]))


def test_cutting_keeps_what_the_positions_need():
    cut = INPUTS.cut(2)
    assert cut.tokens.tolist() == [[1, 2, 3, 4], [6, 7, 8, 9]]
    assert cut.places(2).tolist() == INPUTS.places(2).tolist()
    assert INPUTS.cut(3).tokens.shape == (2, 5)


def test_batches_hold_every_row_once_in_order():
    found = list(INPUTS.batches(1, 1, "cpu"))
    assert [rows for rows, _ in found] == [slice(0, 1), slice(1, 2)]
    assert [some.tokens.tolist() for _, some in found] == [[[1, 2, 3]], [[6, 7]]]


def test_positions_that_are_given_go_along():
    numbers = torch.tensor([[0, 1, 2, 3, 4], [0, 1, 5, 6, 7]])
    inputs = TokenInputs(TOKENS, MASK, INPUTS.last, numbers)
    assert inputs.positions.tolist() == numbers.tolist()
    assert inputs.part([1]).cut(2).positions.tolist() == [[0, 1, 5]]
    with pytest.raises(ValueError, match="positions of"):
        TokenInputs(TOKENS, MASK, INPUTS.last, numbers[:1])


def test_tokens_are_numbered_in_their_own_sequence():
    left = TokenInputs(TOKENS, torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]]), torch.tensor([4, 4]))
    assert left.positions.tolist() == [[0, 1, 2, 3, 4], [0, 0, 0, 1, 2]]
    assert INPUTS.positions.tolist() == [[0, 1, 2, 3, 4], [0, 1, 2, 3, 3]]


@pytest.mark.parametrize(
    ("tokens", "mask", "last", "match"),
    [
        (TOKENS[0], MASK[0], torch.tensor([1]), r"tokens \(n, length\)"),
        (TOKENS[:0], MASK[:0], torch.zeros(0, dtype=torch.long), "one sequence or more"),
        (TOKENS, MASK[:, :4], torch.tensor([1, 1]), r"mask of \(2, 5\)"),
        (TOKENS, MASK, torch.tensor([1]), r"last of \(2,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(tokens, mask, last, match):
    with pytest.raises(ValueError, match=match):
        TokenInputs(tokens, mask, last)
