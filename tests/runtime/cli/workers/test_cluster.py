"""`--engine ray`: what it hands over. The engine itself is run in tests/runtime/cluster."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.networks import load_dataset
from outrider.runtime.cli.workers import cluster

from ..outcomes import error_of


class Rows:
    """A dataset of digits that counts itself."""

    def __init__(self, column="image"):
        self._rows = [{column: picture[0], "label": 1} for picture in load_dataset("digits", "train").images[:20]]

    def take(self, count):
        return self._rows[:count]

    def count(self):
        return len(self._rows)


@pytest.fixture
def handed(monkeypatch):
    """What the engine is called with; it learns 300 digits here in its place."""
    calls = []

    def profile(dataset, network, criteria, **settings):
        calls.append(settings)
        monitor = Monitor(network(), criteria)
        digits = load_dataset("digits", "train")[:300]
        monitor.profile([np.stack([monitor.network.preprocessing(picture) for picture in digits.images])])
        settings["progress"](300)
        return monitor

    monkeypatch.setattr(cluster, "profile", profile)
    monkeypatch.setattr(cluster, "read", lambda data, column: (Rows(), column or "image"))
    return calls


def test_the_flags_reach_the_engine(outrider, model, handed):
    result = outrider(
        "profile", model, "set.parquet", "--engine", "ray", "-o", "x.outrider", "--workers", "3",
        "--label-column", "label", "--criterion", "softmax", "--batch-size", "32", "--minimum-per-class", "2",
    )  # fmt: skip
    assert result.code == 0, result.err
    (settings,) = handed
    wanted = {"column": "image", "label": "label", "frames": 20, "batch_size": 32, "workers": 3, "minimum_per_class": 2}
    assert {name: settings[name] for name in wanted} == wanted
    assert "softmax" in result.out
    assert outrider("inspect", "x.outrider").code == 0


def test_the_count_may_be_given(outrider, model, handed):
    assert outrider("profile", model, "set.parquet", "--engine", "ray", "-o", "x.outrider", "--frames", "7").code == 0
    assert handed[0]["frames"] == 7


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--rows", ":10"), "--rows"),
        (("--resume",), "--resume"),
        (("--shard", "0/2"), "--shard"),
        (("--on-error", "skip"), "--on-error skip"),
        (("--class-map", "a=0"), "--class-map"),
    ],
)
def test_flags_that_do_not_go_with_it(outrider, model, handed, flags, named):
    said = error_of(outrider("profile", model, "x.parquet", "--engine", "ray", "-o", "x.outrider", *flags))
    assert f"expected --engine ray without {named}, got both" in said


def test_a_column_that_is_not_there(outrider, model, handed):
    said = error_of(
        outrider("profile", model, "x.parquet", "--engine", "ray", "-o", "x.outrider", "--frame-column", "frame")
    )
    assert "x.parquet: expected a column 'frame' of frames, got image, label" in said
