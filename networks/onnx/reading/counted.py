"""Tensors whose length depends on what is in a frame, as that of a detector's regions does."""

from __future__ import annotations

from .nodes import Nodes, operator

_COUNTING = frozenset(("compress", "nonmaxsuppression", "nonzero", "unique"))
_SIZES = frozenset(("shape", "size"))


def counted_tensors(nodes: Nodes) -> frozenset[str]:
    """The tensors computed from the results of operators that return as many rows as they find in the values.

    Exporters also write such operators for a range of numbers, over a tensor that only has a shape; these are none.
    """
    values = {name for name in nodes.moving if name not in nodes.producers}
    counted: set[str] = set()
    for node in nodes.nodes():
        op, made = operator(node), list(filter(None, node.output))
        if op not in _SIZES and values.intersection(node.input):
            values.update(made)
            if op in _COUNTING:
                counted.update(made)
        if counted.intersection(node.input):
            counted.update(made)
    return frozenset(counted)
