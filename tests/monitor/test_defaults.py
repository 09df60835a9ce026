"""What a monitor takes by default, and where it leaves something out."""

from __future__ import annotations

import pytest

from outrider.coverage import Mahalanobis, Margin, Neighbours, RelativeMahalanobis, SingleRange, Softmax
from outrider.monitor import default_criteria
from outrider.networks import Tap, Taps

DISTANCE, RELATIVE, RANGES = Mahalanobis(), RelativeMahalanobis(), SingleRange()


def tap(name, shape, neurons, kind="relu", rows=1):
    return Tap(name, kind, shape, "NC" if len(shape) == 1 else "NCHW", "float32", neurons, rows=rows)


def test_parts_that_see_different_things():
    taps = Taps([
        tap("one", (4, 8, 8), "channel"), tap("one", (4, 8, 8), "unit"), tap("two", (8, 4, 4), "unit"),
        tap("two", (8, 4, 4), "channel-max"), tap("wide", (513,), "unit"), tap("dense", (512,), "unit"),
        tap("y", (10,), "unit", "output"),
    ])  # fmt: skip
    assert default_criteria(taps, 10) == {
        "one:channel": [DISTANCE, RELATIVE, RANGES],
        "one:unit": [RANGES],
        "two:channel-max": [RELATIVE],
        "wide:unit": [RANGES],
        "dense:unit": [DISTANCE, RELATIVE, RANGES],
        "y:unit": [Margin(), DISTANCE],
    }


@pytest.mark.parametrize("classes", [None, 1, 2])
def test_what_compares_classes_needs_two(classes):
    taps = Taps([
        tap("one", (4, 8, 8), "grid2"), tap("one", (4, 8, 8), "channel-max"), tap("y", (2,), "unit", "output")
    ])  # fmt: skip
    relative = [RELATIVE] if classes == 2 else []
    expected = {"one:grid2": [DISTANCE, *relative, RANGES], "one:channel-max": relative, "y:unit": [Margin(), DISTANCE]}
    found = default_criteria(taps, classes)
    assert found == {name: some for name, some in expected.items() if some and (classes or name != "y:unit")}


@pytest.mark.parametrize(("classes", "distance"), [(512, [DISTANCE]), (513, [])])
def test_many_class_scores_have_no_covariance(classes, distance):
    assert default_criteria(Taps([tap("y", (classes,), "unit", "output")]), classes) == {
        "y:unit": [Margin(), *distance]
    }


@pytest.mark.parametrize(("neurons", "classes", "expected"), [(512, 1000, [RELATIVE]), (513, 1000, None)])
def test_the_largest_values_of_a_wide_layer_are_left_out(neurons, classes, expected):
    assert default_criteria(Taps([tap("m", (neurons, 7, 7), "channel-max")]), classes).get("m:channel-max") == expected


def test_places_have_the_nearest_centres_and_the_softmax_of_their_scores():
    taps = Taps([
        tap("fine", (16, 90, 120), "pixel2"), tap("deep", (256, 45, 60), "pixel"), tap("one", (4, 8, 8), "channel"),
        tap("y", (12, 360, 480), "pixel8", "output"),
    ])  # fmt: skip
    centres = Neighbours(centres=16)
    assert default_criteria(taps, None, 12) == {
        "fine:pixel2": [centres], "deep:pixel": [centres], "one:channel": [DISTANCE, RANGES],
        "y:pixel8": [Softmax()],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("classes", "map_classes", "expected"),
    [
        (None, None, [DISTANCE]), (1, None, [DISTANCE]), (2, None, [Neighbours(centres=16)]),
        (None, 2, [Neighbours(centres=16)]),
    ],
)  # fmt: skip
def test_places_of_one_class_have_a_distance(classes, map_classes, expected):
    assert default_criteria(Taps([tap("deep", (96, 22, 22), "pixel")]), classes, map_classes) == {
        "deep:pixel": expected
    }


@pytest.mark.parametrize(("rows", "fits"), [(64, True), (65, False)])
def test_so_many_places_that_a_covariance_does_not_fit_have_centres(rows, fits):
    # 64 x 128 places times 256 x 256 neurons are 2**29.
    expected = DISTANCE if fits else Neighbours(samples=2048, centres=256)
    assert default_criteria(Taps([tap("map", (256, rows, 128), "pixel")])) == {"map:pixel": [expected]}


@pytest.mark.parametrize(
    ("neurons", "rows", "distances"), [(512, 128, True), (512, 129, False), (512, None, True), (513, None, False)]
)
def test_rows_count_as_places_do_and_those_that_vary_as_100(neurons, rows, distances):
    found = default_criteria(Taps([tap("rows", (neurons,), "unit", rows=rows)]))
    assert found == {"rows:unit": [DISTANCE, RANGES] if distances else [RANGES]}


def test_ranges_take_no_more_than_512_mib_in_all():
    # 8 bytes a neuron and class: 1024 x 256 x 256 neurons of one class, or half of them of two, are 512 MiB.
    whole, half, one = (tap("units", (n, 256, 256), "unit") for n in (1024, 512, 1))
    dense = tap("dense", (513,), "unit")
    assert default_criteria(Taps([whole, dense]), 1) == {"units:unit": [RANGES]}
    assert default_criteria(Taps([dense, whole]), 1) == {"dense:unit": [RANGES]}
    assert default_criteria(Taps([half, dense])) == {"units:unit": [RANGES], "dense:unit": [RANGES]}
    assert default_criteria(Taps([half, dense]), 2) == {"units:unit": [RANGES]}
    # Where the first units do not fit, the next that do are taken.
    smaller = Taps([tap("large", (1025, 256, 256), "unit"), one, tap("more", (1, 256, 256), "unit")])
    assert default_criteria(smaller, 1) == {"units:unit": [RANGES]}
