"""What a guarded model says of itself: the names it adds to its model, the facts in its metadata, and their digest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...monitor import ProfileError
from ...monitor.errors import warn
from ...networks.onnx.files import External, check_external, external_tensors, fingerprint, read_model
from ...networks.onnx.proto import array_of, parse_model

FORMAT = 2
_WITHOUT_DIGEST = 1
"""The format of models that an older Outrider exported."""
KEY = "outrider"
"""The key of the facts in the metadata."""
DIGEST = "outrider_digest"
"""The key of the digest in the metadata, 64 hexadecimal digits."""
BLANK = "0" * 64
"""What stands there while the digest is computed."""
_ENTRY = re.compile(rb"\x0a\x0foutrider_digest\x12\x40([0-9a-f]{64})")

OUTPUTS = ("outrider_score", "outrider_confidence", "outrider_alarm", "outrider_deviation")
MAP = "outrider_map"
"""One more of models whose monitor judges places."""
THRESHOLD = "outrider_threshold"
_OLD_OUTPUTS = (*OUTPUTS[:3], "outrider_layers")
"""The outputs of models whose facts name none: they were exported before the last one was renamed."""


def guard_facts(model: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The facts in the metadata of a guarded model; None for a model without a monitor.

    The file, and the files with its weights beside it, must fit the digest in its metadata. Warns of a model that an
    older Outrider exported, which has none. Raises FileNotFoundError for a path without a file, ValueError for a file
    that is no model, ProfileError for one that was altered.
    """
    facts = checked_facts(model)
    if facts is not None and facts["format"] == _WITHOUT_DIGEST:
        warn(f"{model}: exported by an older Outrider: what it holds cannot be checked; export it anew")
    return facts


def checked_facts(model: str | os.PathLike[str]) -> dict[str, Any] | None:
    """`guard_facts` without the warning."""
    path = Path(model)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected an ONNX model, got no such file")
    data = read_model(path)
    message = parse_model(data)
    metadata = {entry.key: entry.value for entry in message.metadata_props}
    digest = _checked_digest(data, message, path)
    text = metadata.get(KEY)
    if text is None:
        if digest is not None or DIGEST in metadata or carries_monitor((), [one.name for one in message.graph.output]):
            raise ProfileError(f"{path}: {_ALTERED}: the facts of its monitor are gone; export it anew")
        return None
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    got = facts.get("format") if isinstance(facts, dict) else text[:20]
    if facts is None or type(got) is not int or got not in (FORMAT, _WITHOUT_DIGEST):
        raise ValueError(
            f"{path}: expected a guarded model of format {FORMAT}, got {got!r}; use the Outrider that wrote it"
        )
    if digest != metadata.get(DIGEST) or (digest is None) != (got == _WITHOUT_DIGEST):
        raise ProfileError(f"{path}: {_ALTERED}: it has lost its digest; export it anew")
    _refuse_other_thresholds(path, facts, message)
    return {"outputs": list(_OLD_OUTPUTS), **facts}


_ALTERED = "expected what was exported, got a model that was altered"


def sealed(data: bytes, tensors: Sequence[External], folder: Path) -> bytes:
    """The bytes of a guarded model with the digest that fits them, in the place of the one they have.

    tensors: those whose numbers lie in files in the folder.
    """
    ((start, end),) = (entry.span(1) for entry in _ENTRY.finditer(data))
    digest = _digest(data, start, tensors, folder)
    return b"".join((memoryview(data)[:start], digest.encode(), memoryview(data)[end:]))


def carries_monitor(metadata: Collection[str], outputs: Collection[str]) -> bool:
    """Whether a model is guarded, by the keys of its metadata or, where another tool dropped these, by its outputs."""
    return KEY in metadata or any(set(names) <= set(outputs) for names in (OUTPUTS, _OLD_OUTPUTS))


def _checked_digest(data: bytes, message: Any, path: Path) -> str | None:
    """The digest that a model says and has, None where it says none. Raises ProfileError for another, or several."""
    entries = list(_ENTRY.finditer(data))
    if not entries:
        return None
    said, tensors = entries[0][1].decode(), external_tensors(message)
    check_external(tensors, path.parent)
    if len(entries) > 1 or said != _digest(data, entries[0].start(1), tensors, path.parent):
        beside = " or its weights beside it" if tensors else ""
        raise ProfileError(
            f"{path}: {_ALTERED}{beside}: its SHA-256 does not fit; another program that wrote it anew alters it too;"
            " export it anew"
        )
    return said


def _digest(data: bytes, start: int, tensors: Sequence[External], folder: Path) -> str:
    """SHA-256 of the bytes, of which the 64 from `start` count as zeros, and of the files with weights."""
    blank = b"".join((memoryview(data)[:start], BLANK.encode(), memoryview(data)[start + len(BLANK) :]))
    return fingerprint(blank, tensors, folder)


def _refuse_other_thresholds(path: Path, facts: dict[str, Any], message: Any) -> None:
    """Raise ProfileError unless the default in the graph is the threshold that the facts say."""
    told = facts.get("thresholds")
    try:
        held = [array_of(tensor) for tensor in message.graph.initializer if tensor.name == THRESHOLD]
        (got,) = [None if array is None else array.ravel().tolist() for array in held]
        same = got == np.array(told, np.float32).ravel().tolist()
    except (TypeError, ValueError):  # of another number, shape or kind
        got, same = None, False
    if not same:
        raise ProfileError(f"{path}: {_ALTERED}: its facts say the threshold {told}, its graph {got}")
