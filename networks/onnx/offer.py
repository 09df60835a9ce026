"""What an ONNX model offers to be tapped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ..layouts import with_layouts
from ..offers import Offer
from .axes import settle_axes
from .candidates import candidates_of, usable_moves
from .files import check_external, read_model
from .reading.entries import InputShape
from .reading.graph import OnnxGraph
from .session import Runtime
from .trial import try_out


def onnx_offer(
    model: str | os.PathLike[str],
    input_shape: InputShape | None = None,
    batch_axis: bool | None = None,
    layouts: Mapping[str, str] | None = None,
) -> Offer:
    """What an ONNX model offers, seen in one run that returns every tensor. Raises what `OnnxNetwork` raises.

    Class scores are the only output, where it is one row of two floats or more for a frame.
    """
    runtime = Runtime(("CPUExecutionProvider",), 1)
    path = Path(model)
    folder = path.parent.absolute()
    graph = OnnxGraph(read_model(path))
    check_external(graph.external_tensors, folder)
    trial = try_out(runtime, graph, folder, graph.kinds, input_shape, batch_axis)
    settle_axes(runtime, graph, folder, trial)
    scores, *others = graph.outputs
    classes = None if others else trial.count_classes(scores, "auto")[0]
    candidates = with_layouts(candidates_of(graph, trial, scores, classes), layouts)
    moves = graph.moves(graph.kinds, lambda: runtime.optimised(graph.with_outputs(()), folder))
    moved = usable_moves(moves, candidates, graph)
    return Offer("onnx", trial.shape, tuple(candidates), moved, trial.inputs)
