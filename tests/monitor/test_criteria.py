from __future__ import annotations

import pytest

from outrider.coverage import MultiRange, SingleRange, Softmax
from outrider.monitor import (
    Monitor,
)
from outrider.monitor.criteria import columns_of


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"relu9": SingleRange()}, "relu9"),
        ({}, "expected at least one criterion, got none"),
    ],
)
def test_criteria_that_fit_no_tap_are_refused(network, criteria, message):
    with pytest.raises(ValueError, match=message):
        Monitor(network, criteria)


def names(network, criteria):
    columns, taps = columns_of(network, criteria)
    return [f"{taps[column.tap].id} {column.criterion!r}" for column in columns]


def test_criteria_are_said_as_an_object_a_name_a_list_or_a_mapping(network):
    ranges = MultiRange(4)
    expected = [f"hidden:unit {ranges!r}"]
    for said in (ranges, "multi_range(sections=4)", [ranges], ["multi_range(sections=4)"], {"hidden": ranges}):
        assert names(network, said) == expected
    assert names(network, {"hidden": "multi_range(sections=4)", "auto": [ranges]}) == expected


def test_softmax_goes_to_the_class_scores_and_the_rest_to_the_taps(network):
    assert names(network, ["single_range", "softmax"]) == [
        f"hidden:unit {SingleRange()!r}",
        f"logits:unit {Softmax()!r}",
    ]


def test_what_is_no_criterion_is_refused(network):
    with pytest.raises(ValueError, match=r"expected a criterion among .*, got 'range'"):
        columns_of(network, "range")
    with pytest.raises(TypeError, match="expected a criterion or its name, got 3"):
        columns_of(network, [3])
    with pytest.raises(ValueError, match="expected at least one criterion, got none"):
        columns_of(network, {})


def test_columns_of_one_criterion_are_a_group_whatever_the_order(network):
    columns, _ = columns_of(network, {"@output": [SingleRange(), Softmax()], "hidden": SingleRange()})
    assert [(column.group, column.tap) for column in columns] == [(0, 1), (0, 0), (1, 1)]
