"""An ONNX file as a graph: which tensors it computes, and the same file with more behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ...selectors import ACTIVATIONS, GATES
from ..files import external_tensors
from ..proto import Fragment, parse_model
from ..validation import check_graph, inner_tensors
from .attention import attention_heads
from .channels.carried import carried_axes
from .channels.layouts import channel_axes
from .convolved import convolved_tensors
from .counted import counted_tensors
from .moves import Fusions, MovedTap
from .nodes import Nodes, kind_of
from .norms import layer_norms_in_several_nodes
from .paths import module_paths
from .patterns import activations_in_several_nodes
from .quantised import quantised_kinds


class OnnxGraph:
    """What an ONNX file says of its tensors.

    kinds: the tensors that depend on the input, in the order in which they are computed, each with its lower-case
    operator; those that end an activation written in several nodes (x * Sigmoid(x)) bear its name, codes that of what
    is quantised. inside: the tensors inside such an activation or a layer norm, with the one that ends it. heads: the
    tensors with what attention heads return, with their number where the graph says it.
    counted: those whose length depends on what is in a frame; see `counted_tensors`.
    paths: the modules that these tensors are the results of, where the exporter kept them; see `module_paths`.
    outputs, metadata: of the file. first_sizes: of each output, a number, a name, or None where the file says nothing.
    external: the files beside it that hold weights; external_tensors: what is in them.
    inner: the tensors inside subgraphs and local functions, each with its operator and the node it lies in.
    Raises ValueError for bytes that are no ONNX model, and for one that cannot be computed; see `check_graph`.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        model = parse_model(data)
        graph = model.graph
        try:
            check_graph(graph)
            self.opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)
            self.outputs = tuple(value.name for value in graph.output)
            self.first_sizes = {value.name: _first_size(value) for value in graph.output}
            self.metadata = {entry.key: entry.value for entry in model.metadata_props}
            self.external_tensors = external_tensors(model)
            self.external = tuple(sorted({tensor.location for tensor in self.external_tensors}))
            self.inner = {name: (op.lower(), owner) for name, op, owner in inner_tensors(model)}
            self._names = {name for node in graph.node for name in (node.name, *node.input, *node.output)}
            self._names.update(value.name for value in (*graph.initializer, *graph.input, *graph.output))
            self.nodes = Nodes(graph)
            self.kinds, self.inside = _kinds(self.nodes)
            self.heads = attention_heads(self.nodes)
            self.kinds.update(dict.fromkeys(self.heads, "attention"))
            self._channel_axes = channel_axes(self.nodes)
            self.counted = counted_tensors(self.nodes)
            self.paths = module_paths(graph, self.kinds)
        except (ArithmeticError, LookupError, RecursionError, TypeError) as error:
            raise ValueError(
                f"expected an ONNX model, got one whose names, operands or attributes are damaged: {error!r}"
            ) from error

    def channel_axis(self, tensor: str) -> int | None:
        """The axis of the channels, -1 for the last, or None where the graph does not tell; see `channel_axes`."""
        return self._channel_axes.get(tensor)

    def carry_axes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Find more channel axes with the shapes that the tensors have in a run; see `carried_axes`."""
        self._channel_axes = carried_axes(self.nodes, self._channel_axes, shapes)

    def moves(self, tensors: Iterable[str], optimise: Callable[[], bytes | None]) -> dict[str, MovedTap]:
        """Where to tap instead of those tensors that are fused away; see `Fusions`.

        optimise: makes what `Runtime.optimised` returns, which takes as long as a session. It is not called where no
        tensor can be fused away.
        """
        fusions = Fusions(self.nodes, self.inside)
        asked = [name for name in tensors if fusions.possible(name)]
        optimised = optimise() if asked else None
        return {} if optimised is None else fusions.moves(asked, optimised)

    def unused_name(self, stem: str) -> str:
        """A name that starts with `stem` and with which no name of the file starts."""
        while any(name.startswith(stem) for name in self._names):
            stem += "_"
        return stem

    @cached_property
    def _convolved(self) -> frozenset[str]:
        return convolved_tensors(self.nodes)

    def fragment(self) -> Fragment:
        """An empty fragment whose names cannot clash with those of the file."""
        return Fragment(self.unused_name("outrider_"), self.opset, self._convolved)

    def with_fragment(self, fragment: Fragment) -> bytes:
        """The file with a fragment behind it; its own bytes stay as they are."""
        return self._data + fragment.to_bytes()

    def with_outputs(self, outputs: Sequence[str]) -> bytes:
        """The file with more of its tensors as outputs."""
        fragment = self.fragment()
        for name in dict.fromkeys(name for name in outputs if name not in self.outputs):
            fragment.output(name)
        return self.with_fragment(fragment)


def _first_size(value: Any) -> int | str | None:
    sizes = value.type.tensor_type.shape.dim
    return (sizes[0].dim_value or sizes[0].dim_param or None) if sizes else None


def _kinds(nodes: Nodes) -> tuple[dict[str, str], dict[str, str]]:
    """The kind of each tensor that depends on the input; those inside an activation or a layer norm, with its end."""
    kinds = {name: kind_of(nodes.producers[name]) for name in nodes.order}
    ends, inside = activations_in_several_nodes(nodes)
    kinds.update((name, "clamp") for name, kind in kinds.items() if kind == "clip" and name not in ends)
    kinds.update(ends)
    kinds.update((name, f"{kinds[end]}-part") for name, end in inside.items() if kinds[name] in ACTIVATIONS | GATES)
    norms = layer_norms_in_several_nodes(nodes)
    kinds.update(dict.fromkeys(norms.values(), "layernormalization"))
    kinds.update(quantised_kinds(nodes, kinds, inside))
    return kinds, {**norms, **inside}
