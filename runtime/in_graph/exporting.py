"""A model with its monitor inside: one file for any program that runs ONNX. EXPORT.md tells what is in it."""

from __future__ import annotations

import filecmp
import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ...monitor import (
    Calibration,
    ExportError,
    MismatchError,
    Monitor,
    NotReadyError,
    OutriderWarning,
    Verdicts,
    describe_logic,
    read_facts,
)
from ...monitor.files import write_whole
from ...monitor.profile import NetworkFacts
from ...networks.onnx.files import check_external, fingerprint, read_model
from ...networks.onnx.proto import parse_model
from ...networks.onnx.reading.graph import OnnxGraph
from ...networks.onnx.session import Runtime
from ..inputs.networks import refuse_another_model, reopen_network
from . import builder

if TYPE_CHECKING:
    from ...networks import OnnxNetwork

FORMAT = 1
KEY = "outrider"
"""The key of the facts in the metadata of a guarded model."""

_TOLERANCES = {"layers": 1e-3, "score": 1e-2, "confidence": 1e-2}  # what is more is no rounding
_OPEN = 64  # taken for a size of the input that the model leaves open, in the check
_LARGEST_FILE = 2**31 - 1
_LARGE_TABLES = 32 << 20
_OLDEST_IR = 4  # the first in which a default may be overridden
_IR_OF_OPSET = {10: 5, 11: 6, 12: 7, 15: 8, 19: 9, 21: 10, 23: 11}


def export(
    model: str | os.PathLike[str], profile: str | os.PathLike[str], output: str | os.PathLike[str]
) -> dict[str, Any]:
    """Write the model with the monitor of a calibrated profile inside; the facts that its metadata hold.

    The new file has the model's own outputs, bit for bit, and beside them `outrider_score` (batch,),
    `outrider_confidence` (batch,), `outrider_alarm` (batch,) bool and `outrider_layers` (batch, columns), from standard
    operators alone. The input `outrider_threshold` has the calibrated threshold as its default. Before the file is
    kept, it is run on random frames beside the untouched model and the monitor in Python. Weights in files beside the
    model are copied where the output goes to another folder.
    Raises ExportError for what cannot be exported or came out differently, MismatchError for the profile of another
    network, ProfileError for a damaged one, NotReadyError for one without a threshold, FileNotFoundError.
    """
    source, profile, target = Path(model), Path(profile), Path(output)
    _check_paths(source, target)
    learned = NetworkFacts.from_dict(read_facts(profile)["network"])
    untouched = read_model(source)
    graph = OnnxGraph(untouched)
    check_external(graph.external_tensors, source.parent)
    _refuse_unfit(source, graph)
    _refuse_another(source, profile, learned, fingerprint(untouched, graph.external_tensors, source.parent))
    data = _modern(untouched, graph.opset)
    with closing(cast("OnnxNetwork", reopen_network(str(source), profile, learned))) as network:
        monitor = Monitor.load(profile, network)
        if monitor.calibration is None:
            raise NotReadyError(f"{profile}: expected a calibrated profile, got one without a threshold; calibrate it")
        try:
            builder.refuse_what_cannot_be_exported(monitor.learned, monitor.logic)
        except ValueError as error:
            raise ExportError(f"{profile}: {error}") from None
        facts = _facts(monitor, monitor.calibration, profile)
        known = _known(data, network)
        guarded = _guarded(source, data, graph, monitor, monitor.calibration, known, facts)
        frames = _frames(known, network.input_shape)
        expected = [monitor.check(batch)[1] for batch in frames]
    _check(source, untouched, guarded, frames, expected)
    with ExitStack() as undo:
        _copy_weights(graph.external, source.parent, target.parent, undo)
        write_whole(target, guarded, ExportError)
        undo.pop_all()
    return facts


def guard_facts(model: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The facts in the metadata of a guarded model; None for a model without a monitor.

    Raises FileNotFoundError for none, ValueError for a file that is no model.
    """
    path = Path(model)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an ONNX model, got no such file")
    text = next((entry.value for entry in parse_model(path.read_bytes()).metadata_props if entry.key == KEY), None)
    if text is None:
        return None
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    got = facts.get("format") if isinstance(facts, dict) else text[:20]
    if got != FORMAT:
        raise ValueError(
            f"{path}: expected a guarded model of format {FORMAT}, got {got!r}; use the Outrider that wrote it"
        )
    return facts


# What is refused before anything is built.


def _check_paths(source: Path, target: Path) -> None:
    if not source.is_file():
        raise FileNotFoundError(f"{source}: expected an ONNX model, got no such file")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: expected a folder to write to, got no such folder")
    if target.exists() and target.samefile(source):
        raise ExportError(f"{target}: expected another file to write to, got the model itself; name a new one")


def _refuse_unfit(source: Path, graph: OnnxGraph) -> None:
    if KEY in graph.metadata or set(builder.OUTPUTS) <= set(graph.outputs):
        raise ExportError(
            f"{source}: expected a bare model, got one that carries a monitor; export the one it came from"
        )
    if graph.opset < builder.OLDEST_OPSET:
        raise ExportError(
            f"{source}: expected opset {builder.OLDEST_OPSET} or newer, got {graph.opset};"
            " convert it with onnx.version_converter and profile the result"
        )
    taken = [name for name in builder.NAMES if graph.unused_name(name) != name]
    if taken:
        raise ExportError(
            f"{source}: expected a model without names that begin with {', '.join(taken)}, got one; rename its tensors"
        )


def _refuse_another(source: Path, profile: Path, learned: NetworkFacts, fingerprint: str) -> None:
    if learned.engine != "onnx":
        raise MismatchError(
            f"{profile}: expected the profile of an ONNX model, got that of a {learned.engine} network;"
            f" profile {source} itself"
        )
    refuse_another_model(profile, learned, fingerprint, source)


# The guarded model.


def _modern(data: bytes, opset: int) -> bytes:
    """The model in an IR version that knows defaults; the bytes themselves where it has one.

    Before version 4 every initializer also was an input: left there, each weight would become one that a caller may
    override, and no longer a constant.
    """
    message = parse_model(data)
    if message.ir_version >= _OLDEST_IR:
        return data
    weights = {tensor.name for tensor in message.graph.initializer}
    kept = [value for value in message.graph.input if value.name not in weights]
    del message.graph.input[:]
    message.graph.input.extend(kept)
    message.ir_version = max([_OLDEST_IR, *(version for first, version in _IR_OF_OPSET.items() if opset >= first)])
    return bytes(message.SerializeToString())


def _guarded(
    source: Path,
    data: bytes,
    graph: OnnxGraph,
    monitor: Monitor,
    calibration: Calibration,
    known: builder.Model,
    facts: Mapping[str, Any],
) -> bytes:
    from google.protobuf.message import EncodeError

    profile = monitor.learned
    fragment = graph.fragment()
    builder.add_monitor(fragment, profile, monitor.logic, calibration, known)
    fragment.metadata(KEY, json.dumps(facts, sort_keys=True, allow_nan=False))
    try:
        added = fragment.to_bytes()
    except (EncodeError, ValueError, MemoryError):
        added = None
    if added is None or len(data) + len(added) > _LARGEST_FILE:
        size = "more" if added is None else f"{len(data) + len(added):,} bytes"
        raise ExportError(
            f"{source}: expected model and tables of at most 2 GiB together, got {size}; keep the weights in a file"
            " beside the model, or profile channels, a bitmap or fewer taps"
        )
    if len(added) > _LARGE_TABLES:
        largest = max(zip(profile.signatures, profile.names, strict=True), key=lambda pair: pair[0].nbytes)[1]
        warnings.warn(
            f"the monitor adds {len(added) / 1e6:,.0f} MB to the model's {len(data) / 1e6:,.0f} MB, most of it for"
            f" {largest!r}; channels in place of units, or a bitmap, take less",
            OutriderWarning,
            stacklevel=3,
        )
    return data + added


def _known(data: bytes, network: OnnxNetwork) -> builder.Model:
    graph = parse_model(data).graph
    weights = {tensor.name for tensor in graph.initializer}
    value = next(value for value in graph.input if value.name not in weights)
    sizes = value.type.tensor_type.shape.dim
    batch = (sizes[0].dim_value or sizes[0].dim_param) if sizes else ""
    rank = 1 + len(network.input_shape)
    scores = next((tap for tap in network.taps if tap.kind == "output"), None)
    return builder.Model(value.name, network.dtype, rank, batch or "outrider_batch", scores, network.scores_output)


def _facts(monitor: Monitor, calibration: Calibration, profile: Path) -> dict[str, Any]:
    learned = monitor.learned
    network = learned.facts
    return {
        "format": FORMAT,
        "fingerprint": network.fingerprint,
        "profile": hashlib.sha256(profile.read_bytes()).hexdigest(),
        "classes": network.classes,
        "input_shape": list(network.input_shape),
        "preprocessing": network.preprocessing,
        "taps": [tap.id for tap in network.taps],
        "columns": list(learned.names),
        "limits": calibration.limits.tolist(),
        "logic": describe_logic(monitor.logic),
        "thresholds": builder.default_thresholds(calibration).tolist(),
        "false_alarm_rate": calibration.false_alarm_rate,
        "n": calibration.n,
        "realised": calibration.realised,
        "interval": list(calibration.interval),
        "uncovered_classes": np.flatnonzero(~learned.trusted.covered).tolist(),
    }


# The check before the file is kept.


def _frames(known: builder.Model, sample: Sequence[int | None]) -> list[np.ndarray]:
    """Random batches as the model takes them; for floats also one with NaN."""
    rng = np.random.default_rng(0)
    dtype = np.dtype(known.dtype)
    shape = (known.batch if isinstance(known.batch, int) else 1, *(size or _OPEN for size in sample))
    if dtype.kind != "f":
        largest = min(np.iinfo(dtype).max, 255)
        return [rng.integers(0, largest, shape, endpoint=True).astype(dtype) for _ in range(2)]
    frames = [rng.random(shape).astype(dtype), rng.standard_normal(shape).astype(dtype)]
    broken = frames[0].copy()
    broken.reshape(len(broken), -1)[-1, 0] = np.nan
    return [*frames, broken]


def _check(
    source: Path, untouched: bytes, guarded: bytes, frames: Sequence[np.ndarray], expected: Sequence[Verdicts]
) -> None:
    """Raise ExportError unless the guarded model's outputs are those of the untouched one and of the monitor."""
    runtime = Runtime(("CPUExecutionProvider",), threads=1)
    folder = source.parent.absolute()
    bare, names = _outputs(runtime, untouched, folder, frames)
    found, every = _outputs(runtime, guarded, folder, frames)
    own = {name: every.index(name) for name in builder.OUTPUTS}
    for batch, before, after, verdicts in zip(frames, bare, found, expected, strict=True):
        if all(np.isfinite(values).all() for values in (batch, *filter(_is_float, before))):
            differing = [name for name, a, b in zip(names, before, after, strict=False) if not _same(a, b)]
            if differing:
                raise ExportError(
                    f"{source}: expected the outputs of the bare model bit for bit, got others for"
                    f" {', '.join(differing)}; tap what stands after an activation function, where the runtime's"
                    " fusions end"
                )
        got = {name.removeprefix("outrider_"): np.asarray(after[place]) for name, place in own.items()}
        for difference in _differences(got, verdicts):
            raise ExportError(f"{source}: expected what the monitor says outside the graph, got {difference}")


def _outputs(
    runtime: Runtime, data: bytes, folder: Path, frames: Sequence[np.ndarray]
) -> tuple[list[list[Any]], list[str]]:
    session = runtime.session(data, folder)
    names = [output.name for output in session.get_outputs()]
    feed = session.get_inputs()[0].name
    return [runtime.run(session, names, {feed: batch}) for batch in frames], names


def _is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b)


def _differences(got: Mapping[str, np.ndarray], verdicts: Verdicts) -> Iterator[str]:
    """A sentence for each output that is off by more than the tolerance; for alarms, where the score is not close.

    In the graph a frame that is lost is so in every column.
    """
    lost = np.isinf(verdicts.score)[:, None]
    for name, expected in (
        ("layers", np.where(lost, np.float32(np.inf), verdicts.deviation)),
        ("score", verdicts.score),
        ("confidence", verdicts.confidence),
    ):
        with np.errstate(invalid="ignore"):
            off = np.abs(got[name] - expected) > _TOLERANCES[name] * np.maximum(np.abs(expected), 1)
        off |= np.isinf(got[name]) != np.isinf(expected)
        if off.any():
            place = tuple(int(i) for i in np.argwhere(off)[0])
            at = f" of {verdicts.columns.names[place[1]]}" if name == "layers" else ""
            yield f"{name} {got[name][place]:g}{at} where {expected[place]:g} is right"
    close = np.abs(verdicts.score - verdicts.threshold) <= _TOLERANCES["score"] * np.maximum(verdicts.threshold, 1)
    off = (got["alarm"] != verdicts.alarm) & ~close
    if off.any():
        row = int(np.flatnonzero(off)[0])
        yield f"alarm {bool(got['alarm'][row])} where the score is {verdicts.score[row]:g}"


# Weights in files beside the model.


def _copy_weights(locations: Sequence[str], source: Path, target: Path, undo: ExitStack) -> None:
    """Copy the files that the model keeps weights in to where the guarded model will look for them."""
    for location in locations:
        original, copy = source / location, target / location
        if Path(location).is_absolute() or ".." in Path(location).parts:
            raise ExportError(f"{source}: expected weights in files beside the model, got {location!r}")
        if copy.exists():
            if copy.samefile(original) or filecmp.cmp(original, copy, shallow=False):
                continue
            raise ExportError(
                f"{copy}: expected the model's weights or no such file, got another; write to another folder"
            )
        temporary = None
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(prefix=f".{copy.name}.", dir=copy.parent)
            os.close(descriptor)
            temporary = Path(name)
            shutil.copyfile(original, temporary)
            temporary.chmod(0o644)
            temporary.replace(copy)
        except OSError as error:
            if temporary:
                temporary.unlink(missing_ok=True)
            raise ExportError(f"{copy}: expected to copy the model's weights here, got {error.strerror}") from error
        undo.callback(copy.unlink, missing_ok=True)
