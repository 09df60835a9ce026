"""A model that comes out differently is not kept."""

from __future__ import annotations

import pytest

from outrider.coverage import SingleRange
from outrider.monitor import ExportError
from outrider.runtime import export
from outrider.runtime.in_graph import agreement, logics

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
