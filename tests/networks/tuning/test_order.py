"""The order of examples: each once before any comes again, fixed by the seed."""

from __future__ import annotations

import pytest

from outrider.networks.tuning.order import batches


def test_each_example_comes_once_before_any_comes_again():
    found = [index for batch in batches(5, 3, 10, 1) for index in batch]
    assert len(found) == 30
    for begin in range(0, 30, 5):
        assert sorted(found[begin : begin + 5]) == [0, 1, 2, 3, 4]
    assert len({tuple(found[begin : begin + 5]) for begin in range(0, 30, 5)}) > 1


def test_the_seed_fixes_the_order_and_more_steps_begin_the_same():
    assert batches(40, 4, 25, 3) == batches(40, 4, 50, 3)[:25]
    assert batches(40, 4, 25, 3) != batches(40, 4, 25, 4)
    assert {len(batch) for batch in batches(7, 9, 3, 0)} == {9}


def test_no_examples_are_refused():
    with pytest.raises(ValueError, match="expected at least one example, got 0"):
        batches(0, 4, 1, 0)
