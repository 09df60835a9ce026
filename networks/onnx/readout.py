"""How the neurons of taps and the class scores are read out of a run of a session."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..neurons import fill_neurons, reduce_to_neurons
from ..scores import LOGITS, class_scores, write_both
from ..selectors import OUTPUT
from ..tap import Tap
from .buffers import Fill
from .pooling import add_neurons, add_places, join_neurons, rows_alike
from .proto import Fragment
from .reading.graph import OnnxGraph


@dataclass(frozen=True)
class Read:
    """The value of a run that holds the neurons of a tap. columns: of that value, None where it is the tensor.

    tap: on the tensor that leaves the graph, which may hold the places of the network's tap. bare: whether it comes
    without a batch axis. scores: the kind of class scores that the tap holds, "" for others.
    """

    tap: Tap
    position: int
    columns: slice | None = None
    bare: bool = False
    scores: str = ""

    def __call__(self, values: Sequence[np.ndarray]) -> np.ndarray:
        value = self._value(values)
        if self.scores:
            return class_scores(value, self.scores)
        if self.columns is None:
            return reduce_to_neurons(self.tap, value)
        return np.ascontiguousarray(value[:, self.columns])

    def fills(self, values: Sequence[np.ndarray], array: np.ndarray) -> list[Fill]:
        """What writes these neurons to an array of their own whenever a run has filled `values`."""
        value = self._value(values)
        if self.scores:
            flat = value.reshape(len(value), -1)
            if flat.shape[1] == 1:
                return [partial(write_both, flat, self.scores, array)]
            return [partial(np.copyto, array, flat)]
        if self.columns is None:
            return fill_neurons(self.tap, value, array)
        return [partial(np.copyto, array, value[:, self.columns])]

    def _value(self, values: Sequence[np.ndarray]) -> np.ndarray:
        return values[self.position][None] if self.bare else values[self.position]


def neurons_out(
    graph: OnnxGraph, taps: Sequence[Tap], scores: str = LOGITS, bare: Collection[str] = ()
) -> tuple[Fragment, list[str], list[Read]]:
    """The nodes to put behind the graph, the names to fetch of a run, and how to read each tap out of it.

    scores: the kind of the class scores. bare: the tensors to which the batch axis has to be given.
    """
    fragment = graph.fragment()
    fetched = list(graph.outputs)
    pooled = [tap for tap in taps if tap.neurons != "unit" and not tap.of_places]
    reads: dict[str, Read] = {}
    for tap in (tap for tap in reversed(taps) if tap.of_places):  # ONNX Runtime takes first what was made last
        source = _with_batch(fragment, tap, bare)
        there = add_places(fragment, source) or source
        if there.name not in fetched:
            fetched.append(there.name)
            fragment.output(there.name)
        reads[tap.id] = Read(there, fetched.index(there.name))
    for tap in (tap for tap in taps if tap.neurons == "unit"):
        whole = _leaves_whole(tap)
        name = tap.name if whole else add_neurons(fragment, _with_batch(fragment, tap, bare))
        if name not in fetched:
            fetched.append(name)
            fragment.output(name)
        columns = None if whole else slice(0, tap.size)
        kind = scores if tap.kind == OUTPUT and tap.layout == "NC" else ""
        reads[tap.id] = Read(tap, fetched.index(name), columns, whole and tap.name in bare, kind)
    for group in rows_alike(pooled):
        together, parts = join_neurons(fragment, [_with_batch(fragment, tap, bare) for tap in group])
        fragment.output(together)
        reads.update((tap.id, Read(tap, len(fetched), part)) for tap, part in zip(group, parts, strict=True))
        fetched.append(together)
    return fragment, fetched, [reads[tap.id] for tap in taps]


def _with_batch(fragment: Fragment, tap: Tap, bare: Collection[str]) -> Tap:
    """The tap on its tensor with a batch axis of one, where the tensor has none."""
    if tap.name not in bare:
        return tap
    if fragment.opset >= 13:
        name = fragment.node("Unsqueeze", tap.name, fragment.constant([0], np.int64))
    else:
        name = fragment.node("Unsqueeze", tap.name, axes=(0,))
    return replace(tap, name=name)


def _leaves_whole(tap: Tap) -> bool:
    """Whether the tensor itself leaves the graph.

    Hard swish does not: ONNX Runtime fuses it with the convolution before it only where its output stays in the graph.
    """
    if tap.kind == OUTPUT:
        return True
    return tap.dtype in ("uint8", "int8") or (tap.dtype == "float32" and tap.kind != "hardswish")
