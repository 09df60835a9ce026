"""A model that comes out differently is not kept."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, SingleRange
from outrider.monitor import ExportError
from outrider.monitor.places import LargestArea, Places, WorstPlace
from outrider.monitor.verdict import Columns, Verdicts
from outrider.networks import Input
from outrider.runtime import export
from outrider.runtime.in_graph import agreement, logics, maps
from outrider.runtime.in_graph.builder import Model

from .guarding import taught


def test_a_score_that_comes_out_differently_is_refused(bare, tmp_path, monkeypatch):
    _, profile = taught(bare, SingleRange())
    add = logics.add_score
    monkeypatch.setattr(logics, "add_score", lambda ops, *rest: ops("Mul", add(ops, *rest), ops.constant(1.05)))
    with pytest.raises(ExportError, match=r"expected what the monitor says outside the graph, got score .* is right"):
        export(bare, profile, tmp_path / "guarded.onnx")
    assert not (tmp_path / "guarded.onnx").exists()


def test_outputs_that_come_out_differently_are_named(bare, tmp_path, monkeypatch):
    _, profile = taught(bare, SingleRange())
    monkeypatch.setattr(agreement, "_same", lambda a, b: False)
    with pytest.raises(ExportError, match="expected the outputs of the bare model bit for bit, got others for logits"):
        export(bare, profile, tmp_path / "guarded.onnx")


@pytest.mark.parametrize("logic", [LargestArea(smooth=3), WorstPlace(smooth=3)], ids=lambda logic: logic.name)
def test_a_map_that_comes_out_differently_is_refused(logic, bare, tmp_path, monkeypatch):
    _, profile = taught(bare, Mahalanobis(), logic, taps=["r1:pixel"])
    add = maps.add_map
    monkeypatch.setattr(maps, "add_map", lambda ops, *rest: ops("Mul", add(ops, *rest), ops.constant(1.2)))
    with pytest.raises(ExportError, match=r"expected what the monitor says outside the graph, got map .* is right"):
        export(bare, profile, tmp_path / "guarded.onnx")


def test_areas_that_come_out_differently_are_refused(bare, tmp_path, monkeypatch):
    _, profile = taught(bare, SingleRange(), LargestArea(smooth=3, level=0.3), taps=["r1:pixel"])
    add = maps.largest_area
    monkeypatch.setattr(maps, "largest_area", lambda ops, *rest: ops("Add", add(ops, *rest), ops.constant(3)))
    with pytest.raises(ExportError, match=r"got score .* is right"):
        export(bare, profile, tmp_path / "guarded.onnx")


def test_a_place_that_rounding_puts_above_the_level_is_no_difference():
    """The areas are those of the graph's own map; its verdict has to follow from them."""
    values = np.full((1, 6, 6), 1.0, np.float32)
    values[0, 2:4, 2:4] = 3
    outside = values.copy()
    outside[0, 2, 4] = np.nextafter(np.float32(2), np.float32(1))
    inside = outside.copy()
    inside[0, 2, 4] = 2.001
    score = 4.75
    said = [np.array([one]) for one in (0, score, 4.8, 0.5, -1)]
    places = [Places(outside[0], 2.0, (6, 6))]
    columns = Columns(("c",), np.float32([9]))
    verdicts = Verdicts(*said, np.float32([[3]]), columns, {}, places)
    more = 5.75
    got = {"map": inside, "deviation": np.float32([[3]]), "score": np.float32([more])}
    right = got | {"confidence": np.float32([2 ** -(more / 4.8)]), "alarm": np.array([True])}
    assert list(agreement._differences(right, verdicts, 2.0)) == []
    stale = got | {"score": np.float32([score]), "confidence": np.float32([0.5]), "alarm": np.array([False])}
    assert [one.split()[0] for one in agreement._differences(stale, verdicts, 2.0)] == ["score", "confidence", "alarm"]


@pytest.mark.parametrize(("batch", "rows"), [(3, 3), ("n", 1)])
def test_trial_frames_have_the_shape_of_the_model_and_one_is_broken(batch, rows):
    found = agreement.trial_frames(Model((), batch, None), [Input("x", (3, None, 5), "float16")])
    assert [(frames.dtype, frames.shape) for frames in found] == [(np.float16, (rows, 3, 64, 5))] * 3
    assert [np.isnan(frames).sum() for frames in found] == [0, 0, 1]
    assert np.isnan(found[2][-1]).any()
    whole = agreement.trial_frames(Model((), batch, None), [Input("x", (400,), "int8")])
    assert [(frames.dtype, frames.min(), frames.max()) for frames in whole] == [(np.int8, 0, 127)] * 2
    pair = agreement.trial_frames(
        Model((), batch, None), [Input("x", (2, 3)), Input("i", (4,), "int64"), Input("y", ())]
    )
    assert [[part.shape for part in frames] for frames in pair] == [[(rows, 2, 3), (rows, 4), (rows,)]] * 4
    assert all(set(np.unique(frames[1])) <= {0, 1} for frames in pair)  # they may be indices
    assert [[np.isnan(part).sum() for part in frames] for frames in pair] == [[0, 0, 0]] * 2 + [[1, 0, 0], [0, 0, 1]]
