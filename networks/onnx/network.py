"""ONNX models as networks, run by ONNX Runtime: taps are outputs added to the graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np

from ..inputs import each, frames_in
from ..network import Network, Observation, fits
from ..neurons import fill_neurons, reduce_to_neurons
from ..preprocessing import Preprocessing
from ..renamed import renamed_keyword
from ..selectors import DEFAULT_TAPS, OUTPUT, choose, stands_for
from ..tap import Tap, Taps
from .buffers import BufferedNetwork, Buffers, Fill, shapes_are_fixed
from .candidates import candidates_of, usable_moves, where_kept
from .feeds import with_feeds
from .files import check_external, fingerprint, read_model
from .half_precision import may_round, warn_of_rounding
from .pooling import add_neurons, join_neurons, rows_alike
from .proto import Fragment
from .reading.graph import OnnxGraph
from .session import Runtime
from .trial import try_out


class OnnxNetwork(Network):
    """An ONNX model under ONNX Runtime, observed through outputs added to its graph.

    model: a path or the bytes of a file. taps, neurons: as `choose` says; names are those of the tensors in the file,
    and the paths of the modules that PyTorch's exporters keep in it mean what these modules return.
    Channels of NCHW maps are pooled in the graph, so that a few numbers leave it instead of the map. The outputs of the
    model stay the same bit for bit. classes: how many, ``auto`` to take it from an output (batch, 2 or more), None for
    a network without classes, or ``pixel`` where the scores are a map (batch, classes, height, width), also with its
    axes in another order that the graph tells. scores_output: index or name of the output with the class scores; a
    model with several outputs has classes only where one of them is named so. threads: inside one operator; they do
    not spin. input_shape: of one sample. Sizes stay open where the model leaves them open and None stands here; then
    no tap is taken unit by unit.

    feeds: values for all inputs but one, the same for every frame. buffers: batches of this many frames go through
    arrays that are bound once. `observe` then returns views of these. They are valid until its next call, which must
    come from the same thread.

    exact: tap what is asked. Otherwise a tap moves from a tensor that ONNX Runtime fuses away to the next one that it
    computes; `moved` and a NetworkWarning say so.

    A model with a fixed batch size is run in pieces of that size. The constructor builds all sessions. The engine reads
    the weights in files beside the model; the fingerprint reads them piece by piece.
    Raises FileNotFoundError without a file; ImportError without onnxruntime; ValueError for a file that is no model or
    that ONNX Runtime cannot run, more than one input, and taps or providers that do not exist.
    """

    engine = "onnx"

    @renamed_keyword("logits", "scores_output")
    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        taps: str | Sequence[str] = DEFAULT_TAPS,
        neurons: str | Sequence[str] = "channel",
        classes: int | str | None = "auto",
        scores_output: int | str | None = None,
        providers: Sequence[str | tuple[str, dict[str, Any]]] = ("CPUExecutionProvider",),
        threads: int = 1,
        preprocessing: Preprocessing | None = None,
        exact: bool = False,
        input_shape: Sequence[int | None] | None = None,
        feeds: Mapping[str, Any] | None = None,
        buffers: int | None = None,
    ) -> None:
        runtime = Runtime(providers, threads)
        folder = None if isinstance(model, bytes) else Path(model).parent.absolute()
        data = model if isinstance(model, bytes) else read_model(Path(model))
        graph = OnnxGraph(with_feeds(data, feeds or {}))
        if "outrider" in graph.metadata:
            raise ValueError("expected a bare model, got one that carries a monitor; give the one it was exported from")
        if folder is not None:
            check_external(graph.external_tensors, folder)
        self.fingerprint = fingerprint(data, graph.external_tensors, folder)
        self.preprocessing = preprocessing
        self._outputs = list(graph.outputs)

        selectors = [taps] if isinstance(taps, str) else list(taps)
        wanted = [
            name
            for name, kind in graph.kinds.items()
            if any(stands_for(s, name, kind, graph.paths.get(name, ())) for s in selectors)
        ]
        moves = {} if exact else graph.moves(wanted, lambda: runtime.optimised(graph.with_outputs(()), folder))
        wanted += (move.taken for move in moves.values())
        trial = try_out(runtime, graph, folder, wanted, input_shape)
        self._input, self.dtype, self._fixed = trial.input, trial.dtype, trial.fixed
        self.input_shape: tuple[int | None, ...] = trial.shape

        scores = _pick(graph.outputs, scores_output)
        if scores_output is None and len(graph.outputs) > 1 and classes == "auto":
            classes = None
        self._map_axis = graph.channel_axis(scores) or 1
        self.classes, self.map_classes = trial.count_classes(scores, classes, self._map_axis)
        self.scores_output: str | None = None if self.map_classes is None else scores
        self._splits = all(trial.tensors[name].shape[:1] == (trial.batch,) for name in graph.outputs)
        candidates = candidates_of(graph, trial, scores, self.classes)
        if tuple(selectors) == DEFAULT_TAPS and None in choose(candidates, "first", "channel")[0].shape:
            selectors.remove("first:unit")
        chosen = [tap for tap in choose(candidates, selectors, neurons) if tap.kind != OUTPUT]
        chosen, self.moved = where_kept(chosen, candidates, usable_moves(moves, candidates, graph))
        if self.classes is not None:
            chosen.append(candidates[-1].tap("unit"))
        self.taps = Taps(chosen)

        fragment, self._fetched, self._reads = _neurons_out(graph, self.taps)
        self._varying = [index for index, tap in enumerate(self.taps) if tap.rows is None]
        self._session = runtime.session(graph.with_fragment(fragment), folder)
        if risky := [tap.name for tap in self.taps if may_round(tap)]:
            bare = runtime.session(graph.with_outputs(()), folder)
            warn_of_rounding(runtime, bare, self._session, trial, self._outputs, risky)
        self._handed_out: WeakSet[BufferedNetwork] = WeakSet()
        self.buffers = buffers
        self._buffered = None if buffers is None else self._bound(buffers)

    def observe(self, batch: np.ndarray) -> Observation:
        """Run a batch, (n, *input_shape) of the model's dtype, and return the outputs with the activations at the taps.

        Raises TypeError for a batch of another dtype, ValueError for another shape, RuntimeError after `close`.
        """
        if self._buffered is not None and len(batch) == self._buffered.size:
            return self._buffered.observe(batch)
        seen = self._observation(self._run(self._fetched, batch))
        return self._with_rows(seen, batch) if self._varying else seen

    def _with_rows(self, seen: Observation, batch: Any) -> Observation:
        """The same with the rows of each frame, at taps where they vary. Each frame is run by itself to know them."""
        frames = [seen.activations]
        if (n := frames_in(batch)) > 1:
            runs = (self._run(self._fetched, each(batch, itemgetter(slice(i, i + 1)))) for i in range(n))
            frames = [tuple(read(values) for read in self._reads) for values in runs]
        parts = {index: [activations[index] for activations in frames] for index in self._varying}
        rows = {index: np.array([len(part) for part in own], np.int64) for index, own in parts.items()}
        activations = tuple(
            np.concatenate(parts[index]) if index in parts else values for index, values in enumerate(seen.activations)
        )
        return seen._replace(activations=activations, rows=rows)

    def _observation(self, values: list[Any]) -> Observation:
        activations = tuple(read(values) for read in self._reads)
        outputs = len(self._outputs)
        output = values[0] if outputs == 1 else tuple(values[:outputs])
        if self.scores_output is not None:
            scores = values[self._outputs.index(self.scores_output)]
            return Observation(output, None, activations, np.moveaxis(scores, self._map_axis, 1))
        return Observation(output, None if self.classes is None else activations[-1], activations)

    def buffered(self, size: int) -> BufferedNetwork:
        """This network with arrays of its own for batches of one size, apart from those of `buffers`.

        It refuses batches once this network is closed. Raises ValueError where the graph leaves open the shape of an
        output that is neither tapped nor the class scores, and where the rows of a tap vary from frame to frame.
        """
        self._refuse_varying()
        read = {*self._fetched[len(self._outputs) :], *(tap.name for tap in self.taps), self.scores_output}
        if not shapes_are_fixed(self._check_open(), read) and self._buffered is None:
            raise ValueError("expected outputs of one shape for a buffer, got a graph that leaves it open")
        return self._bound(size)

    def run(self, batch: np.ndarray) -> Any:
        """The outputs for a batch, (n, *input_shape) of the model's dtype: an array, or a tuple of several.

        ONNX Runtime computes the taps here too, but returns none: it runs every node of a session, whatever is fetched.
        """
        values = self._run(self._outputs, batch)
        return values[0] if len(values) == 1 else tuple(values)

    def close(self) -> None:
        """Release the session and its buffers."""
        for own in self._handed_out:
            own.close()
        self._session = self._buffered = None

    def __repr__(self) -> str:
        return f"OnnxNetwork(input {self.input_shape}, {self.dtype}): {len(self.taps)} taps"

    def _refuse_varying(self) -> None:
        if self._varying:
            tap = self.taps[self._varying[0]].id
            raise ValueError(f"expected taps with as many rows for every frame for a buffer, got {tap}; tap others")

    def _bound(self, size: int) -> BufferedNetwork:
        self._refuse_varying()
        if size < 1 or self._fixed not in (None, size):
            raise ValueError(f"expected buffers for {self._fixed or '1 or more'} frames, got {size}")
        shape = [side for side in self.input_shape if side is not None]
        if len(shape) < len(self.input_shape):
            raise ValueError(f"expected known input sizes for buffers, got {self.input_shape}; say input_shape=")
        buffers = Buffers(self._session, self._input, self._fetched, np.zeros((size, *shape), self.dtype))
        seen = self._observation(buffers.values)
        fills = [
            fill
            for array, read in zip(seen.activations, self._reads, strict=True)
            if not any(np.shares_memory(array, value) for value in buffers.values)
            for fill in read.fills(buffers.values, array)
        ]
        own = BufferedNetwork(buffers, seen, fills, self._check)
        self._handed_out.add(own)
        return own

    def _run(self, names: list[str], batch: np.ndarray) -> list[Any]:
        session = self._check(batch)
        if self._fixed in (None, len(batch)):
            return session.run(names, {self._input: batch})
        if not self._splits:
            raise ValueError(
                f"expected a batch of {self._fixed}, which the model fixes, got {len(batch)}; "
                "an output without a batch axis cannot be put together from pieces"
            )
        pieces = []
        for start in range(0, len(batch), self._fixed):
            piece = batch[start : start + self._fixed]
            padded = np.concatenate([piece, np.zeros((self._fixed - len(piece), *piece.shape[1:]), piece.dtype)])
            values = session.run(names, {self._input: padded})
            pieces.append([value[: len(value) // self._fixed * len(piece)] for value in values])
        return [np.concatenate(values) for values in zip(*pieces, strict=True)]

    def _check(self, batch: np.ndarray) -> Any:
        """The session, once the batch is one that it takes."""
        session = self._check_open()
        if not isinstance(batch, np.ndarray):
            raise TypeError(f"expected a numpy array, got {type(batch).__name__}")
        if batch.dtype != self.dtype:
            raise TypeError(
                f"expected a batch of dtype {self.dtype}, got {batch.dtype}; convert it and check its scale"
            )
        if 0 in batch.shape or not fits(batch.shape[1:], self.input_shape):
            sizes = ("?" if size is None else str(size) for size in self.input_shape)
            raise ValueError(f"expected a batch of shape ({', '.join(('n', *sizes))}), got {batch.shape}")
        return session

    def _check_open(self) -> Any:
        if self._session is None:
            raise RuntimeError("expected an open network, got one after close(); make a new OnnxNetwork")
        return self._session


def _pick(outputs: Sequence[str], key: int | str | None) -> str:
    named: dict[Any, str] = {**dict(enumerate(outputs)), **dict(zip(outputs, outputs, strict=True)), None: outputs[0]}
    if key not in named:
        raise ValueError(
            f"expected scores_output to be an index or one of the outputs {', '.join(outputs)}, got {key!r}"
        )
    return named[key]


@dataclass(frozen=True)
class _Read:
    """The value of a run that holds the neurons of a tap. columns: of that value, None where it is the tensor."""

    tap: Tap
    position: int
    columns: slice | None = None

    def __call__(self, values: list[np.ndarray]) -> np.ndarray:
        value = values[self.position]
        if self.columns is None:
            return reduce_to_neurons(self.tap, value)
        return np.ascontiguousarray(value[:, self.columns])

    def fills(self, values: list[np.ndarray], array: np.ndarray) -> list[Fill]:
        """What writes these neurons to an array of their own whenever a run has filled `values`."""
        value = values[self.position]
        if self.columns is None:
            return fill_neurons(self.tap, value, array)
        return [partial(np.copyto, array, value[:, self.columns])]


def _neurons_out(graph: OnnxGraph, taps: Sequence[Tap]) -> tuple[Fragment, list[str], list[_Read]]:
    """The nodes to put behind the graph, the names to fetch of a run, and how to read each tap out of it."""
    fragment = graph.fragment()
    fetched = list(graph.outputs)
    pooled = [tap for tap in taps if tap.neurons not in ("unit", "pixel")]
    reads: dict[str, _Read] = {}
    for tap in taps:
        if tap not in pooled:
            whole = _leaves_whole(tap)
            name = tap.name if whole else add_neurons(fragment, tap)
            if name not in fetched:
                fetched.append(name)
                fragment.output(name)
            reads[tap.id] = _Read(tap, fetched.index(name), None if whole else slice(0, tap.size))
    for group in rows_alike(pooled):
        together, columns = join_neurons(fragment, group)
        fragment.output(together)
        reads.update((tap.id, _Read(tap, len(fetched), part)) for tap, part in zip(group, columns, strict=True))
        fetched.append(together)
    return fragment, fetched, [reads[tap.id] for tap in taps]


def _leaves_whole(tap: Tap) -> bool:
    """Whether the tensor itself leaves the graph.

    Hard swish does not: ONNX Runtime fuses it with the convolution before it only where its output stays in the graph.
    """
    if tap.neurons == "pixel":
        return True
    return tap.dtype in ("uint8", "int8") or (tap.dtype == "float32" and tap.kind != "hardswish")
