"""ONNX models as networks, run by ONNX Runtime: taps are outputs added to the graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np

from ..inputs import Input, together
from ..layouts import warn_of_undecided, with_layouts
from ..network import Network, Observation, without_batch
from ..preprocessing import Preprocessing
from ..renamed import renamed_keyword
from ..scores import LOGITS, PROBABILITIES, check_kind
from ..selectors import DEFAULT_TAPS, OUTPUT, choose, default_taps, refuse_budget, stands_for
from ..tap import Taps
from .axes import settle_axes
from .buffers import BufferedNetwork, Buffers, shapes_are_fixed
from .candidates import candidates_of, usable_moves, where_kept
from .feeds import with_feeds
from .files import check_external, fingerprint, read_model
from .half_precision import may_round, warn_of_rounding
from .reading.entries import InputShape, checked
from .reading.graph import OnnxGraph
from .reading.probabilities import are_probabilities, is_out_of_sight
from .readout import neurons_out
from .session import Runtime, left_by_forks
from .trial import TrialRun, try_out

_CLOSED = "expected an open network, got one after close(); make a new OnnxNetwork"
_FORKED = "expected the process that opened the network, got a fork of it; make an OnnxNetwork in the child"
_SUM_OFF = 1e-3  # of probabilities, by rounding


class OnnxNetwork(Network):
    """An ONNX model under ONNX Runtime, observed through outputs added to its graph.

    model: a path or the bytes of a file. taps, neurons: as `choose` says; names are those of the tensors in the file,
    and the paths of the modules that PyTorch's exporters keep in it mean what these modules return.
    Channels of NCHW maps are pooled in the graph, so that a few numbers leave it instead of the map. The outputs of the
    model stay the same bit for bit.

    The class scores of a network with classes are its last tap. Those of a map are tapped where they are asked for, as
    in ``@output:pixel8``.

    classes: how many, ``auto`` to take it from an output (batch, 2 or more) or (batch, 2 or more, 1, 1), None for a
    network without classes, 2 also for an output of one number a frame, or ``pixel`` where the scores are a map (batch,
    classes, height, width), also with its axes in another order that the graph tells. scores_output: index or name of
    the output with the class scores; a model with several outputs has classes only where one of them is named so.
    scores: ``logits``, ``probabilities``, or ``auto``: probabilities where a softmax or a division by their sum makes
    them, or a sigmoid the one number of two classes; those of a local function or a subgraph where rows of noise sum to
    1. threads: inside one operator; they do not spin.

    Every input whose value is not in `feeds` changes with the frame: a batch of several inputs is a tuple of arrays in
    the order of `inputs`, or a mapping by their names, each of the input's own dtype. feeds: values that are the same
    for every frame. input_shape: of one frame; of several inputs a mapping by name, or a shape for each. Sizes stay
    open where the model leaves them open and None stands here; then no tap is taken unit by unit. batch_axis: whether
    the first axis of the inputs is the batch; False: a run takes one frame. Left out, it is, but a model whose input
    may be either, (3, 64, 64), is refused where input_shape does not tell.

    buffers: batches of this many frames go through arrays that are bound once. `observe` then returns views of these.
    They are valid until its next call, which must come from the same thread.

    layouts: where the channels of tensors lie whose axis the graph does not tell, by name, path, glob or kind; see
    `Tap`. Such a tensor of two axes a frame cannot be tapped without, and ``auto`` leaves it out with a NetworkWarning.
    One of three counts as NCHW.

    detections: of an object detector, what decodes its output: a decoder or its name, see `as_decoder`.

    exact: tap what is asked. Otherwise a tap moves from a tensor that ONNX Runtime fuses away to the next one that it
    computes; `moved` and a NetworkWarning say so.

    A model with a fixed batch size is run in pieces of that size. Frames are run one by one where the graph takes one
    frame, or a batch of one of which an output has no batch axis; the output for several is a list then, of the
    outputs that the bare model gives for each frame, and that for one is the bare model's.
    The constructor builds all sessions. The engine reads the weights in files beside the model; the fingerprint reads
    them piece by piece.
    Raises FileNotFoundError without a file; ImportError without onnxruntime; ValueError for a file that is no model or
    that ONNX Runtime cannot run, inputs of different batch sizes, and taps or providers that do not exist.
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
        scores: str = "auto",
        providers: Sequence[str | tuple[str, dict[str, Any]]] = ("CPUExecutionProvider",),
        threads: int = 1,
        preprocessing: Preprocessing | None = None,
        exact: bool = False,
        input_shape: InputShape | None = None,
        batch_axis: bool | None = None,
        feeds: Mapping[str, Any] | None = None,
        buffers: int | None = None,
        layouts: Mapping[str, str] | None = None,
        detections: Any = None,
    ) -> None:
        check_kind(scores, "auto")
        refuse_budget(taps)
        runtime = Runtime(providers, threads)
        folder = None if isinstance(model, bytes) else Path(model).parent.absolute()
        data = model if isinstance(model, bytes) else read_model(Path(model))
        graph = OnnxGraph(with_feeds(data, feeds or {}))
        if "outrider" in graph.metadata:
            raise ValueError("expected a bare model, got one that carries a monitor; give the one it was exported from")
        if folder is not None:
            check_external(graph.external_tensors, folder)
        self.fingerprint = fingerprint(data, graph.external_tensors, folder, feeds)
        self.preprocessing, self.detections = preprocessing, detections
        self._outputs = list(graph.outputs)
        self.output_names = tuple(graph.outputs)

        selectors = [taps] if isinstance(taps, str) else list(taps)
        wanted = [
            name
            for name, kind in graph.kinds.items()
            if any(stands_for(s, name, kind, graph.paths.get(name, ())) for s in selectors)
        ]
        moves = {} if exact else graph.moves(wanted, lambda: runtime.optimised(graph.with_outputs(()), folder))
        wanted += (move.taken for move in moves.values())
        trial = try_out(runtime, graph, folder, wanted, input_shape, batch_axis)
        settle_axes(runtime, graph, folder, trial)
        self._inputs, self._fixed, self.batch_axis = trial.inputs, trial.fixed, trial.entries.batch_axis
        self.input_shape: tuple[int | None, ...] = trial.shape
        self.dtype = trial.inputs[0].dtype
        self._whole, self._bare = trial.whole, trial.bare
        self._counted = not graph.counted.isdisjoint(graph.outputs)  # a file may declare any shape for them
        self._names = [one.name for one in trial.inputs]
        self._usual = np.dtype(self.dtype), self.input_shape if len(trial.inputs) == 1 else None

        name = _pick(graph.outputs, scores_output)
        if scores_output is None and len(graph.outputs) > 1 and classes == "auto":
            classes = None
        if scores_output is not None and classes == "auto" and trial.tensors[name].obstacle:
            raise ValueError(f"scores_output {name!r}: {trial.tensors[name].obstacle}; name a tensor, or classes=None")
        self.map_axis = _map_axis(graph, trial, name)
        """The axis of the classes in a map of scores, as the graph has it, with the batch."""
        self.classes, self.map_classes = trial.count_classes(name, classes, self.map_axis)
        self.scores_output: str | None = None if self.map_classes is None else name
        self.score_shape = trial.tensors[name].shape[1:]
        """The shape of the class scores of a frame, as the graph has them."""
        self.scores = self._kind_of_scores(runtime, graph, folder, trial, name) if scores == "auto" else scores
        axis = None if self.map_classes is None else self.map_axis
        candidates = with_layouts(candidates_of(graph, trial, name, self.classes, axis), layouts)
        warn_of_undecided(candidates, selectors)
        if tuple(selectors) == DEFAULT_TAPS:
            selectors = list(default_taps(candidates, neurons, self.map_classes or self.detections))
        chosen = choose(candidates, selectors, neurons)
        if self.classes is not None:
            chosen = [tap for tap in chosen if tap.kind != OUTPUT]
        chosen, self.moved = where_kept(chosen, candidates, usable_moves(moves, candidates, graph))
        if self.classes is not None:
            chosen.append(candidates[-1].tap("unit"))
        self.taps = Taps(chosen)

        fragment, self._fetched, self._reads = neurons_out(graph, self.taps, self.scores, self._bare)
        self._varying = [index for index, tap in enumerate(self.taps) if tap.rows is None]
        self._session = runtime.session(graph.with_fragment(fragment), folder)
        if risky := [tap.name for tap in self.taps if may_round(tap)]:
            bare = runtime.session(graph.with_outputs(()), folder)
            warn_of_rounding(runtime, bare, self._session, trial, self._outputs, risky)
        self._refusal = _CLOSED
        left_by_forks(self, OnnxNetwork._leave)
        self._handed_out: WeakSet[BufferedNetwork] = WeakSet()
        self.buffers = buffers
        self._buffered = None if buffers is None else self._bound(buffers)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The inputs that change with the frame, in the order of the graph."""
        return self._inputs

    def observe(self, batch: Any) -> Observation:
        """Run a batch, (n, *shape) of each input's dtype, and return the outputs with the activations at the taps.

        Raises TypeError for a batch of another dtype, ValueError for another shape, RuntimeError after `close` and in a
        fork of the process that opened the network.
        """
        parts = self._check(batch)
        if self._buffered is not None and len(parts[0]) == self._buffered.size:
            return self._buffered.observe(together(parts))
        if self._one_by_one(len(parts[0])):
            each = [self._observation(values) for values in self._run_each(self._fetched, parts)]
            frames, seen = [one.activations for one in each], each[0] if len(each) == 1 else _joined(each)
        else:
            seen = self._observation(self._run(self._fetched, parts))
            frames = [seen.activations]
            if self._varying and len(parts[0]) > 1:
                runs = self._run_each(self._fetched, parts)
                frames = [tuple(read(values) for read in self._reads) for values in runs]
        return self._with_rows(seen, frames) if self._varying else seen

    def _with_rows(self, seen: Observation, frames: Sequence[tuple[np.ndarray, ...]]) -> Observation:
        """The same with the rows of each frame, at taps where they vary. frames: the activations of each by itself."""
        parts = {index: [activations[index] for activations in frames] for index in self._varying}
        rows = {index: np.array([len(part) for part in own], np.int64) for index, own in parts.items()}
        activations = tuple(
            np.concatenate(parts[index]) if index in parts else values for index, values in enumerate(seen.activations)
        )
        return seen._replace(activations=activations, rows=rows)

    def _observation(self, values: list[Any]) -> Observation:
        activations = tuple(read(values) for read in self._reads)
        output = self._output(values)
        if self.scores_output is not None:
            scores = values[self._outputs.index(self.scores_output)]
            scores = scores[None] if self.scores_output in self._bare else scores
            return Observation(output, None, activations, np.moveaxis(scores, self.map_axis, 1))
        return Observation(output, None if self.classes is None else activations[-1], activations)

    def _output(self, values: list[Any]) -> Any:
        outputs = len(self._outputs)
        return values[0] if outputs == 1 else tuple(values[:outputs])

    def buffered(self, size: int) -> BufferedNetwork:
        """This network with arrays of its own for batches of one size, apart from those of `buffers`.

        It refuses batches once this network is closed. Raises ValueError where the graph leaves open the shape of an
        output that is neither tapped nor the class scores, and where the rows of a tap vary from frame to frame.
        """
        self._refuse_varying()
        read = {*self._fetched[len(self._outputs) :], *(tap.name for tap in self.taps), self.scores_output}
        fixed = not self._counted and shapes_are_fixed(self._check_open(), read)
        if not fixed and self._buffered is None:
            raise ValueError("expected outputs of one shape for a buffer, got a graph that leaves it open")
        return self._bound(size)

    def run(self, batch: Any) -> Any:
        """The outputs for a batch, (n, *shape) of each input's dtype: an array, or a tuple of several.

        ONNX Runtime computes the taps here too, but returns none: it runs every node of a session, whatever is fetched.
        """
        parts = self._check(batch)
        if not self._one_by_one(len(parts[0])):
            return self._output(self._run(self._outputs, parts))
        outputs = [self._output(values) for values in self._run_each(self._outputs, parts)]
        return outputs[0] if len(outputs) == 1 else outputs

    def unbatched(self, output: Any) -> Any:
        """The output for one frame without its batch axis, of which an output that has none keeps all axes.

        Which have one was seen when the network was opened. They are those whose first size followed the batch. Where
        the model fixes the batch to one, they are those that it declares so.
        """
        values = output if len(self._outputs) > 1 else (output,)
        taken = tuple(
            value if name in self._whole else without_batch(value)
            for name, value in zip(self._outputs, values, strict=True)
        )
        return taken if len(self._outputs) > 1 else taken[0]

    def close(self) -> None:
        """Release the session and its buffers."""
        for own in self._handed_out:
            own.close()
        self._session = self._buffered = None

    def _leave(self) -> Any:
        """In the child of a fork: every batch is refused. Returns the session, which is to be kept."""
        session, self._refusal = self._session, _FORKED
        self.close()
        return session

    def __repr__(self) -> str:
        if len(self._inputs) == 1:
            return f"OnnxNetwork(input {self.input_shape}, {self.dtype}): {len(self.taps)} taps"
        takes = ", ".join(f"{one.name} {one.shape} {one.dtype}" for one in self._inputs)
        return f"OnnxNetwork(inputs {takes}): {len(self.taps)} taps"

    def _refuse_varying(self) -> None:
        if self._varying:
            tap = self.taps[self._varying[0]].id
            raise ValueError(f"expected taps with as many rows for every frame for a buffer, got {tap}; tap others")

    def _bound(self, size: int) -> BufferedNetwork:
        self._refuse_varying()
        if size < 1 or self._fixed not in (None, size):
            raise ValueError(f"expected buffers for {self._fixed or '1 or more'} frames, got {size}")
        zeros = {}
        for one in self._inputs:
            shape = [side for side in one.shape if side is not None]
            if len(shape) < len(one.shape):
                of = f" of input {one.name!r}" if len(self._inputs) > 1 else ""
                raise ValueError(f"expected known input sizes for buffers, got {one.shape}{of}; say input_shape=")
            zeros[one.name] = np.zeros((size, *shape), one.dtype)
        buffers = Buffers(self._session, zeros, self._fetched, batch_axis=self.batch_axis)
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

    def _one_by_one(self, n: int) -> bool:
        """Whether each frame of n needs a run of its own."""
        return not self.batch_axis or (self._fixed == 1 and n > 1 and bool(self._whole))

    def _run_each(self, names: list[str], parts: Sequence[np.ndarray]) -> list[list[Any]]:
        """The values of a run for each frame."""
        frames = range(len(parts[0]))
        if self.batch_axis:
            return [self._run(names, [part[i : i + 1] for part in parts]) for i in frames]
        return [self._run(names, [part[i, ...] for part in parts]) for i in frames]

    def _run(self, names: list[str], parts: Sequence[np.ndarray]) -> list[Any]:
        """The values of one run, or of pieces of the batch size that the model fixes."""
        session, n = self._check_open(), len(parts[0]) if self.batch_axis else 1
        if self._fixed in (None, n):
            return session.run(names, dict(zip(self._names, parts, strict=True)))
        if self._whole:
            raise ValueError(
                f"expected a batch of {self._fixed}, which the model fixes, got {n}; "
                "an output without a batch axis cannot be put together from pieces"
            )
        pieces = []
        for start in range(0, n, self._fixed):
            rows = min(self._fixed, n - start)
            filled = [_padded(part[start : start + rows], self._fixed) for part in parts]
            values = session.run(names, dict(zip(self._names, filled, strict=True)))
            pieces.append([value[: len(value) // self._fixed * rows] for value in values])
        return [np.concatenate(values) for values in zip(*pieces, strict=True)]

    def _check(self, batch: Any) -> tuple[np.ndarray, ...]:
        """The arrays of a batch in the order of the inputs, once it is one that the open network takes."""
        self._check_open()
        dtype, shape = self._usual
        if type(batch) is np.ndarray and batch.dtype is dtype and batch.shape[1:] == shape and 0 not in batch.shape:
            return (batch,)
        return checked(batch, self._inputs)

    def _kind_of_scores(
        self, runtime: Runtime, graph: OnnxGraph, folder: Path | None, trial: TrialRun, scores: str
    ) -> str:
        """The kind of the class scores by the graph; where it does not show what makes them, by those of noise."""
        one = self.classes == 2 and set(self.score_shape) <= {1}
        if are_probabilities(graph.nodes, graph.kinds, scores, one=one):
            return PROBABILITIES
        if self.classes is None or one or not is_out_of_sight(graph.nodes, scores):
            return LOGITS
        (values,) = runtime.run(runtime.session(graph.with_outputs(()), folder), [scores], trial.noise())
        rows = values.reshape(-1, self.classes).astype(np.float64)
        return PROBABILITIES if rows.min() >= 0 and np.allclose(rows.sum(1), 1, atol=_SUM_OFF) else LOGITS

    def _check_open(self) -> Any:
        if self._session is None:
            raise RuntimeError(self._refusal)
        return self._session


def _pick(outputs: Sequence[str], key: int | str | None) -> str:
    named: dict[Any, str] = {**dict(enumerate(outputs)), **dict(zip(outputs, outputs, strict=True)), None: outputs[0]}
    if key not in named:
        raise ValueError(
            f"expected scores_output to be an index or one of the outputs {', '.join(outputs)}, got {key!r}"
        )
    return named[key]


def _map_axis(graph: OnnxGraph, trial: TrialRun, scores: str) -> int:
    """The axis of the classes in a map of scores, with the batch."""
    axis = graph.channel_axis(scores)
    if axis is not None and axis >= 0 and scores in trial.bare:
        axis += 1
    return axis or 1


def _padded(piece: np.ndarray, size: int) -> np.ndarray:
    if len(piece) == size:
        return piece
    return np.concatenate([piece, np.zeros((size - len(piece), *piece.shape[1:]), piece.dtype)])


def _joined(seen: Sequence[Observation]) -> Observation:
    """What was observed of frames one by one, as of a batch; the outputs come as a list."""
    logits = None if seen[0].logits is None else np.concatenate([one.logits for one in seen if one.logits is not None])
    maps = None
    if seen[0].score_map is not None:
        maps = np.concatenate([one.score_map for one in seen if one.score_map is not None])
    activations = tuple(np.concatenate(values) for values in zip(*(one.activations for one in seen), strict=True))
    return Observation([one.output for one in seen], logits, activations, maps)
