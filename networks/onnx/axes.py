"""Channel axes that the graph tells only together with the shapes of its tensors: looked at where they are needed."""

from __future__ import annotations

from pathlib import Path

from .reading.graph import OnnxGraph
from .session import Runtime
from .trial import TrialRun

_NO_TENSORS = ("sequence", "optional")  # operators that make something without a shape


def settle_axes(runtime: Runtime, graph: OnnxGraph, folder: Path | None, trial: TrialRun) -> None:
    """Let a graph find the channel axes of the tensors in a trial run of which it does not know them yet.

    A run that returns the shapes of all tensors is made only where there is such a tensor of three axes or more.
    """
    if any(len(seen.shape) > 2 and graph.channel_axis(name) is None for name, seen in trial.tensors.items()):
        graph.carry_axes(_shapes(runtime, graph, folder, trial))


def _shapes(runtime: Runtime, graph: OnnxGraph, folder: Path | None, trial: TrialRun) -> dict[str, tuple[int, ...]]:
    """The shapes of all tensors that depend on the input; none where the graph cannot be asked for them."""
    fragment = graph.fragment()
    asked = {}
    for name, node in graph.nodes.producers.items():
        if not any(word in node.op_type.lower() for word in _NO_TENSORS):
            asked[name] = fragment.node("Shape", name)
            fragment.output(asked[name], "int64")
    feeds = trial.zeros()
    try:
        session = runtime.session(graph.with_fragment(fragment), folder, optimised=False)
        values = runtime.run(session, list(asked.values()), feeds)
    except ValueError:
        return {}
    seen = {name: tuple(int(size) for size in value) for name, value in zip(asked, values, strict=True)}
    return {**{name: value.shape for name, value in feeds.items()}, **seen}
