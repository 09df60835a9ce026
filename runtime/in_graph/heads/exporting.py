"""Export a decoder with the guard of its attention heads inside: see docs/reference/guarded-model.md."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....monitor import ExportError, MismatchError
from ....monitor.files import write_whole
from ....networks.onnx.files import check_external, fingerprint, read_model
from ....networks.onnx.reading.graph import OnnxGraph
from ....networks.onnx.session import Runtime
from ...inputs.networks import onnx_file
from ..exporting import LARGEST_FILE, check_target, copy_weights, modern, refuse_unfit
from ..guarded_model import BLANK, DIGEST, FORMAT, KEY, sealed
from . import nodes
from .probe import Feeds, find_heads, last_tokens, mask_of, probe_feeds
from .read_out import LinearReadOut, read_out_of

if TYPE_CHECKING:
    from ....monitor.heads import HeadGuard
    from ....networks.transformers import Decoder

_PROMPTS = (
    "Name three fruits that grow on trees, and say which of them keeps longest in a cellar.",
    "Write a short poem about the sea at night.",
    "How do I sort a list of numbers in Python?",
    "What is the capital of France?",
)
_SCORE = 1e-4  # share of the sum of absolute terms by which the score may differ from numpy's
_EXACT = 1e-3  # of float32 heads in two engines, relative to the norm
_ALIKE = 0.1  # by which a cosine to another head may exceed that to its own: heads that share keys resemble each other
_QUANTISED = frozenset(("matmulnbits", "matmulinteger", "qlinearmatmul", "dequantizelinear", "gatherblockquantized"))


def export_heads(
    guard: LinearReadOut | HeadGuard | str | os.PathLike[str],
    model: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    decoder: Decoder | None = None,
    feeds: Mapping[str, np.ndarray] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> dict[str, Any]:
    """Write the ONNX decoder with the guard of attention heads inside; return the facts in its metadata.

    The new file has the decoder's own outputs, bit for bit. It adds `outrider_score` (batch,) float32 and
    `outrider_alarm` (batch,) bool for the last real token of each row, by `attention_mask` where the decoder has one.
    Its input `outrider_threshold` (1,) float32 has the guard's threshold as default.
    guard: calibrated, or its file, which needs no PyTorch model. decoder: the PyTorch model that the guard was made
    for: then the heads of both are compared by value on a few prompts. Without it only their number and shape are.
    feeds: every input of the ONNX decoder for one prompt, where the names do not tell what they mean; a past is empty.
    key: the public key that must have signed the file of the guard, as for `HeadGuard.load`.
    Weights in files beside the model are copied to another folder.
    Raises ExportError for what cannot be exported or came out differently, for a statistic that is not linear too;
    MismatchError where the heads are not those of `decoder`, NotReadyError for a guard without a threshold,
    ProfileError for a damaged file, FileNotFoundError.
    """
    guard = read_out_of(guard, key)
    source, target = onnx_file(model), Path(output)
    check_target(source, target)
    untouched = read_model(source)
    graph = OnnxGraph(untouched)
    check_external(graph.external_tensors, source.parent)
    refuse_unfit(source, graph, nodes.OLDEST_OPSET)
    try:
        mask = mask_of(untouched)
        probes = [dict(feeds)] if feeds is not None else probe_feeds(untouched, (guard.heads, guard.head_dim))
    except ExportError as error:
        raise ExportError(f"{source}: {error}") from None
    tensors, values = find_heads(source, untouched, graph, guard, probes)
    compared = None if decoder is None else _compare(source, untouched, graph, guard, decoder)
    fragment = graph.fragment()
    nodes.add_read_out(fragment, guard, tensors, mask)
    facts = _facts(guard, fingerprint(untouched, graph.external_tensors, source.parent), tensors, compared)
    fragment.metadata(KEY, json.dumps(facts, sort_keys=True, allow_nan=False))
    fragment.metadata(DIGEST, BLANK)
    guarded = sealed(modern(untouched, graph.opset) + fragment.to_bytes(), graph.external_tensors, source.parent)
    if len(guarded) > LARGEST_FILE:
        raise ExportError(
            f"{source}: expected a model of at most 2 GiB with its guard, got {len(guarded):,} bytes; keep the weights"
            " in a file beside the model"
        )
    heads = [last_tokens(value, probe, guard) for value, probe in zip(values, probes, strict=True)]
    _refuse_difference(source, untouched, guarded, guard, probes, heads)
    with ExitStack() as undo:
        copy_weights(graph.external, source.parent, target.parent, undo)
        write_whole(target, guarded, ExportError)
        undo.pop_all()
    return facts


def _facts(guard: LinearReadOut, sha256: str, tensors: Sequence[str], compared: float | None) -> dict[str, Any]:
    return {
        **guard.facts,
        "format": FORMAT,
        "kind": "heads",
        "fingerprint": sha256,
        "outputs": list(nodes.OUTPUTS),
        "layers": guard.layers,
        "heads": guard.heads,
        "head_dim": guard.head_dim,
        "chosen": [list(pair) for pair in guard.chosen],
        "tensors": [tensors[layer] for layer in sorted({layer for layer, _ in guard.chosen})],
        "thresholds": [float(np.float32(guard.threshold))],
        "compared": compared,
    }


def _compare(source: Path, data: bytes, graph: OnnxGraph, guard: LinearReadOut, decoder: Decoder) -> float:
    """The relative distance between the heads in ONNX and those in PyTorch, at the last tokens of a few prompts.

    Raises MismatchError where a head resembles another one more than its own, by the cosine; and unless the distance is
    that of rounding, where the ONNX model holds float32.
    """
    made = guard.facts.get("decoder", {}).get("fingerprint", decoder.fingerprint)
    if made != decoder.fingerprint:
        raise MismatchError(
            f"expected the decoder that the guard was made for, {made[:12]}…, got {decoder.fingerprint[:12]}…"
        )
    sizes = guard.heads, guard.head_dim
    if (decoder.layers, decoder.heads, decoder.head_dim) != (guard.layers, *sizes):
        raise MismatchError(
            f"expected a decoder of (layers, heads, numbers) {(guard.layers, *sizes)}, got"
            f" {(decoder.layers, decoder.heads, decoder.head_dim)}; give the one that the guard was made for"
        )
    encoded = [decoder.encode([prompt]) for prompt in _PROMPTS]
    probes = [probe_feeds(data, sizes, np.asarray(inputs["input_ids"].cpu()))[0] for inputs in encoded]
    if "input_ids" not in probes[0]:
        raise ExportError(
            f"{source}: expected an input input_ids to compare the heads on prompts, got inputs_embeds; export without"
            " the PyTorch model"
        )
    _, values = find_heads(source, data, graph, guard, probes)
    every = [last_tokens(value, probe, guard)[0] for value, probe in zip(values, probes, strict=True)]
    got = np.concatenate(every, axis=-1).reshape(guard.layers * guard.heads, -1)
    heads = [np.asarray(decoder.prefill(inputs).heads[0], np.float32) for inputs in encoded]
    wanted = np.concatenate(heads, axis=-1).reshape(got.shape)
    distance = float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
    lengths = [np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30) for rows in (got, wanted)]
    cosines = (got / lengths[0]) @ (wanted / lengths[1]).T
    wrong = np.flatnonzero(cosines.max(1) - cosines.diagonal() > _ALIKE)
    quantised = _QUANTISED & {node.op_type.lower() for node in graph.nodes.nodes()}
    exact = not quantised and values[0].dtype == np.float32 and decoder.dtype == "float32"
    if len(wrong) or (exact and distance > _EXACT):
        at = divmod(int(wrong[0] if len(wrong) else np.abs(got - wanted).max(1).argmax()), guard.heads)
        raise MismatchError(
            f"{source}: expected the heads of {decoder.name}, got others: {len(wrong)} of {len(wanted)} resemble"
            f" another head most, and the relative distance is {distance:.2g}; the first is layer {at[0]} head {at[1]};"
            " export the model that the guard was made for"
        )
    return distance


def _refuse_difference(
    source: Path,
    untouched: bytes,
    guarded: bytes,
    guard: LinearReadOut,
    probes: Sequence[Feeds],
    heads: Sequence[np.ndarray],
) -> None:
    """Raise ExportError unless the guarded decoder's outputs are the untouched one's, and its score that of numpy."""
    bare, _ = _outputs(source, untouched, probes)
    every, names = _outputs(source, guarded, probes)
    for before, after, values in zip(bare, every, heads, strict=True):
        got = dict(zip(names, after, strict=True))
        differing = [n for n, a, b in zip(names, before, after, strict=False) if a.tobytes() != b.tobytes()]
        if differing:
            raise ExportError(
                f"{source}: expected the outputs of the bare model bit for bit, got others for"
                f" {', '.join(differing[:5])}; the runtime fuses what the guard reads"
            )
        expected = guard.scores(values)
        rows, columns = zip(*guard.chosen, strict=True)
        terms = np.abs(values[:, rows, columns] * guard.weights).sum((1, 2)) + abs(guard.bias)
        off = ~(np.abs(got["outrider_score"] - expected) <= _SCORE * terms)
        clear = np.abs(expected - guard.threshold) > _SCORE * terms
        if off.any():
            row = int(np.flatnonzero(off)[0])
            raise ExportError(f"{source}: expected score {expected[row]:g}, got {got['outrider_score'][row]:g}")
        if (got["outrider_alarm"] != (expected > guard.threshold))[clear].any():
            raise ExportError(f"{source}: expected alarms where the score exceeds {guard.threshold:g}, got others")


def _outputs(source: Path, data: bytes, probes: Sequence[Feeds]) -> tuple[list[list[Any]], list[str]]:
    runtime = Runtime(("CPUExecutionProvider",), threads=1)
    session = runtime.session(data, source.parent.absolute())
    names = [output.name for output in session.get_outputs()]
    return [runtime.run(session, names, probe) for probe in probes], names
