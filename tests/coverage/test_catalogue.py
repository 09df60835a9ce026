"""Criteria by name and by text."""

from __future__ import annotations

import dataclasses

import pytest

from outrider.coverage import parse_criterion

from .samples import CRITERIA


@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
def test_text_form_of_the_command_line_makes_the_same_criterion(criterion):
    settings = ", ".join(f"{key}={value!r}" for key, value in dataclasses.asdict(criterion).items())
    assert parse_criterion(f"{criterion.name}({settings})") == criterion


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("multirange", r"expected a criterion among .*, got 'multirange'; did you mean 'multi_range'\?"),
        ("multi_range(section=3)", "expected parameters of multi_range among sections, cost, got 'section'"),
        ("multi_range(sections='3')", "expected sections of multi_range to be int, got '3'"),
        ("multi_range(sections=0)", "expected 1 to 256 sections, got 0"),
        ("multi_range(cost=square)", "expected cost 'share' or 'log', got 'square'"),
        ("bitmap(sections=9)", "expected 2 to 8 sections, got 9"),
        ("single_range(quantile=0.5)", r"expected quantile in \[0, 0.5\), got 0.5"),
        ("nearest_neighbour(k=0)", r"expected 1 <= k <= capacity, got \(0, 256\)"),
        ("neuron_rank(top=0)", "expected top of at least 1, got 0"),
        ("gaussian(width=0)", "expected width above 0, got 0.0"),
        ("__import__('os').system('true')", "expected a criterion such as"),
        ("multi_range(8)", "expected a criterion such as"),
        ("", "expected a criterion such as"),
    ],
)
def test_a_wrong_text_names_what_was_expected(text, message):
    with pytest.raises(ValueError, match=message):
        parse_criterion(text)
