"""Prompts that a decoder in ONNX is tried on: its inputs by their names, and the tensors that its heads return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....monitor import ExportError
from ....networks.onnx.proto import DTYPES, parse_model
from ....networks.onnx.reading.graph import OnnxGraph
from ....networks.onnx.reading.projections import projection_inputs
from ....networks.onnx.session import Runtime
from .read_out import LinearReadOut

MASK = "attention_mask"
_ROWS, _TOKENS = 2, 6
_LARGEST_TOKEN = 48
Feeds = dict[str, np.ndarray]


def mask_of(data: bytes) -> str | None:
    """The name of the input that tells real tokens from padding, None where there is none.

    Raises ExportError where it is there in another form than (batch, tokens).
    """
    for value in _inputs(data):
        if value.name == MASK:
            rank = len(value.type.tensor_type.shape.dim)
            if rank != 2:
                raise ExportError(
                    f"expected an input {MASK!r} of (batch, tokens), got one of {rank} axes; export the model with one"
                    " number per token"
                )
            return MASK
    return None


def probe_feeds(data: bytes, sizes: tuple[int, int], ids: np.ndarray | None = None) -> list[Feeds]:
    """Inputs for every input of a decoder: random prompts, whole ones and, where it has a mask, right-padded ones.

    sizes: heads per layer and numbers per head. ids: (batch, tokens) of a prompt instead of the random ones. Raises
    ExportError, naming it, for an input whose meaning its name does not tell.
    """
    shape = _prompt_shape(data) if ids is None else ids.shape
    whole = {value.name: _values(value, shape, sizes, ids) for value in _inputs(data)}
    if MASK not in whole or ids is not None or shape[1] < 3:
        return [whole]
    padded = whole[MASK].copy()
    padded[0, -2:] = 0
    return [whole, {**whole, MASK: padded}]


def find_heads(
    source: Path, data: bytes, graph: OnnxGraph, read_out: LinearReadOut, feeds: Sequence[Feeds]
) -> tuple[list[str], list[np.ndarray]]:
    """Per layer the name of (batch, tokens, width), what enters its output projection; and their values per feeds.

    The values are (layers, batch, tokens, width) for each of `feeds`, in the decoder's dtype. Attention layers with
    another number of heads or another width, such as those of a vision tower, do not count. Raises ExportError unless
    as many are left as the guard's decoder has.
    """
    paths = projection_inputs(graph.nodes, graph.heads)
    paths = {name: path for name, path in paths.items() if graph.heads[name] in (None, read_out.heads)}
    candidates = [name for path in paths.values() for name in path]
    if not candidates:
        raise ExportError(
            f"{source}: expected {read_out.layers} attention layers with {read_out.heads} heads and an output"
            f" projection, got {len(graph.heads)} attention layers without; export the decoder anew without"
            " subgraphs (If, Loop)"
        )
    found = [dict(zip(candidates, _run(data, graph, source, candidates, feed), strict=True)) for feed in feeds]
    tokens = _tokens(feeds[0])
    chosen = [
        fitting[0]
        for path in paths.values()
        if (fitting := [name for name in path if found[0][name].shape == (*tokens, read_out.width)])
    ]
    if len(chosen) != read_out.layers:
        got = sorted({found[0][path[0]].shape[-1] for path in paths.values()})
        raise ExportError(
            f"{source}: expected {read_out.layers} attention layers of {read_out.heads} heads with"
            f" {read_out.head_dim} numbers each, {read_out.width} together, got {len(chosen)} such layers among"
            f" {len(graph.heads)}, of width {', '.join(map(str, got))}; export the model that the guard was made for"
        )
    values = [np.stack([every[name] for name in chosen]) for every in found]
    return chosen, values


def last_tokens(values: np.ndarray, feeds: Mapping[str, np.ndarray], read_out: LinearReadOut) -> np.ndarray:
    """(batch, layers, heads, head_dim) float32 at the last real tokens, from (layers, batch, tokens, width)."""
    layers, rows, tokens, _ = values.shape
    last = np.full(rows, tokens - 1)
    if MASK in feeds:
        last = np.array([np.flatnonzero(row)[-1] for row in feeds[MASK]])
    at_last = values[:, np.arange(rows), last].astype(np.float32)
    return at_last.transpose(1, 0, 2).reshape(rows, layers, read_out.heads, read_out.head_dim)


def _run(data: bytes, graph: OnnxGraph, source: Path, names: Sequence[str], feeds: Feeds) -> list[Any]:
    runtime = Runtime(("CPUExecutionProvider",), threads=1)
    session = runtime.session(graph.with_outputs(names), source.parent.absolute())
    return runtime.run(session, list(names), feeds)


def _inputs(data: bytes) -> list[Any]:
    graph = parse_model(data).graph
    constants = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in constants]


def _prompt_shape(data: bytes) -> tuple[int, int]:
    """Rows and tokens of the probe: those that the inputs fix, else a few."""
    for value in _inputs(data):
        if value.name in ("input_ids", "inputs_embeds"):
            sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            return sizes[0] or _ROWS, sizes[1] or _TOKENS
    raise ExportError("expected a decoder with an input input_ids or inputs_embeds, got one without")


def _tokens(feeds: Feeds) -> tuple[int, int]:
    return (feeds["input_ids"] if "input_ids" in feeds else feeds["inputs_embeds"]).shape[:2]


def _values(value: Any, shape: tuple[int, int], heads: tuple[int, int], ids: np.ndarray | None) -> np.ndarray:
    """What one input is fed: by its name, its type and the sizes it declares."""
    name, declared = value.name, value.type.tensor_type
    dtype = np.dtype(DTYPES.get(declared.elem_type, "float32"))
    sizes = [dim.dim_value for dim in declared.shape.dim]
    rng = np.random.default_rng(0)
    if name == "input_ids":
        return (rng.integers(3, _LARGEST_TOKEN, shape) if ids is None else ids).astype(dtype)
    if name == "inputs_embeds":
        return rng.standard_normal((*shape, sizes[-1])).astype(dtype)
    if name == MASK:
        return np.ones(shape, dtype)
    if name in ("position_ids", "cache_position"):
        spread = [size or open_size for size, open_size in zip(sizes[-2:], shape[-len(sizes[-2:]) :], strict=True)]
        return np.broadcast_to(np.arange(shape[1]), (*sizes[:-2], *spread)).astype(dtype)
    if name.startswith("past") and len(sizes) == 4:
        return np.zeros((shape[0], sizes[1] or heads[0], 0, sizes[3] or heads[1]), dtype)
    if name in ("use_cache_branch", "num_logits_to_keep"):
        return np.zeros(sizes, dtype)
    raise ExportError(
        f"expected inputs input_ids or inputs_embeds, {MASK}, position_ids and past_key_values, got {name!r};"
        " give inputs for a prompt as `feeds`"
    )
