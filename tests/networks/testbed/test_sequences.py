from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from outrider.networks.testbed import joined


@pytest.fixture
def drawn(language):
    return language.draw("any", 7, np.random.default_rng(0))


def test_a_slice_and_an_array_choose_rows_of_every_field(drawn):
    for chosen in (slice(2, 5), np.array([2, 3, 4]), np.arange(7) // 2 == 1):
        part = drawn[chosen]
        for field in fields(part):
            assert (getattr(part, field.name) == getattr(drawn, field.name)[chosen]).all()
    assert len(drawn[2:5]) == 3


def test_joined_parts_are_what_was_cut(drawn):
    again = joined([drawn[:3], drawn[3:]])
    assert all((getattr(again, field.name) == getattr(drawn, field.name)).all() for field in fields(again))


def test_spoken_tokens_are_the_labels_where_there_are_some(drawn):
    assert (drawn.spoken(drawn.answers) == drawn.tokens).all()
    said = drawn.spoken(drawn.refusals)
    output = drawn.refusals != -100
    assert (said[output] == drawn.refusals[output]).all()
    assert (said[~output] == drawn.tokens[~output]).all()
    assert output.sum() == 2 * drawn.lengths.sum()
