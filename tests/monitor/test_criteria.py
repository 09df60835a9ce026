from __future__ import annotations

import pytest

from outrider.coverage import Energy, HeadCoverage, Margin, MultiRange, SingleRange, Softmax
from outrider.monitor import (
    Monitor,
)
from outrider.monitor.criteria import columns_of, home_of, taps_for
from outrider.networks import DEFAULT_TAPS, Tap, Taps


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


def test_energy_goes_to_logits_and_nowhere_else(network):
    assert names(network, "energy") == names(network, {"@output": "energy"}) == [f"logits:unit {Energy()!r}"]
    with pytest.raises(ValueError, match="expected energy on the class scores, '@output', got 'hidden:unit'"):
        names(network, {"hidden": "energy"})


def test_margin_goes_to_the_class_scores_and_nowhere_else(network):
    assert names(network, "margin") == names(network, {"@output": "margin"}) == [f"logits:unit {Margin()!r}"]
    with pytest.raises(ValueError, match="expected margin on the class scores, '@output', got 'hidden:unit'"):
        names(network, {"hidden": "margin"})


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


class _Kinds:
    classes, map_classes, scores = 2, None, "logits"
    taps = Taps([
        Tap("a", "relu", (4, 5, 5), "NCHW", "float32", "unit"),
        Tap("a", "relu", (4, 5, 5), "NCHW", "float32", "channel"),
        Tap("b", "relu", (6, 3, 3), "NCHW", "float32", "unit"),
        Tap("b", "relu", (6, 3, 3), "NCHW", "float32", "grid2"),
        Tap("b", "relu", (6, 3, 3), "NCHW", "float32", "channel"),
        Tap("c", "relu", (7,), "NC", "float32", "unit"),
    ])  # fmt: skip


@pytest.mark.parametrize(
    ("criteria", "groups"),
    [
        ({"*:unit": SingleRange()}, ["a:unit b:unit c:unit"]),
        ({"a:unit": SingleRange(), "*:channel": SingleRange()}, ["a:unit", "a:channel b:channel c:unit"]),
        ("single_range", ["a:unit b:unit", "a:channel b:channel c:unit", "b:grid2"]),
        ({"a:unit": "single_range", "c": "single_range", "b:grid2": "single_range"}, ["a:unit", "c:unit b:grid2"]),
        ({"c": ["single_range", "gaussian"]}, ["c:unit", "c:unit"]),
        (None, ["a:unit", *["a:channel b:channel c:unit", "b:grid2"] * 3]),
    ],
)
def test_a_criterion_on_each_kind_of_neurons_is_a_group_and_dense_taps_go_with_channels(criteria, groups):
    columns, taps = columns_of(_Kinds(), criteria)
    found = {}
    for column in columns:
        found.setdefault(column.group, []).append(taps[column.tap].id)
    assert [" ".join(ids) for ids in found.values()] == groups
    assert list(found) == list(range(len(groups)))


class _Heads:
    """Two layers of heads of different sizes, taken in two ways."""

    classes = 2
    taps = Taps([
        Tap("a", "attention", (2, 5, 8), "NHLC", "float32", "channel"),
        Tap("a", "attention", (2, 5, 8), "NHLC", "float32", "head"),
        Tap("b", "attention", (5, 3, 4), "NLHC", "float32", "channel"),
        Tap("b", "attention", (5, 3, 4), "NLHC", "float32", "unit"),
        Tap("scores", "output", (2,), "NC", "float32", "unit"),
    ])  # fmt: skip


def test_head_coverage_goes_on_the_heads_taken_by_channel_and_knows_their_size():
    expected = [f"a:channel {HeadCoverage(8)!r}", f"b:channel {HeadCoverage(4)!r}"]
    assert names(_Heads(), "head") == names(_Heads(), ["head"]) == expected
    assert names(_Heads(), {"@attention:channel": "head"}) == expected
    assert names(_Heads(), {"b:channel": "head(sections=4)"}) == [f"b:channel {HeadCoverage(4, sections=4)!r}"]
    columns, _ = columns_of(_Heads(), "head")
    assert [column.group for column in columns] == [0, 1]


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"a:head": "head"}, "head on tap 'a:head': expected attention heads taken by channel"),
        ({"@output": "head"}, "head on tap 'scores:unit': expected attention heads taken by channel"),
        (
            {"b:channel": HeadCoverage(8)},
            "head on tap 'b:channel': expected 4 channels of a head, as the tap has, got 8",
        ),
    ],
)
def test_head_coverage_on_what_is_no_head_is_refused(criteria, message):
    with pytest.raises(ValueError, match=message):
        columns_of(_Heads(), criteria)


def test_a_network_without_heads_is_told_how_to_tap_them(network):
    with pytest.raises(
        ValueError, match=r"head goes on @attention:channel \(give the network taps='@attention'\): expected"
    ):
        columns_of(network, "head")


@pytest.mark.parametrize(
    ("criteria", "taps"),
    [
        (None, DEFAULT_TAPS),
        ("head", ("@attention:channel",)),
        (["softmax", "single_range"], DEFAULT_TAPS),
        (["head", "single_range"], ("@attention:channel", *DEFAULT_TAPS)),
        ({"*": "single_range", "r1:unit": "bitmap"}, (*DEFAULT_TAPS, "r1:unit")),
    ],
)
def test_a_network_that_is_yet_to_be_opened_is_tapped_where_the_criteria_go(criteria, taps):
    assert taps_for(criteria) == taps


def test_each_criterion_has_its_home():
    assert [home_of(one) for one in (Softmax(), HeadCoverage(), SingleRange())] == [
        "@output",
        "@attention:channel",
        "*",
    ]
