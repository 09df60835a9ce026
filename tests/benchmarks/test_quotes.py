from __future__ import annotations

import pytest

from benchmarks.quotes import misquoted, numbers

FIGURES = {
    "guard": "| case | median | p99.9 |\n| dense | 16.0 (18.1) | 1,670 |\n| drive | 24.8 | -4 |\nOf 7 frames.",
    "soak": "Memory grew by 0.25 %.",
}


def wrong(quote: str, names: str = "guard") -> list[str]:
    return misquoted(f"Before, 99.\n<!-- results: {names} -->\n{quote}\n<!-- end -->\nBehind, 98.", FIGURES.__getitem__)


@pytest.mark.parametrize(
    "quote",
    [
        "16.0 µs in the median, and 1,670 at p99.9, of 7 frames.",
        "| ResNet-18, two layers | **16.0** (18.1) | 1,670! |",
        "| `drive` | −4 |",
        "| case | column |\n|---|---|\n| dense | 1,670 |",
    ],
)
def test_what_stands_in_the_results_may_be_quoted(quote):
    assert wrong(quote) == []


@pytest.mark.parametrize(
    ("quote", "said"),
    [
        ("16 µs", "expected a number of guard, got 16"),
        ("16.01 µs", "expected a number of guard, got 16.01"),
        ("0.25 %", "expected a number of guard, got 0.25"),
        ("| dense | 24.8 |\n| drive | 24.9 |", "expected a row of guard, got | drive | 24.9 |"),
        ("| dense | 16.0 | -4 |", "expected a row of guard, got | dense | 16.0 | -4 |"),
        ("| dense | 18.1 | 16.0 |", "expected a row of guard, got | dense | 18.1 | 16.0 |"),
    ],
    ids=["rounded", "a digit more", "of another result", "another figure", "of two rows", "in another order"],
)
def test_what_does_not_is_named(quote, said):
    assert wrong(quote) == [said]


def test_several_results_may_be_quoted_at_once():
    assert wrong("0.25 % in 7 frames", "guard soak") == []


def test_an_unknown_result_is_named():
    assert wrong("", "guards") == ["expected the name of a result, got 'guards'"]


@pytest.mark.parametrize("text", ["<!-- results: a -->", "<!-- end -->", "<!-- results: a --><!-- results: b -->"])
def test_a_lone_mark_is_an_error(text):
    with pytest.raises(ValueError, match=r"expected (marks in pairs|<!-- end -->)"):
        misquoted(text, FIGURES.__getitem__)


def test_numbers_that_are_part_of_a_name_are_left_out():
    line = "ResNet-18, Q=16, PGD 2/255, p99.9, 84x96, v1.2.3, 1e-07 off, 1,000,000 units, 5 %, (91), 3."
    assert numbers(line) == ["1e-07", "1,000,000", "5", "91", "3"]
