"""The threshold of a guarded decoder, set anew in its file from the scores that the file itself gives."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ....monitor import ExportError
from ....monitor.calibration import clopper_pearson, conformal_threshold
from ....monitor.files import write_whole
from ....networks.onnx.files import external_tensors, read_model
from ....networks.onnx.proto import parse_model
from ....networks.onnx.session import Runtime
from ..guarded_model import BLANK, DIGEST, FORMAT, KEY, THRESHOLD, checked_facts, sealed
from .probe import probe_feeds
from .read_out import LARGEST


def guarded_scores(
    model: str | os.PathLike[str], prompts: Iterable[np.ndarray | Mapping[str, np.ndarray]], *, threads: int = 1
) -> np.ndarray:
    """(n,) float32: `outrider_score` of each prompt, as a guarded decoder gives it in ONNX Runtime on the CPU.

    prompts: token ids (tokens,) each, as the chat template makes them; or every input of the decoder for one prompt.
    Raises ExportError for a file without the guard of attention heads, ValueError for a prompt it cannot run.
    """
    path = Path(model)
    facts = _facts(path)
    data = read_model(path)
    runtime = Runtime(("CPUExecutionProvider",), threads=threads)
    session = runtime.session(data, path.parent.absolute())
    scores = []
    for prompt in prompts:
        if isinstance(prompt, Mapping):
            feeds = dict(prompt)
            if any(len(values) != 1 for name, values in feeds.items() if name in ("input_ids", "inputs_embeds")):
                raise ValueError("expected inputs of one prompt, a batch of 1, got more; give the prompts one by one")
        else:
            ids = np.asarray(prompt)
            if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
                raise ValueError(f"expected token ids of shape (tokens,), got {ids.dtype} of shape {ids.shape}")
            (feeds,) = probe_feeds(data, (facts["heads"], facts["head_dim"]), ids[None])
        scores.append(runtime.run(session, ["outrider_score"], feeds)[0][0])
    return np.array(scores, np.float32)


def recalibrate_guarded(
    model: str | os.PathLike[str], scores: np.ndarray, false_alarm_rate: float = 0.05
) -> dict[str, Any]:
    """Set the threshold in a guarded decoder's file from its scores over safe prompts; return the new facts.

    scores: (n,) of `guarded_scores`, or of the runtime that serves the model, over safe prompts that the guard has not
    learned from. The threshold is that of split-conformal prediction. Precision and engine move scores, so a threshold
    from PyTorch does not carry over; docs/how-to/export.md has figures.
    Raises CalibrationError for too few scores, ExportError for a file without the guard of attention heads.
    """
    scores = np.asarray(scores, np.float32)
    if scores.ndim != 1:
        raise ValueError(f"expected scores of shape (n,), got {scores.shape}")
    threshold = conformal_threshold(scores, false_alarm_rate)
    above = int((scores > np.float32(threshold)).sum())
    return set_threshold(
        model,
        threshold,
        false_alarm_rate=false_alarm_rate,
        n=len(scores),
        realised=above / len(scores),
        interval=list(clopper_pearson(above, len(scores))),
        calibrated="guarded model",
    )


def set_threshold(model: str | os.PathLike[str], threshold: float, **facts: Any) -> dict[str, Any]:
    """Write another default of `outrider_threshold` into a guarded decoder's file; return its facts.

    facts: what the metadata shall say of it, in JSON types; what the old threshold rested on is dropped. For runtimes
    that take no threshold with a call, as onnxruntime-genai. Raises ExportError for a file without the guard of
    attention heads, and for a threshold that is not finite.
    """
    path = Path(model)
    if not abs(float(threshold)) <= LARGEST:
        raise ExportError(f"expected a threshold that is a finite float32, got {threshold}")
    known = {name: value for name, value in _facts(path).items() if name not in _RESTING}
    known |= {"format": FORMAT, "thresholds": [float(np.float32(threshold))], **facts}
    message = parse_model(read_model(path))
    held = next(tensor for tensor in message.graph.initializer if tensor.name == THRESHOLD)
    held.raw_data = np.array([threshold], "<f4").tobytes()
    entry = next(entry for entry in message.metadata_props if entry.key == KEY)
    entry.value = json.dumps(known, sort_keys=True, allow_nan=False)
    if not any(entry.key == DIGEST for entry in message.metadata_props):
        message.metadata_props.add(key=DIGEST)
    next(entry for entry in message.metadata_props if entry.key == DIGEST).value = BLANK
    data = sealed(message.SerializeToString(), external_tensors(message), path.parent)
    write_whole(path, data, ExportError)
    return known


_RESTING = ("false_alarm_rate", "n", "realised", "interval", "calibrated")
"""The facts that say what a threshold rests on."""


def _facts(path: Path) -> dict[str, Any]:
    facts = checked_facts(path)
    if facts is None or facts.get("kind") != "heads":
        raise ExportError(f"{path}: expected a model with the guard of attention heads, got one without; export it")
    return facts
