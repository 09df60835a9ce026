"""The read-out of attention heads as nodes behind a decoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....networks.onnx.proto import Fragment
from ..guarded_model import THRESHOLD
from ..operators import Operators
from .read_out import LinearReadOut

OLDEST_OPSET = 13
OUTPUTS = ("outrider_score", "outrider_alarm")
_BOOL, _INT32, _INT64 = 9, 6, 7


def add_read_out(fragment: Fragment, read_out: LinearReadOut, tensors: Sequence[str], mask: str | None) -> None:
    """Add score and alarm for the last token: the outputs `OUTPUTS`, and the input `THRESHOLD` with its default.

    tensors: per layer the name of (batch, tokens, width), what enters its output projection. mask: the name of
    (batch, past and present tokens), other than 0 at real ones; None: every last token is real.
    A head that returns NaN or Inf, or a row without a real token, makes the score +inf and an alarm, whatever the
    threshold.
    """
    ops = Operators(fragment)
    layers = sorted({layer for layer, _ in read_out.chosen})
    index, read = (None, None) if mask is None else _last_real(ops, tensors[layers[0]], mask)
    parts, rows = [], []
    for layer in layers:
        last = _at(ops, tensors[layer], index)
        for row, (of, head) in enumerate(read_out.chosen):
            if of == layer:
                parts.append(ops.part(last, head * read_out.head_dim, (head + 1) * read_out.head_dim))
                rows.append(row)
    weights = ops.constant(read_out.weights[rows].reshape(-1, 1))
    product = ops("MatMul", ops.to_float(ops.join(parts)), weights)
    score = ops.reshape(ops("Add", product, ops.constant([read_out.bias])), -1)
    judged = ops("Less", ops("Abs", score), ops.constant(np.inf))
    judged = judged if read is None else ops("And", judged, ops.reshape(read, -1))
    score = ops("Where", judged, score, ops.constant(np.inf), output=OUTPUTS[0])
    threshold = fragment.default(THRESHOLD, np.array([read_out.threshold], np.float32))
    above = ops("Greater", score, threshold)
    ops("Or", above, ops("IsNaN", ops("Sub", score, threshold)), output=OUTPUTS[1])
    fragment.output(OUTPUTS[0], "float32", ("outrider_batch",))
    fragment.output(OUTPUTS[1], "bool", ("outrider_batch",))


def _at(ops: Operators, tensor: str, index: str | None) -> str:
    """(batch, width): the row of each prompt's last token."""
    if index is None:
        return ops("Gather", tensor, ops.constant(-1, np.int64), axis=1)
    return ops("GatherND", tensor, index, batch_dims=1)


def _last_real(ops: Operators, tensor: str, mask: str) -> tuple[str, str]:
    """(batch, 1) int64: where among the present tokens the last real one of each row stands; bool: if it has any.

    A mask covers past and present tokens. A runtime may also give one of a fixed length, zero behind the present
    tokens: then no row is real at its end, and the last present token is the farthest real one.
    """
    real = ops("Cast", ops("Cast", mask, to=_BOOL), to=_INT32)
    some = ops.reduce("ReduceMax", real)
    last = ops("ArgMax", real, axis=1, keepdims=1, select_last_index=1)
    zero, one = (ops.constant(value, np.int64) for value in (0, 1))
    present = ops("Gather", ops("Shape", tensor), one, axis=0)
    given = ops("Gather", ops("Shape", mask), one, axis=0)
    latest = ops("Sub", present, one)
    farthest = ops("ReduceMax", ops("Mul", last, ops("Cast", some, to=_INT64)), keepdims=0)
    start = ops("Where", ops("Equal", given, present), zero, ops("Sub", farthest, latest))
    return ops("Clip", ops("Sub", last, start), zero, latest), ops("Cast", some, to=_BOOL)
