"""Where the channels lie once the shapes of all tensors are known: carried through every node that moves axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..nodes import Nodes, attribute, operands, operator
from .layouts import KEEPING, LAYERS

Shapes = Mapping[str, tuple[int, ...]]
Axes = tuple[int | None, ...]

_SAME_RANK = KEEPING | LAYERS | frozenset((
    "batchnormalization", "clamp", "cumsum", "expand", "groupnormalization", "instancenormalization", "isnan",
    "layernormalization", "lpnormalization", "meanvariancenormalization", "mod", "round", "sign", "sin", "cos", "tile",
    "trilu",
))  # fmt: skip
_RESHAPING = frozenset(("flatten", "reshape"))
_RECURRENT = frozenset(("gru", "lstm", "rnn"))
_POINTWISE = frozenset(("add", "div", "mul", "prelu", "sub"))
_INPUT_LAYERS = frozenset(("conv", "convtranspose", "matmul", "gemm"))  # between these, channels change
_ROUNDS = 4
_BETWEEN = 8  # nodes between two reshapes, of which the second takes the first back


def carried_axes(nodes: Nodes, known: Mapping[str, int], shapes: Shapes) -> dict[str, int]:
    """The axis of the channels of each tensor, from the front, wherever the graph tells it.

    known: what `channel_axes` found without shapes. shapes: of all tensors in a run. Recurrent layers and products with
    weights fix more of them. Reshapes, squeezes, reductions and gathers carry the axes, in both directions. Where that
    is not enough, a weight of one axis that is added or multiplied lies along the channels, and so does a softmax.
    """
    axes = {name: axis % len(shapes[name]) for name, axis in known.items() if shapes.get(name)}
    work = [node for node in nodes.nodes() if all(name in shapes for name in filter(None, node.output))]
    for source in (_fixed, _along_weights):
        for node in work:
            for name, axis in source(nodes, node, shapes):
                if len(shapes.get(name, ())) > axis:
                    axes.setdefault(name, axis)
        _carry(nodes, work, shapes, axes)
    return {**known, **axes}


def _carry(nodes: Nodes, work: list[Any], shapes: Shapes, axes: dict[str, int]) -> None:
    """Fill `axes` from what it holds, forwards and backwards until nothing is added."""
    maps = {id(node): list(_maps(nodes, node, shapes)) for node in work}
    for _ in range(_ROUNDS):
        before = len(axes)
        for node in work:
            for source, target, moved in maps[id(node)]:
                if source in axes and (axis := moved[axes[source]]) is not None:
                    axes.setdefault(target, axis)
        for node in reversed(work):
            for source, target, moved in maps[id(node)]:
                if target in axes and moved.count(axes[target]) == 1:
                    axes.setdefault(source, moved.index(axes[target]))
        if len(axes) == before:
            return


def _maps(nodes: Nodes, node: Any, shapes: Shapes) -> Iterable[tuple[str, str, Axes]]:
    """For what a node reads and computes: where each axis of the one goes in the other, None where it is lost."""
    op = operator(node)
    read = [name for name in nodes.moving_operands(node) if name in shapes]
    if op == "matmul" and len(read) == 2:
        yield from _product(read[0], read[1], node.output[0], shapes)
        return
    if op not in KEEPING:
        read = read[:1]
    read.sort(key=lambda name: -math.prod(shapes[name]))  # what is broadcast tells less
    for source in read:
        for target in filter(None, node.output):
            moved = _moved(nodes, node, op, shapes[source], shapes[target])
            if moved is not None:
                yield source, target, moved
    if op in _RESHAPING and read and (first := _reshaped_before(nodes, read[0], shapes)):
        target = node.output[0]
        if shapes[first] == shapes[target]:
            yield first, target, tuple(range(len(shapes[first])))


def _product(first: str, second: str, target: str, shapes: Shapes) -> Iterable[tuple[str, str, Axes]]:
    """A product has the rows of what it multiplies, and the columns of what that is multiplied with."""
    rank = len(shapes[target])
    if rank == len(shapes[first]) == len(shapes[second]) and rank > 1:
        yield second, target, (*range(rank - 2), None, rank - 1)
        yield first, target, (*range(rank - 1), None)


def _moved(nodes: Nodes, node: Any, op: str, shape: tuple[int, ...], result: tuple[int, ...]) -> Axes | None:
    rank = len(shape)
    if op in _INPUT_LAYERS:
        return None
    if op == "transpose":
        perm = attribute(node, "perm") or list(reversed(range(rank)))
        return tuple(perm.index(axis) for axis in range(rank))
    if op in _RESHAPING:
        return _regrouped(shape, result)
    if op == "squeeze":
        gone = _axes_of(nodes, node, rank)
        return _without(rank, gone if gone is not None else [i for i, size in enumerate(shape) if size == 1])
    if op == "unsqueeze":
        new = _axes_of(nodes, node, len(result)) or ()
        kept = [axis for axis in range(len(result)) if axis not in new]
        return tuple(kept) if len(kept) == rank else None
    if op.startswith("reduce"):
        gone = _axes_of(nodes, node, rank)
        if len(result) == rank:
            return tuple(range(rank))
        return None if gone is None else _without(rank, gone)
    if op == "gather":
        axis = attribute(node, "axis", 0) % rank
        added = len(result) - rank
        return tuple(None if i == axis and added else i + added * (i > axis) for i in range(rank))
    if op in _SAME_RANK and len(result) >= rank:
        return tuple(i + len(result) - rank for i in range(rank))  # broadcasting lines up the last axes
    return None


def _axes_of(nodes: Nodes, node: Any, rank: int) -> list[int] | None:
    """The axes that a node names in an attribute or, since opset 13 or 18, in a constant."""
    axes = attribute(node, "axes")
    if axes is None and len(node.input) > 1 and (value := nodes.constant(node.input[1])) is not None:
        axes = value.reshape(-1).tolist()
    return None if axes is None else [int(axis) % rank for axis in axes]


def _without(rank: int, gone: list[int]) -> Axes:
    return tuple(None if axis in gone else axis - sum(other < axis for other in gone) for axis in range(rank))


def _regrouped(shape: tuple[int, ...], result: tuple[int, ...]) -> Axes:
    """Where a reshape puts each axis: as it is, or merged with others. An axis that is split goes nowhere."""
    moved: list[int | None] = [None] * len(shape)
    start, begin = 0, 0
    for end, stop in _cuts(shape, result):
        own = [i for i in range(start, end) if shape[i] != 1]
        new = [i for i in range(begin, stop) if result[i] != 1]
        if len(new) == 1:
            for i in own:
                moved[i] = new[0]
        elif [shape[i] for i in own] == [result[i] for i in new]:
            for i, there in zip(own, new, strict=True):
                moved[i] = there
        start, begin = end, stop
    return tuple(moved)


def _cuts(shape: tuple[int, ...], result: tuple[int, ...]) -> Iterable[tuple[int, int]]:
    """The places up to which both shapes hold as many numbers, nearest first."""
    ends: dict[int, int] = {}
    product = 1
    for index, size in enumerate(result, 1):
        product *= size
        ends.setdefault(product, index)
    product = 1
    for index, size in enumerate(shape, 1):
        product *= size
        if size != 1 and product in ends:
            yield index, ends[product]


def _reshaped_before(nodes: Nodes, tensor: str, shapes: Shapes) -> str | None:
    """What a reshape read, where nothing that moves axes lies between it and this tensor: a group norm in pieces."""
    for _ in range(_BETWEEN):
        node = nodes.producers.get(tensor)
        if node is None or not nodes.moving_operands(node):
            return None
        source = nodes.moving_operands(node)[0]
        op = operator(node)
        if op in _RESHAPING:
            return source if source in shapes else None
        if op not in _SAME_RANK or op in _INPUT_LAYERS:
            return None
        tensor = source
    return None


def _fixed(nodes: Nodes, node: Any, shapes: Shapes) -> Iterable[tuple[str, int]]:
    """Axes that recurrent layers and products with weights fix: what they read, and what they compute."""
    op = operator(node)
    if op in _RECURRENT:
        for name in filter(None, (node.input[0], *node.output)):
            if name in shapes:
                yield name, len(shapes[name]) - 1
    elif op in ("matmul", "gemm"):
        first, *rest = operands(node)
        if first not in nodes.moving and rest and len(shapes.get(rest[0], ())) > 1:
            yield rest[0], len(shapes[rest[0]]) - 2  # weights times columns
            yield node.output[0], len(shapes[node.output[0]]) - 2
    elif op == "einsum":
        yield from _einsum(nodes, node, shapes)


def _einsum(nodes: Nodes, node: Any, shapes: Shapes) -> Iterable[tuple[str, int]]:
    """Weights sum over the channels that they read, and bring the axis of those that they compute."""
    terms, arrow, result = str(attribute(node, "equation", "")).replace(" ", "").partition("->")
    letters = terms.split(",")
    if not arrow or "." in terms or len(letters) != len(node.input):
        return
    moving = [name in nodes.moving for name in node.input]
    ours = set("".join(term for term, moves in zip(letters, moving, strict=True) if moves))
    weights = set("".join(term for term, moves in zip(letters, moving, strict=True) if not moves))
    for name, term, moves in zip(node.input, letters, moving, strict=True):
        summed = [i for i, letter in enumerate(term) if letter in weights and letter not in result]
        if moves and len(summed) == 1 and len(shapes.get(name, ())) == len(term):
            yield name, summed[0]
    made = [i for i, letter in enumerate(result) if letter in weights - ours]
    if len(made) == 1:
        yield node.output[0], made[0]


def _along_weights(nodes: Nodes, node: Any, shapes: Shapes) -> Iterable[tuple[str, int]]:
    """The axis along which a pointwise node has a weight for each place, where that is one alone; that of a softmax.

    Maps of attention heads, of four axes, stay maps of their heads.
    """
    op, shape = operator(node), shapes[node.output[0]]
    axis = attribute(node, "axis")
    if op in ("softmax", "logsoftmax") and len(shape) == 3 and axis is not None and axis % 3:
        yield node.output[0], axis % 3
    if op not in _POINTWISE:
        return
    for name in operands(node):
        sizes = None if name in nodes.moving else nodes.sizes(name)
        if sizes is None:
            continue
        wide = [-back for back, size in enumerate(reversed(sizes), 1) if size > 1]
        if len(wide) == 1 and len(shape) >= -wide[0] and shape[wide[0]] == sizes[wide[0]]:
            yield node.output[0], len(shape) + wide[0]
