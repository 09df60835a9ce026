"""What a pattern says, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.judge import Judge
from outrider.monitor.kinds.pattern import MOST, Maps, Patterns, mapped

from .conftest import SIZE, PictureNetwork, calibrated, pictures


@pytest.fixture
def judge(taught):
    judge = Judge(taught.network, taught.learned, 5, taught.logic, taught.calibration)
    judge.observe(pictures(5, 11))
    return judge


def test_maps_are_of_pixels_and_of_units_that_are_outside(taught, judge):
    names = [taught.columns[i] for i in mapped(taught.learned)]
    assert sorted(names) == ["edges:pixel mahalanobis", "edges:unit single_range"]
    bound = Maps(taught.learned, judge.indices, judge.by_place)
    maps = dict(zip(names, bound.read(3, judge.seen.activations, int(judge.predictions[3])), strict=True))
    of_places = taught.deviation_maps(pictures(5, 11))["edges:pixel mahalanobis"][3]
    np.testing.assert_allclose(maps["edges:pixel mahalanobis"], of_places, rtol=1e-6)
    signature = taught.learned.signatures[taught.columns.index("edges:unit single_range")]
    values, label = judge.seen.activations[0][3], judge.predictions[3]
    low, high = signature.arrays["low"][label], signature.arrays["high"][label]
    outside = (~((low <= values) & (values <= high))).reshape(6, SIZE, SIZE).sum(0)
    np.testing.assert_array_equal(maps["edges:unit single_range"], outside)


def test_a_pattern_is_surprises_and_how_maps_lie(taught, judge):
    scales = taught.calibration.kinds.scales
    pattern = Patterns(scales, Maps(taught.learned, judge.indices, judge.by_place))
    found = pattern.read(judge.deviations[2], 2, judge.seen.activations, int(judge.predictions[2])).copy()
    columns = len(taught.columns)
    assert found.shape == (columns + 2 * 6,) == (scales.features,)
    for j, deviation in enumerate(judge.deviations[2].astype(float)):
        knots, curve = scales.value[:, j], scales.surprise[:, j]
        distinct = np.append(np.diff(knots) > 0, True)
        expected = np.interp(deviation, knots[distinct], curve[distinct])
        expected += max(deviation - knots[-1], 0) / scales.excess[j]
        assert found[j] == pytest.approx(np.log1p(min(expected, MOST)), rel=1e-6)


def test_no_surprise_is_infinite(taught, judge):
    pattern = Patterns(taught.calibration.kinds.scales, Maps(taught.learned, judge.indices, judge.by_place))
    for worst in (np.inf, np.nan):
        found = pattern.read(np.full(4, worst, np.float32), 0, judge.seen.activations, 0)
        assert (found[:4] == np.log1p(MOST)).all()


def test_dense_taps_have_no_map():
    monitor = calibrated(PictureNetwork())
    assert all(monitor.columns[i].startswith("edges") for i in mapped(monitor.learned))
