"""Where the channels of each tensor of a trial run lie, told by the functions that fix, move or keep them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from .functions import name_of
from .tracer import Call, Key, Seen

_PLANES = ("conv", "batchnorm", "instancenorm", "groupnorm", "maxpool", "avgpool", "adaptiveavgpool", "adaptivemaxpool",
    "fractionalmaxpool", "lppool", "maxunpool", "pixelshuffle", "pixelunshuffle", "gridsample",
    "localresponsenorm")  # fmt: skip
_LAST = frozenset(("linear", "layernorm", "rmsnorm", "embedding", "lstm", "gru", "rnntanh", "rnnrelu",
    "multiheadattention", "multiheadattentionforward"))  # fmt: skip
_PRODUCTS = frozenset(("matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "tensordot", "scaleddotproductattention"))
_RESHAPES = frozenset(("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze"))


def channel_axes(calls: Sequence[Call]) -> dict[Key, int]:
    """The axis of the channels of each tensor where the calls tell it, counted from the front.

    Convolutions, their norms and pooling have them behind the batch; dense layers, layer norms and recurrent layers on
    the last axis. Transposes move them, reshapes keep them where they leave that axis whole, and all that keeps the
    number of axes keeps them, in both directions: an addition knows them from either side. A layer that reads the sum
    knows them better than one term of it.
    """
    axes: dict[Key, int] = {}
    for surely in (True, False):
        for call in calls:
            fixed = _fixed(call)
            for after in call.outputs:
                if fixed is not None and after.ndim > 1:
                    axes.setdefault(after.key, fixed % after.ndim)
            if not (surely and _lacks_a_term(call, axes)):
                _carry(call, axes, back=False)
        for call in reversed(calls):
            fixed, taken = _fixed(call), _taken(call)
            if fixed is not None and taken is not None:
                axes.setdefault(taken.key, fixed % taken.ndim)
            _carry(call, axes, back=True)
    return axes


def _lacks_a_term(call: Call, axes: dict[Key, int]) -> bool:
    """Whether a call reads several tensors of as many axes, of which the channels of some are not known yet."""
    moving = [one for one in call.inputs if not one.weight]
    most = max((one.ndim for one in moving), default=0)
    return any(one.ndim == most and one.key not in axes for one in moving)


def _carry(call: Call, axes: dict[Key, int], *, back: bool) -> None:
    """Take an axis from one side of a call to the other."""
    name = "" if call.is_module else name_of(call.of)
    if call.is_module or name in _PRODUCTS or _fixed(call) is not None:
        return
    known, asked = (call.outputs, call.inputs) if back else (call.inputs, call.outputs)
    for there in asked:
        if there.key in axes:
            continue
        for here in known:
            if here.key in axes:
                axis = _same_axis(here, there, axes[here.key], name in _RESHAPES)
                if axis is not None:
                    axes[there.key] = axis
                    break


def _fixed(call: Call) -> int | None:
    """The axis that a function fixes for what it takes and for what it returns; -1 for the last."""
    if _taken(call) is None:
        return None
    name = _class_name(call.of) if call.is_module else name_of(call.of)
    weighted = any(one.weight and one.ndim > 1 for one in call.inputs)
    if name in _LAST or (name in _PRODUCTS and weighted):
        return -1
    return 1 if name.startswith(_PLANES) else None


def _taken(call: Call) -> Seen | None:
    """The first tensor that a call takes and that is no weight."""
    return next((one for one in call.inputs if one.ndim > 1 and not one.weight), None)


def _class_name(part: nn.Module) -> str:
    return type(part).__name__.lower() if type(part).__module__.startswith("torch.") else ""


def _same_axis(here: Seen, there: Seen, axis: int, reshaped: bool) -> int | None:
    """Where an axis of one tensor lies in another that was made of it, or of which it was made."""
    size = here.shape[axis]
    if here.memory is there.memory and size > 1:
        found = [i for i, step in enumerate(there.strides) if step == here.strides[axis] and there.shape[i] > 1]
        whole = [i for i in found if there.shape[i] == size]
        found = whole if whole or reshaped else found  # a reshape that splits or merges the axis moves it nowhere
        if len(found) == 1:
            return found[0]
    if here.ndim == there.ndim and not (reshaped and here.shape != there.shape):
        return axis
    before = math.prod(here.shape[:axis])
    fitting = (i for i in range(there.ndim) if there.shape[i] == size and math.prod(there.shape[:i]) == before)
    return next(fitting, None)
