"""A decoder in ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort

DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
SCORE, ALARM = "outrider_score", "outrider_alarm"


def run(path, ids, mask=None, past=None, **feeds):
    """What a decoder says of token ids (batch, tokens), by name. past: what a run before returned, to go on from."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    ids = np.asarray(ids, np.int64)
    mask = np.ones_like(ids) if mask is None else np.asarray(mask, np.int64)
    positions = np.maximum(np.cumsum(mask, axis=1) - 1, 0)[:, -ids.shape[1] :]
    given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    for value in session.get_inputs():
        if value.name.startswith("past") and past is None:
            given[value.name] = np.zeros((len(ids), value.shape[1], 0, 16), DTYPES[value.type])
        elif value.name.startswith("past"):
            given[value.name] = past[value.name.replace("past_key_values", "present")]
    given |= {name: np.asarray(values) for name, values in feeds.items()}
    names = {value.name for value in session.get_inputs()} | {"outrider_threshold"}
    found = session.run(None, {name: values for name, values in given.items() if name in names})
    return dict(zip([output.name for output in session.get_outputs()], found, strict=True))


def padded(prompts, side):
    """(batch, tokens) of prompts of different lengths: ids and mask."""
    longest = max(map(len, prompts))
    ids, mask = np.full((len(prompts), longest), 9), np.zeros((len(prompts), longest), np.int64)
    for row, prompt in enumerate(prompts):
        at = slice(longest - len(prompt), None) if side == "left" else slice(len(prompt))
        ids[row, at], mask[row, at] = prompt, 1
    return ids, mask
