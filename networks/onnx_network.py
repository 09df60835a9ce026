"""ONNX models as networks, run by ONNX Runtime: taps are outputs added to the graph."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .network import Observation
from .onnx_graph import OnnxGraph
from .preprocessing import Preprocessing
from .tap import DEFAULT_TAPS, OUTPUT, Candidate, Tap, Taps, candidate, choose, reduce_to_neurons, stands_for

if TYPE_CHECKING:
    from typing_extensions import Self

_TRIAL = 2  # samples in the trial run of a model that leaves the batch open: enough to tell its axis from others
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    **{f"tensor({kind})": kind for kind in ("uint8", "int8", "uint16", "int16", "int32", "int64")},
}


class OnnxNetwork:
    """An ONNX model under ONNX Runtime, observed through outputs added to its graph.

    model: a path or the bytes of a file. taps, neurons: as `choose` says; names are those of the tensors in the file.
    Channels of NCHW maps are pooled in the graph, so that a few numbers leave it in place of the map; the outputs of
    the model stay the same bit for bit. classes: how many, ``auto`` to take it from an output (batch, 2 or more), or
    None for a network without classes. logits: index or name of the output with the class scores. threads: inside one
    operator; they do not spin. input_shape: of one sample, where the model leaves it open.

    A model with a fixed batch size is run in pieces of that size. Sessions are built here and nowhere else.
    Raises FileNotFoundError without a file; ImportError without onnxruntime; ValueError for a file that is no model or
    that ONNX Runtime cannot run, more than one input, an open input shape, and taps or providers that do not exist.
    """

    engine = "onnx"

    def __init__(
        self,
        model: str | os.PathLike[str] | bytes,
        *,
        taps: str | Sequence[str] = DEFAULT_TAPS,
        neurons: str | Sequence[str] = "channel",
        classes: int | str | None = "auto",
        logits: int | str = 0,
        providers: Sequence[str | tuple[str, dict[str, Any]]] = ("CPUExecutionProvider",),
        threads: int = 1,
        preprocessing: Preprocessing | None = None,
        input_shape: Sequence[int] | None = None,
    ) -> None:
        runtime = _Runtime(providers, threads)
        data, folder = (model, None) if isinstance(model, bytes) else _read(Path(model))
        graph = OnnxGraph(data)
        self.fingerprint = _fingerprint(data, graph, folder)
        self.preprocessing = preprocessing
        self._outputs = list(graph.outputs)

        selectors = [taps] if isinstance(taps, str) else list(taps)
        wanted = [name for name, kind in graph.kinds.items() if any(stands_for(s, name, kind) for s in selectors)]
        trial = runtime.session(graph.with_outputs(wanted), folder, optimised=False)
        self._input, self.dtype, self._fixed, shape = _input(trial, input_shape)
        self.input_shape: tuple[int | None, ...] = shape
        zeros = np.zeros((self._fixed or _TRIAL, *shape), self.dtype)
        names = list(dict.fromkeys([*graph.outputs, *wanted]))
        seen = dict(zip(names, runtime.run(trial, names, {self._input: zeros}), strict=True))

        scores = _pick(graph.outputs, logits)
        self.classes = _count_classes(seen[scores], len(zeros), classes)
        self._splits = all(np.shape(seen[name])[:1] == zeros.shape[:1] for name in graph.outputs)
        candidates = [
            _candidate(graph, name, seen.get(name), len(zeros))
            for name in graph.kinds
            if name != scores or self.classes is None
        ]
        if self.classes is not None:
            candidates.append(Candidate(scores, OUTPUT, (self.classes,), "NC", str(seen[scores].dtype)))
        chosen = [tap for tap in choose(candidates, selectors, neurons) if tap.kind != OUTPUT]
        if self.classes is not None:
            chosen.append(candidates[-1].tap("unit"))
        self.taps = Taps(chosen)

        nodes, sources, reductions = _pooling(graph, self.taps)
        self._fetched = list(dict.fromkeys([*graph.outputs, *sources]))
        self._reads = [(self._fetched.index(name), tap) for name, tap in zip(sources, reductions, strict=True)]
        self._session = runtime.session(graph.with_outputs(self._fetched, nodes), folder)
        self._only_outputs = runtime.only_what_is_asked()

    def observe(self, batch: np.ndarray) -> Observation:
        """Run a batch, (n, *input_shape) of the model's dtype, and return the outputs with the activations at the taps.

        Raises TypeError for a batch of another dtype, ValueError for another shape, RuntimeError after `close`.
        """
        values = self._run(self._fetched, batch, None)
        n = len(batch)
        activations = tuple(
            values[place].reshape(n, -1) if tap is None else reduce_to_neurons(tap, values[place])
            for place, tap in self._reads
        )
        outputs = len(self._outputs)
        output = values[0] if outputs == 1 else tuple(values[:outputs])
        return Observation(output, None if self.classes is None else activations[-1], activations)

    def run(self, batch: np.ndarray) -> Any:
        """The outputs for a batch, (n, *input_shape) of the model's dtype: an array, or a tuple of several."""
        values = self._run(self._outputs, batch, self._only_outputs)
        return values[0] if len(values) == 1 else tuple(values)

    def close(self) -> None:
        """Release the session."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"OnnxNetwork(input {self.input_shape}, {self.dtype}): {len(self.taps)} taps"

    def _run(self, names: list[str], batch: np.ndarray, options: Any) -> list[Any]:
        session = self._session
        if session is None:
            raise RuntimeError("expected an open network, got one after close(); make a new OnnxNetwork")
        if not isinstance(batch, np.ndarray):
            raise TypeError(f"expected a numpy array, got {type(batch).__name__}")
        if batch.dtype != self.dtype:
            raise TypeError(
                f"expected a batch of dtype {self.dtype}, got {batch.dtype}; convert it and check its scale"
            )
        if batch.shape[1:] != self.input_shape or len(batch) == 0:
            raise ValueError(
                f"expected a batch of shape ({', '.join(map(str, ('n', *self.input_shape)))}), got {batch.shape}"
            )
        if self._fixed in (None, len(batch)):
            return session.run(names, {self._input: batch}, options)
        if not self._splits:
            raise ValueError(
                f"expected a batch of {self._fixed}, which the model fixes, got {len(batch)}; "
                "an output without a batch axis cannot be put together from pieces"
            )
        pieces = []
        for start in range(0, len(batch), self._fixed):
            piece = batch[start : start + self._fixed]
            padded = np.concatenate([piece, np.zeros((self._fixed - len(piece), *piece.shape[1:]), piece.dtype)])
            pieces.append([value[: len(piece)] for value in session.run(names, {self._input: padded}, options)])
        return [np.concatenate(values) for values in zip(*pieces, strict=True)]


class _Runtime:
    """onnxruntime with the settings that every session of a network shares."""

    def __init__(self, providers: Sequence[str | tuple[str, dict[str, Any]]], threads: int) -> None:
        try:
            import google.protobuf  # noqa: F401 - what reads the models
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state
        except ImportError:
            raise ImportError("ONNX models need onnxruntime and protobuf: pip install 'outrider[onnx]'") from None
        self._ort = onnxruntime
        self._errors = tuple(e for e in vars(state).values() if isinstance(e, type) and issubclass(e, Exception))
        self._providers = list(providers)
        self._threads = threads
        there = onnxruntime.get_available_providers()
        missing = [name for name in self._provider_names() if name not in there]
        if missing or not self._providers:
            raise ValueError(f"expected providers among {', '.join(there)}, got {', '.join(missing) or 'none'}")
        if threads < 1:
            raise ValueError(f"expected 1 thread or more, got {threads}")

    def session(self, data: bytes, folder: Path | None, *, optimised: bool = True) -> Any:
        """A session on the bytes of a model whose weights may lie in files in a folder."""
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors are raised; warnings about a user's model are not ours to print
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if folder is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        if not optimised:
            options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            session = self._ort.InferenceSession(data, options, providers=self._providers)
        except self._errors as error:
            raise ValueError(f"expected a model that ONNX Runtime can load, got: {error}") from error
        started = session.get_providers()
        failed = [name for name in self._provider_names() if name not in started]
        if failed:
            raise ValueError(f"expected provider {failed[0]} to start, got {', '.join(started)}; check its libraries")
        return session

    def run(self, session: Any, names: list[str], feeds: dict[str, np.ndarray]) -> list[Any]:
        """The outputs named. Raises ValueError when the model cannot be run on what it is fed."""
        try:
            return session.run(names, feeds)
        except self._errors as error:
            shapes = ", ".join(str(value.shape) for value in feeds.values())
            raise ValueError(f"expected a model that takes an input of shape {shapes}, got: {error}") from error

    def only_what_is_asked(self) -> Any:
        """Options for a run that skips the nodes behind outputs that are not fetched."""
        options = self._ort.RunOptions()
        options.only_execute_path_to_fetches = True
        return options

    def _provider_names(self) -> list[str]:
        return [provider if isinstance(provider, str) else provider[0] for provider in self._providers]


def _read(path: Path) -> tuple[bytes, Path]:
    if not path.is_file():
        raise FileNotFoundError(f"expected an ONNX model, found no file at {path}")
    return path.read_bytes(), path.parent.absolute()


def _fingerprint(data: bytes, graph: OnnxGraph, folder: Path | None) -> str:
    """SHA-256 of the file, and of the files with weights beside it where it has some."""
    digest = hashlib.sha256(data)
    for location in graph.external:
        if folder is None:
            raise ValueError(
                f"expected a path, got bytes of a model that keeps weights in a file beside it: {location}"
            )
        try:
            with (folder / location).open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except FileNotFoundError:
            raise FileNotFoundError(f"the model keeps weights in {folder / location}, where there is no file") from None
    return digest.hexdigest()


def _input(session: Any, asked: Sequence[int] | None) -> tuple[str, str, int | None, tuple[int, ...]]:
    """Name, dtype, fixed batch size or None, and shape of one sample, of a model's input."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise ValueError(f"expected a model with one input, got {', '.join(i.name for i in inputs) or 'none'}")
    name, shape = inputs[0].name, tuple(inputs[0].shape)
    if inputs[0].type not in _DTYPES:
        raise ValueError(f"expected input {name!r} to be a tensor of numbers, got {inputs[0].type}")
    if len(shape) < 2:
        raise ValueError(f"expected input {name!r} of shape (batch, ...), got {shape}")
    declared = tuple(size if isinstance(size, int) else None for size in shape)
    sample = tuple(size for size in declared[1:] if size is not None) if asked is None else tuple(asked)
    if asked is None and len(sample) + 1 < len(shape):
        raise ValueError(f"expected a shape for input {name!r}, got {shape}, which leaves sizes open; say input_shape=")
    if len(sample) + 1 != len(shape) or any(d not in (None, s) for d, s in zip(declared[1:], sample, strict=True)):
        raise ValueError(f"expected input_shape to fit input {name!r} of shape {shape}, got {sample}")
    return name, _DTYPES[inputs[0].type], declared[0], sample


def _pick(outputs: Sequence[str], key: int | str) -> str:
    if isinstance(key, int) and 0 <= key < len(outputs):
        return outputs[key]
    if key not in outputs:
        raise ValueError(f"expected logits to be an index or one of the outputs {', '.join(outputs)}, got {key!r}")
    return str(key)


def _count_classes(scores: Any, batch: int, classes: int | str | None) -> int | None:
    if classes is None:
        return None
    shape = np.shape(scores)
    is_scores = len(shape) == 2 and shape[0] == batch and np.issubdtype(scores.dtype, np.floating)
    if classes == "auto":
        return shape[1] if is_scores and shape[1] >= 2 else None
    if not isinstance(classes, int) or classes < 2:
        raise ValueError(f"expected classes 'auto', None or a number from 2, got {classes!r}")
    if not is_scores or shape[1] != classes:
        raise ValueError(f"expected class scores of shape {(batch, classes)} for a batch of {batch}, got {shape}")
    return classes


def _candidate(graph: OnnxGraph, name: str, value: Any, batch: int) -> Candidate:
    """What may be tapped of a tensor; without its value from the trial run, its name and kind only."""
    kind = graph.kinds[name]
    if value is None:
        return Candidate(name, kind)
    if not isinstance(value, np.ndarray):
        return Candidate(name, kind, obstacle=f"expected a tensor, got {type(value).__name__}")
    channels_last = graph.is_channels_last(name)
    return candidate(name, kind, value.shape, str(value.dtype), batch=batch, channels_last=channels_last)


def _pooling(
    graph: OnnxGraph, taps: Sequence[Tap]
) -> tuple[list[tuple[str, str, str, dict[str, Sequence[int]]]], list[str], list[Tap | None]]:
    """Nodes to add, the tensor to fetch for each tap, and the tap where its reduction is left to be done outside."""
    prefix = graph.unused_name("outrider")
    nodes, sources, reductions = [], [], []
    for index, tap in enumerate(taps):
        pool = _pool(tap)
        sources.append(tap.name if pool is None else f"{prefix}{index}")
        if pool is not None:
            nodes.append((pool[0], tap.name, sources[-1], pool[1]))
        ready = tap.dtype == "float32" and (pool is not None or tap.neurons == "unit")
        reductions.append(None if ready else tap)
    return nodes, sources, reductions


def _pool(tap: Tap) -> tuple[str, dict[str, Sequence[int]]] | None:
    """The operator and attributes that turn a map into neurons, or None where there is no such operator."""
    if tap.layout != "NCHW" or tap.dtype != "float32" or tap.neurons == "unit":
        return None
    if tap.neurons == "channel":
        return "GlobalAveragePool", {}
    if tap.neurons == "channel-max":
        return "GlobalMaxPool", {}
    _, height, width = tap.shape
    if height % tap.grid or width % tap.grid:
        return None
    window = (height // tap.grid, width // tap.grid)
    return "AveragePool", {"kernel_shape": window, "strides": window}
