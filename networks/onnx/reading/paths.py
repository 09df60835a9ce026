"""Which module of the network an ONNX file was exported from computed a tensor, where PyTorch's exporters kept it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

_SCOPES = "pkg.torch.onnx.name_scopes"
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_AGAIN = re.compile(r"(.+)_[0-9]+")


@dataclass(frozen=True)
class _Call:
    """A module that was running when a node was written.

    key: tells the call from others where the exporter does. path: of the module. spelled: the path as the name of the
    node spells it, where that differs.
    """

    key: tuple[str, ...]
    path: str
    spelled: str = ""


def module_paths(graph: Any, tensors: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The modules whose result a tensor is, innermost first: ``{"relu_3": ("layer1.0.relu#2", "layer1.0")}``.

    graph: a GraphProto. tensors: those of interest. A module that ran more than once is numbered from its second
    result on, as `TorchNetwork` does. Paths are read in the metadata of the nodes (``torch.onnx.export`` with dynamo)
    or in their names (``/layer1/layer1.0/relu/Relu``, TorchScript), which for a second run also say ``relu_1``: then
    the tensor bears both. Tensors inside a module, and those of functions that no module of their own calls, have
    none; neither has the result of a module that only the same module reads.
    """
    calls = _calls(graph)
    readers: dict[str, list[frozenset[tuple[str, ...]]]] = {}
    for node, within in zip(graph.node, calls, strict=True):
        keys = frozenset(call.key for call in within)
        for name in dict.fromkeys(node.input):
            readers.setdefault(name, []).append(keys)
    outputs = {value.name for value in graph.output}
    runs: dict[str, int] = {}
    paths = {}
    for node, within in zip(graph.node, calls, strict=True):
        for name in node.output:
            if name not in tensors:
                continue
            found: list[str] = []
            for call in reversed(within):
                if name in outputs or any(call.key not in keys for keys in readers.get(name, ())):
                    run = runs[call.path] = runs.get(call.path, 0) + 1
                    found.append(call.path if run == 1 else f"{call.path}#{run}")
                    found += filter(None, (call.spelled,))
            if found:
                paths[name] = tuple(found)
    return paths


def _calls(graph: Any) -> list[tuple[_Call, ...]]:
    """For each node the modules that were running, outermost first."""
    named = [_segments(node.name) for node in graph.node]
    known = {segments[:end] for segments in named for end in range(1, len(segments) + 1)}
    owners = {tensor.name[: dot.start()] for tensor in graph.initializer for dot in re.finditer(r"\.", tensor.name)}
    calls = []
    for node, segments in zip(graph.node, named, strict=True):
        scopes = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), None)
        calls.append(tuple(_spelled(segments, known, owners) if scopes is None else _listed(scopes)))
    return calls


def _segments(name: str) -> tuple[str, ...]:
    segments = tuple(name.split("/")[1:-1]) if name.startswith("/") else ()
    return segments if all(segments) else ()


def _listed(scopes: str) -> Iterator[_Call]:
    """Calls from ``['', 'layer1', 'layer1.0', 'relu_3']``, the node itself last."""
    for path in [single or double for single, double in _QUOTED.findall(scopes)][:-1]:
        if path:
            yield _Call((path,), path)


def _spelled(segments: tuple[str, ...], known: Collection[tuple[str, ...]], owners: Collection[str]) -> Iterator[_Call]:
    """Calls from ``layer1``, ``layer1.0``, ``relu_1``: an item repeats what it lies in, a second run has a suffix.

    ``relu_1`` is a name of its own where there is no ``relu`` beside it, or where a weight begins with it.
    """
    path = spelled = above = ""
    for end, segment in enumerate(segments, 1):
        own = segment
        spelled = _below(spelled, above, segment)
        again = _AGAIN.fullmatch(segment)
        if again and (*segments[: end - 1], again[1]) in known and spelled not in owners:
            own = again[1]
        path = _below(path, above, own)
        above = own
        yield _Call(segments[:end], path, spelled if spelled != path else "")


def _below(path: str, above: str, segment: str) -> str:
    if above and segment.startswith(f"{above}."):
        return path + segment[len(above) :]
    return f"{path}.{segment}" if path else segment
