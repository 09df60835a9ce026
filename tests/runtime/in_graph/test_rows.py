"""Volumes and several rows a frame inside a graph, against the monitor outside; rows that vary have no nodes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, Gaussian, Mahalanobis, MultiRange, SingleRange
from outrider.monitor import ExportError, Monitor, SmallestP
from outrider.networks import OnnxNetwork
from outrider.runtime import export

from ...rows_models import PICTURE, VIEWS, VOLUME, frames, regions, views, volumes
from .guarding import OURS, run

CRITERIA = {
    "one": Mahalanobis(),
    "all": [SingleRange(), CoverageBitmap(), MultiRange(8), Mahalanobis()],
    "magnitude": SingleRange(magnitude=True),
    "unsorted": {"e": Gaussian(), "r:channel": [Mahalanobis(), Gaussian()], "d": [Gaussian(), Mahalanobis()]},
}


def taught(tmp_path, model, shape, criteria, **options):
    path, profile = tmp_path / "bare.onnx", tmp_path / "bare.outrider"
    path.write_bytes(model())
    monitor = Monitor(OnnxNetwork(path, **options), criteria, logic=SmallestP())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([frames(shape, 200, 1)], minimum_per_class=1)
        monitor.calibrate([frames(shape, 120, 2)], 0.1)
    monitor.save(profile)
    return monitor, path, profile


@pytest.mark.parametrize("classes", [3, None])
@pytest.mark.parametrize(
    ("model", "shape", "criteria", "neurons"),
    [
        (volumes, VOLUME, "all", ("channel", "grid2")),
        (volumes, VOLUME, "one", ("channel-max", "grid4")),
        (volumes, VOLUME, "magnitude", ("unit",)),
        (views, VIEWS, "one", ("channel",)),
        (views, VIEWS, "all", ("grid2", "channel-max", "unit")),
        (views, VIEWS, "unsorted", ("channel",)),
    ],
)
def test_a_guarded_model_says_what_the_monitor_says(model, shape, criteria, neurons, classes, tmp_path):
    monitor, path, profile = taught(
        tmp_path, model, shape, CRITERIA[criteria], taps="auto", neurons=neurons, classes=classes
    )
    export(path, profile, tmp_path / "guarded.onnx")
    batch = np.concatenate([frames(shape, 12, 3), frames(shape, 4, 4, scale=3), frames(shape, 1, 5)])
    batch[-1].flat[7] = np.nan
    got, (output, verdicts) = run(tmp_path / "guarded.onnx", batch), monitor.check(batch)
    np.testing.assert_array_equal(got["y"], output)
    score, confidence, alarm, deviation = (got[name] for name in OURS)
    np.testing.assert_allclose(deviation[:-1], verdicts.deviation[:-1], rtol=2e-4, atol=1e-4)
    np.testing.assert_allclose(score, verdicts.score, rtol=2e-4, atol=1e-4)
    np.testing.assert_allclose(confidence, verdicts.confidence, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(alarm, verdicts.alarm)
    assert 4 < alarm.sum() < len(batch)
    assert np.isposinf(deviation[-1]).all()
    none = run(tmp_path / "guarded.onnx", batch[:0])
    assert none["outrider_deviation"].shape == (0, len(monitor.columns))


def test_rows_that_vary_are_refused(tmp_path):
    options = {"taps": "auto", "classes": 3, "scores_output": "y"}
    _, path, profile = taught(tmp_path, regions, PICTURE, {"r": Gaussian(), "d": SingleRange()}, **options)
    with pytest.raises(
        ExportError, match=r"column 'd:unit single_range' cannot .*: expected as many rows of its tap for"
    ):
        export(path, profile, tmp_path / "guarded.onnx")
    assert not (tmp_path / "guarded.onnx").exists()
