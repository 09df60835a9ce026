"""Shares, curves and their JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from outrider.monitor import clopper_pearson
from outrider.monitor.evaluation import Curve, Estimate, Share
from outrider.monitor.evaluation.results import Cost, Evaluation, SetResult, plain


def result(name, auroc=None, share=0.5):
    flagged = Share(1, 2, share, (0.1, 0.9))
    return SetResult(name, "given", 2, 0, 0, flagged, flagged, auroc=auroc)


def evaluation(*unsafe):
    return Evaluation(result("clean"), unsafe, 30.0, Estimate(math.nan), 0.05, Cost(3.0, 2.0, 1.0, 64, 10), 0, 0.95, {})


def test_a_share_has_the_exact_interval():
    found = Share.of(np.array([True, False, False, True, False]))
    assert (found.count, found.n, found.share) == (2, 5, 0.4)
    assert found.interval == clopper_pearson(2, 5) == Share.counted(2, 5).interval


def test_a_share_of_drives_is_the_mean_of_theirs_and_its_interval_wider():
    drives = np.repeat([0, 1, 2, 3], [10, 10, 10, 70])
    which = drives < 2
    found = Share.of(which, drives)
    assert (found.count, found.share) == (20, 0.5)
    assert found.interval[1] - found.interval[0] > 0.8


def test_a_share_of_nothing_is_no_number():
    for found in (Share.of(np.empty(0, bool)), Share.counted(0, 0)):
        assert math.isnan(found.share)
        assert found.interval == (0.0, 1.0)


def test_a_curve_keeps_its_ends_and_its_shape():
    x = np.linspace(0, 1, 100_001)
    found = Curve.of(x, x**3)
    assert len(found.x) <= 200
    assert (found.x[0], found.x[-1], found.y[-1]) == (0, 1, 1)
    np.testing.assert_allclose(np.interp(x, found.x, found.y), x**3, atol=1e-3)


def test_a_steep_curve_keeps_its_corner():
    found = Curve.of(np.array([0.0, 0.0, 0.01, 1.0]), np.array([0.0, 0.9, 1.0, 1.0]))
    assert (found.x, found.y) == ((0, 0, 0.01, 1), (0, 0.9, 1, 1))


def test_sets_are_found_by_name_and_their_mean_is_of_the_unsafe_ones():
    found = evaluation(result("a", Estimate(0.9)), result("b", Estimate(0.7)))
    assert found["b"].auroc.value == 0.7
    assert found["clean"] is found.clean
    assert found.mean_auroc == pytest.approx(0.8)
    assert math.isnan(evaluation().mean_auroc)
    with pytest.raises(KeyError, match="known are clean, a, b"):
        found["c"]


def test_all_of_it_is_strict_json():
    found = json.loads(json.dumps(evaluation(result("a", Estimate(0.9, (0.8, 1.0)))).to_dict(), allow_nan=False))
    assert found["unsafe"][0]["auroc"] == {"value": 0.9, "interval": [0.8, 1.0]}
    assert found["false_alarms_per_hour"] == {"value": None, "interval": None}
    assert found["clean"]["flagged"] == {"count": 1, "n": 2, "share": 0.5, "interval": [0.1, 0.9]}
    assert found["cost"]["bytes"] == 10


def test_numbers_of_numpy_become_pythons():
    assert plain({"a": np.float64(1.5), 2: (np.int64(3), np.inf)}) == {"a": 1.5, "2": [3, None]}
    assert type(plain(np.int64(3))) is int
