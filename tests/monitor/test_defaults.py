from __future__ import annotations

import pytest

from outrider.coverage import Gaussian, Mahalanobis, SingleRange, Softmax
from outrider.monitor import (
    default_criteria,
)
from outrider.networks import Tap, Taps


def test_default_criteria_leave_covariances_out_where_there_are_too_many_places():
    small, large = (Tap("map", "relu", (64, side, side), "NCHW", "float32", "pixel") for side in (64, 128))
    assert default_criteria(Taps([small])) == {"map:pixel": [Mahalanobis()]}
    assert default_criteria(Taps([large])) == {"map:pixel": [Gaussian()]}


def test_rows_count_as_places_do_and_those_that_vary_as_100():
    views = [Tap("views", "relu", (512,), "NC", "float32", "unit", rows=rows) for rows in (128, 129)]
    assert [*default_criteria(Taps(views[:1])).values()] == [[Mahalanobis()]]
    assert [*default_criteria(Taps(views[1:])).values()] == [[Gaussian()]]
    regions = [Tap("regions", "relu", (size,), "NC", "float32", "unit", rows=None) for size in (512, 513)]
    assert [*default_criteria(Taps(regions[:1])).values()] == [[Mahalanobis()]]
    assert [*default_criteria(Taps(regions[1:])).values()] == [[Gaussian()]]


def tap(name, shape, neurons, kind="relu"):
    return Tap(name, kind, shape, "NC" if len(shape) == 1 else "NCHW", "float32", neurons)


def test_ranges_of_the_first_units_distances_of_every_layer_and_confidence():
    taps = Taps([
        tap("one", (4, 8, 8), "channel"), tap("one", (4, 8, 8), "unit"), tap("two", (8, 4, 4), "unit"),
        tap("wide", (513,), "unit"), tap("dense", (512,), "unit"), tap("y", (10,), "unit", "output"),
    ])  # fmt: skip
    assert default_criteria(taps, 10) == {
        "one:channel": [Mahalanobis()],
        "one:unit": [SingleRange()],
        "wide:unit": [Gaussian()],
        "dense:unit": [Mahalanobis()],
        "y:unit": [Softmax()],
    }
    assert "y:unit" not in default_criteria(taps, None)


@pytest.mark.parametrize(("side", "ranged"), [(256, True), (257, False)])
def test_ranges_take_no_more_than_512_mib(side, ranged):
    # 8 bytes a neuron and class: 1024 x 256 x 256 neurons of one class are 512 MiB.
    taps = Taps([tap("units", (1024, side, 256), "unit"), tap("dense", (4,), "unit")])
    assert ("units:unit" in default_criteria(taps, 1)) is ranged
