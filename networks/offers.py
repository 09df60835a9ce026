"""What a network offers to be tapped, and what stands against it: for a user who looks for the names to ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .onnx.candidates import candidates_of, count_classes
from .onnx.files import check_external, read_model
from .onnx.reading.graph import OnnxGraph
from .onnx.reading.moves import MovedTap
from .onnx.session import Runtime
from .onnx.trial import try_out
from .tap import OUTPUT, Candidate, candidate, choose

if TYPE_CHECKING:
    from torch import nn

_BATCH = 2


@dataclass(frozen=True)
class Offer:
    """The tensors of a network as candidates for taps, those with an obstacle included.

    candidates: in the order in which they are computed, class scores last; of PyTorch, the modules that cannot be
    tapped come after them. moves: by the tensor asked for, where a tap stands in its place (see `OnnxNetwork`).
    """

    engine: str
    input_shape: tuple[int | None, ...]
    candidates: tuple[Candidate, ...]
    moves: Mapping[str, MovedTap] = field(default_factory=dict)

    def asked(self, selectors: str | Sequence[str]) -> tuple[str, ...]:
        """The tensors that selectors mean. Raises ValueError as `choose` does."""
        return tuple(dict.fromkeys(tap.name for tap in choose(self.candidates, selectors, "channel")))

    def taken(self, selectors: str | Sequence[str]) -> tuple[str, ...]:
        """The tensors where the taps stand that selectors ask for. Raises ValueError as `choose` does."""
        asked = self.asked(selectors)
        return tuple(dict.fromkeys(self.moves[name].taken if name in self.moves else name for name in asked))


def onnx_offer(model: str | os.PathLike[str], input_shape: Sequence[int | None] | None = None) -> Offer:
    """What an ONNX model offers, seen in one run that returns every tensor. Raises what `OnnxNetwork` raises.

    Class scores are the only output, where it is one row of two floats or more for a frame.
    """
    runtime = Runtime(("CPUExecutionProvider",), 1)
    path = Path(model)
    folder = path.parent.absolute()
    graph = OnnxGraph(read_model(path))
    check_external(graph.external_tensors, folder)
    names = list(dict.fromkeys((*graph.kinds, *graph.outputs)))
    session = runtime.session(graph.with_outputs(names), folder, optimised=False)
    trial = try_out(runtime, session, names, input_shape)
    scores, *others = graph.outputs
    classes = None if others else count_classes(trial.tensors[scores], trial.batch, "auto")
    candidates = candidates_of(graph, trial, scores, classes)
    usable = {c.name for c in candidates if not c.obstacle and c.kind != OUTPUT}
    moves = {name: move for name in graph.kinds if (move := graph.kept(name)) and move.taken in usable}
    return Offer("onnx", trial.shape, tuple(candidates), moves)


def torch_offer(module: nn.Module, input_shape: Sequence[int]) -> Offer:
    """What a PyTorch module in eval mode offers. Raises what `TorchNetwork` raises."""
    from .pytorch.network import TorchNetwork

    with closing(TorchNetwork(module, input_shape, taps="*")) as network:
        taps = network.taps
        obstacles = _obstacles(network, module, input_shape, {tap.name for tap in taps})
    free = (Candidate(tap.name, tap.kind, tap.shape, tap.layout, tap.dtype) for tap in taps)
    return Offer("torch", tuple(input_shape), (*free, *obstacles))


def _obstacles(network: Any, module: nn.Module, input_shape: Sequence[int], known: set[str]) -> list[Candidate]:
    """Why each part of a module that is not known cannot be tapped, seen in one run."""
    from torch import Tensor

    found: dict[str, Candidate] = {}

    def hook(name: str, kind: str) -> Any:
        def look(_part: Any, _inputs: Any, value: Any) -> None:
            if isinstance(value, Tensor):
                dtype = str(value.dtype).removeprefix("torch.")
                found[name] = candidate(name, kind, value.shape, dtype, batch=_BATCH)
            else:
                problem = f"expected a module that returns a tensor, got {type(value).__name__}"
                found[name] = Candidate(name, kind, obstacle=problem)

        return look

    handles = []
    for name, part in module.named_modules():
        if name and name not in known:
            kind = type(part).__name__.lower()
            found[name] = Candidate(name, kind, obstacle="it does not run as a module")
            handles.append(part.register_forward_hook(hook(name, kind)))
    try:
        network.run(np.zeros((_BATCH, *input_shape), np.float32))
    finally:
        for handle in handles:
            handle.remove()
    return [c for c in found.values() if c.obstacle]
