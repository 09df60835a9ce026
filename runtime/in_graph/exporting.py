"""Export a model with its monitor inside, for any program that runs ONNX: see docs/reference/guarded-model.md."""

from __future__ import annotations

import filecmp
import json
import os
import secrets
import shutil
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
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
    describe_logic,
)
from ...monitor.files import read_network, write_whole
from ...monitor.places import PlaceLogic
from ...monitor.profile import Profile
from ...networks.onnx.files import check_external, fingerprint, read_model
from ...networks.onnx.proto import Fragment, parse_model
from ...networks.onnx.reading.graph import OnnxGraph
from ...networks.recurrent.network import Recurrent
from ..inputs.networks import onnx_file, refuse_another_model, reopen_network
from . import builder, maps
from .agreement import refuse_difference, trial_frames
from .guarded_model import BLANK, DIGEST, FORMAT, KEY, MAP, OUTPUTS, THRESHOLD, carries_monitor, sealed
from .places import MapOfScores

if TYPE_CHECKING:
    from ...networks import OnnxNetwork

LARGEST_FILE = 2**31 - 1
_LARGE_TABLES = 32 << 20
_OLDEST_IR = 4  # the first in which a default may be overridden
_IR_OF_OPSET = {10: 5, 11: 6, 12: 7, 15: 8, 19: 9, 21: 10, 23: 11}


def export(
    model: str | os.PathLike[str],
    profile: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str] | None = None,
    detections: Any = None,
) -> dict[str, Any]:
    """Write the model with the monitor of a calibrated profile inside; return the facts in its metadata.

    The new file has the model's own outputs, bit for bit. It adds `outrider_score` (batch,), `outrider_confidence`
    (batch,), `outrider_alarm` (batch,) bool and `outrider_deviation` (batch, columns), made of standard operators. Its
    input `outrider_threshold` has the calibrated threshold as default. Before the file is kept, it is run on random
    frames beside the bare model and the monitor in Python. A recurrent model keeps its states as inputs and outputs:
    the program that runs it carries them from frame to frame. Where the output goes to another folder, weights in files
    beside the model are copied. A monitor of places adds `outrider_map` (batch, height, width). key: as for
    `Monitor.load`; the guarded model is a new file, to be signed itself.
    detections: the decoder of a detector, where it is a callable; verdicts on boxes stay outside of the graph.
    Raises ExportError for what cannot be exported or came out differently, MismatchError for the profile of another
    network, ProfileError for a damaged one, NotReadyError for one without a threshold, FileNotFoundError.
    """
    source, profile, target = onnx_file(model), Path(profile), Path(output)
    check_target(source, target)
    learned = read_network(profile, key=key)
    untouched = read_model(source)
    graph = OnnxGraph(untouched)
    check_external(graph.external_tensors, source.parent)
    refuse_unfit(source, graph, builder.OLDEST_OPSET)
    if learned.engine != "onnx":
        raise MismatchError(
            f"{profile}: expected the profile of an ONNX model, got that of a {learned.engine} network;"
            f" profile {source} itself"
        )
    refuse_another_model(profile, learned, fingerprint(untouched, graph.external_tensors, source.parent), source)
    data = modern(untouched, graph.opset)
    with closing(reopen_network(str(source), profile, learned, detections=detections)) as opened:
        monitor, network = _bare(Monitor.load(profile, opened, key=key))
        if not network.batch_axis:
            raise ExportError(
                f"{source}: expected a model whose inputs have a batch axis, got one that takes a single frame; export"
                " the model with a batch axis, or keep the monitor outside"
            )
        if monitor.calibration is None:
            raise NotReadyError(f"{profile}: expected a calibrated profile, got one without a threshold; calibrate it")
        try:
            builder.refuse_what_cannot_be_exported(monitor.learned, monitor.logic, graph.opset)
        except ValueError as error:
            raise ExportError(f"{profile}: {error}") from None
        facts, known = _facts(monitor, monitor.calibration), _known(data, network)
        fragment = graph.fragment()
        builder.add_monitor(fragment, monitor.learned, monitor.logic, monitor.calibration, known)
        fragment.metadata(KEY, json.dumps(facts, sort_keys=True, allow_nan=False))
        fragment.metadata(DIGEST, BLANK)
        guarded = sealed(_joined(source, data, fragment, monitor.learned), graph.external_tensors, source.parent)
        frames = trial_frames(known, network.inputs)
        expected = [monitor.check(batch)[1] for batch in frames]
        level = maps.level_of_areas(monitor.logic, monitor.calibration.scales)
    refuse_difference(source, untouched, guarded, frames, expected, level)
    with ExitStack() as undo:
        copy_weights(graph.external, source.parent, target.parent, undo)
        write_whole(target, guarded, ExportError)
        undo.pop_all()
    return facts


# What is refused before anything is built.


def check_target(source: Path, target: Path) -> None:
    """Raise FileNotFoundError or ExportError unless the target can be written and is not the model itself."""
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{target}: expected a folder to write to, got no such folder")
    if target.exists() and target.samefile(source):
        raise ExportError(f"{target}: expected another file to write to, got the model itself; name a new one")


def refuse_unfit(source: Path, graph: OnnxGraph, oldest_opset: int) -> None:
    """Raise ExportError for a model that is guarded, of an older opset, or uses the names of a monitor."""
    if carries_monitor(graph.metadata, graph.outputs):
        raise ExportError(
            f"{source}: expected a bare model, got one that carries a monitor; export the one it came from"
        )
    if graph.opset < oldest_opset:
        raise ExportError(
            f"{source}: expected opset {oldest_opset} or newer, got {graph.opset};"
            " convert it with onnx.version_converter and profile the result"
        )
    taken = [name for name in (*OUTPUTS, MAP, THRESHOLD) if graph.unused_name(name) != name]
    if taken:
        raise ExportError(
            f"{source}: expected a model without names that begin with {', '.join(taken)}, got one; rename its tensors"
        )


# The guarded model.


def modern(data: bytes, opset: int) -> bytes:
    """The model in an IR version that knows defaults; the bytes themselves where it has one.

    Before version 4 every weight is an input too. Left there, it would become an input that a caller may override, and
    no constant any more.
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


def _joined(source: Path, data: bytes, fragment: Fragment, profile: Profile) -> bytes:
    """The bytes of the model with the fragment behind it. Raises ExportError where they are too many."""
    from google.protobuf.message import EncodeError

    try:
        added = fragment.to_bytes()
    except (EncodeError, ValueError, MemoryError):
        added = None
    if added is None or len(data) + len(added) > LARGEST_FILE:
        size = "more" if added is None else f"{len(data) + len(added):,} bytes"
        raise ExportError(
            f"{source}: expected model and tables of at most 2 GiB together, got {size}; keep the weights in a file"
            " beside the model, or profile channels, a bitmap or fewer taps"
        )
    if len(added) > _LARGE_TABLES:
        largest = max(zip(profile.signatures, profile.names, strict=True), key=lambda pair: pair[0].nbytes)[1]
        warnings.warn(
            f"the monitor adds {len(added) / 1e6:,.0f} MB to the model's {len(data) / 1e6:,.0f} MB, most of it for"
            f" {largest!r}; channels instead of units, or a bitmap, take less",
            OutriderWarning,
            stacklevel=3,
        )
    return data + added


def _bare(monitor: Monitor) -> tuple[Monitor, OnnxNetwork]:
    """The monitor on the network as the graph has it, where states are inputs like all others, and this network."""
    network = monitor.network
    if isinstance(network, Recurrent):
        file = monitor.profile_sha256, monitor.profile_digest
        monitor = Monitor.of(network.network, monitor.learned, monitor.logic, monitor.calibration)
        monitor.profile_sha256, monitor.profile_digest = file
    return monitor, cast("OnnxNetwork", monitor.network)


def _known(data: bytes, network: OnnxNetwork) -> builder.Model:
    graph = parse_model(data).graph
    weights = {tensor.name for tensor in graph.initializer}
    values = [value for value in graph.input if value.name not in weights]
    pairs = zip(values, network.inputs, strict=True)
    fed = tuple(builder.Fed(value.name, one.dtype, 1 + len(one.shape)) for value, one in pairs)
    sizes = values[0].type.tensor_type.shape.dim
    batch = (sizes[0].dim_value or sizes[0].dim_param) if sizes else ""
    scores = next((tap for tap in network.taps if tap.kind == "output" and tap.layout == "NC"), None)
    of_places = None
    if network.scores_output is not None:
        of_places = MapOfScores(network.scores_output, network.score_shape, network.map_axis % 4)
    return builder.Model(fed, batch or "outrider_batch", scores, of_places, network.score_shape, network.scores)


def _facts(monitor: Monitor, calibration: Calibration) -> dict[str, Any]:
    learned = monitor.learned
    network = learned.facts
    several = {name: fact for name, fact in network.to_dict().items() if name in ("inputs", "states", "map_classes")}
    if isinstance(monitor.logic, PlaceLogic):
        shape = builder.shape_of_map(learned)
        several["map"] = {
            "shape": list(shape),
            "extent": list(network.extent or shape),
            "level": monitor.logic.level_of(calibration.scales),
            "smooth": 2 * monitor.logic.half(*shape) + 1,
        }
    return several | {
        "format": FORMAT,
        "fingerprint": network.fingerprint,
        "profile": monitor.profile_sha256,
        "profile_digest": monitor.profile_digest,
        "classes": network.classes,
        "input_shape": list(network.input_shape),
        "preprocessing": network.preprocessing,
        "taps": [tap.id for tap in network.taps],
        "outputs": list(builder.outputs_of(monitor.logic)),
        "columns": list(learned.names),
        "limits": calibration.limits.tolist(),
        "logic": describe_logic(monitor.logic),
        "thresholds": builder.default_thresholds(calibration, monitor.logic).tolist(),
        "false_alarm_rate": calibration.false_alarm_rate,
        "n": calibration.n,
        "realised": calibration.realised,
        "interval": list(calibration.interval),
        "uncovered_classes": np.flatnonzero(~learned.trusted.covered).tolist(),
    }


# Weights in files beside the model.


def copy_weights(locations: Sequence[str], source: Path, target: Path, undo: ExitStack) -> None:
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
        temporary = copy.with_name(f".{copy.name}.{secrets.token_hex(8)}")
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(original, temporary)
            temporary.replace(copy)
        except OSError as error:
            with suppress(OSError):  # its folder may be no folder
                temporary.unlink(missing_ok=True)
            raise ExportError(f"{copy}: expected to copy the model's weights here, got {error.strerror}") from error
        undo.callback(copy.unlink, missing_ok=True)
