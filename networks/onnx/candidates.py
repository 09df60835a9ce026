"""The tensors of an ONNX graph as candidates for taps, and the taps that ONNX Runtime moves."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..layouts import undecided
from ..network import NetworkWarning
from ..selectors import OUTPUT
from ..tap import Candidate, Tap, candidate, rows_of
from .reading.graph import OnnxGraph
from .reading.moves import MovedTap
from .trial import SeenTensor, TrialRun


def candidate_of(graph: OnnxGraph, name: str, trial: TrialRun) -> Candidate:
    """A tensor as a candidate; where the trial run did not show it, with its name and kind only."""
    kind, paths, seen = graph.kinds[name], graph.paths.get(name, ()), trial.tensors.get(name)
    if seen is None or seen.obstacle:
        return Candidate(name, kind, obstacle=seen.obstacle if seen else "", paths=paths)
    if graph.nodes.producers[name].domain == "com.microsoft.nchwc":
        obstacle = "it is in the blocked layout of ONNX Runtime; take the model as it was before it was optimised"
        return Candidate(name, kind, obstacle=obstacle, paths=paths)
    found = _heads(name, seen, trial.batch, graph.heads[name]) if name in graph.heads else None
    if found is None:
        axis = graph.channel_axis(name)
        rank = len(seen.shape)
        if axis is not None and axis >= 0 and name in trial.bare:
            axis += 1
        axis = None if axis is None or rank == 0 else axis % rank
        last = axis == rank - 1 if axis in (1, rank - 1) else None  # on any other axis there is no layout for it
        again = _as_many_again(seen, trial) if axis == 1 and rank > 2 else seen.again
        found = candidate(name, kind, seen.shape, seen.dtype, batch=trial.batch, channels_last=last, again=again)
        found = undecided(found) if last is None else found
    if name in graph.counted and found.rows != 1:  # the runs may have found as many in every frame by chance
        found = replace(found, rows=None)
    if found.rows is None and trial.fixed not in (None, 1):
        obstacle = f"expected as many rows for every frame, as the model fixes batches of {trial.fixed}"
        return Candidate(name, kind, obstacle=f"{obstacle}; export it with an open batch or a batch of 1", paths=paths)
    return replace(found, paths=paths)


def candidates_of(
    graph: OnnxGraph, trial: TrialRun, scores: str, classes: int | None, map_axis: int | None = None
) -> list[Candidate]:
    """The tensors of a graph, also those that cannot be tapped; the class scores, where there are some, come last.

    map_axis: the axis of the classes in a map of scores, with the batch, where the scores are one.
    """
    apart = classes is not None or map_axis is not None
    found = [candidate_of(graph, name, trial) for name in graph.kinds if name != scores or not apart]
    found += [
        Candidate(name, kind, obstacle=f"it lies inside {owner}, and only tensors of the main graph can be fetched")
        for name, (kind, owner) in graph.inner.items()
        if name not in graph.kinds
    ]
    if classes is not None:
        dtype, paths = trial.tensors[scores].dtype, graph.paths.get(scores, ())
        found.append(Candidate(scores, OUTPUT, (classes,), "NC", dtype, paths=paths))
    elif map_axis is not None:
        found.append(_score_map(candidate_of(graph, scores, trial), map_axis))
    return found


def _score_map(found: Candidate, axis: int) -> Candidate:
    layout = {1: "NCHW", 3: "NHWC"}.get(axis % 4, "")
    obstacle = found.obstacle or ("" if layout else "expected the classes of a map behind the batch or last")
    return replace(found, kind=OUTPUT, layout="" if obstacle else layout, obstacle=obstacle)


def usable_moves(
    moves: Mapping[str, MovedTap], candidates: Sequence[Candidate], graph: OnnxGraph
) -> dict[str, MovedTap]:
    """The moves to tensors that can be tapped and have the shape of the tensor asked for.

    A tensor inside an activation or a layer norm may move to another shape.
    """
    shapes = {c.name: c.shape for c in candidates if c.kind != OUTPUT}
    targets = {c.name for c in candidates if c.name in shapes and not c.obstacle}
    return {
        name: move
        for name, move in moves.items()
        if move.taken in targets and (name in graph.inside or shapes[move.taken] == shapes.get(name))
    }


def where_kept(
    taps: Sequence[Tap], candidates: Sequence[Candidate], moves: Mapping[str, MovedTap]
) -> tuple[list[Tap], tuple[MovedTap, ...]]:
    """The taps after the moves, in the order of the candidates, and the moves to tensors that nobody asked for.

    A warning names these moves.
    """
    positions = {candidate.name: i for i, candidate in enumerate(candidates)}
    asked = {tap.name for tap in taps}
    found: dict[str, Tap] = {}
    moved: dict[str, MovedTap] = {}
    for tap in taps:
        move = moves.get(tap.name)
        there = tap if move is None else candidates[positions[move.taken]].tap(tap.neurons)
        found.setdefault(there.id, there)
        if move is not None and move.taken not in asked:
            moved[tap.name] = move
    if moved:
        listed = "; ".join(f"{move.asked!r} at {move.taken!r}, as {move.why}" for move in list(moved.values())[:3])
        more = f"; and {len(moved) - 3} more, see `moved`" if len(moved) > 3 else ""
        warnings.warn(f"tapped {listed}{more}; exact=True taps what was asked", NetworkWarning, stacklevel=3)
    return sorted(found.values(), key=lambda tap: positions[tap.name]), tuple(moved.values())


def _as_many_again(seen: SeenTensor, trial: TrialRun) -> tuple[int, int] | None:
    """What a run on twice as many frames would show, where the model fixes the batch and other frames are as long.

    Only for a tensor with its channels behind the first axis: convolutions and pooling take each row by itself.
    """
    first = seen.shape[0]
    if seen.again != (trial.batch, first) or first is None or first % trial.batch:
        return seen.again
    return 2 * trial.batch, 2 * first


def _heads(name: str, seen: SeenTensor, batch: int, heads: int | None) -> Candidate | None:
    """The result of attention heads in any shape that exporters write; None where the heads cannot be told."""
    shape = seen.shape
    if len(shape) == 4:
        rows, obstacle = rows_of(batch, shape[0], seen.again)
        return None if obstacle else Candidate(name, "attention", shape[1:], "NHLC", seen.dtype, rows=rows)
    if len(shape) != 3 or shape[0] is None or shape[2] is None:
        return None
    if heads and shape[0] == batch and shape[2] % heads == 0:
        return Candidate(name, "attention", (shape[1], heads, shape[2] // heads), "NLHC", seen.dtype)
    if shape[0] > batch and shape[0] % batch == 0:
        rows, rest = divmod(shape[0] // batch, heads or shape[0] // batch)
        if rows and not rest:
            own = shape[0] // batch // rows, *shape[1:]
            return Candidate(name, "attention", own, "NHLC", seen.dtype, rows=rows)
    return None
