"""What the calls of a trial run are: activations are told by what they do, wherever they are written."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ...forms import form_of
from ...selectors import ACTIVATIONS, GATES, OUTPUT
from .functions import ENDS, POINTWISE, UNIFORM, bends, kind_of_function, name_of
from .tracer import Call, Key, Seen

_SOURCES, _STEPS = 6, 24  # how far back an activation of several steps may begin, and of how many steps it may be
_BFLOAT16 = 1.6e-2  # numpy has no such floats, so their rounding is told
_FOUND = ACTIVATIONS | GATES


def kinds_of(calls: Sequence[Call], inputs: Collection[int]) -> list[str]:
    """The kind of each call: of modules their class, or the activation that they are; of functions only activations
    and attention, nothing for all others and for those that a module of their own makes.

    An activation written in several steps (``x * sigmoid(x)``) is the last of them. Those inside it, such as the ReLU6
    of a hard swish, are parts: ``relu6-part``. inputs: the numbers of the tensors that the run began with.
    """
    kinds = [class_kind(call.of) if call.is_module else kind_of_function(call.of) for call in calls]
    begins = {i: call.inputs[0].key for i, call in enumerate(calls) if call.inputs}
    parts: set[int] = set()
    for i, (kind, source, inside) in _in_several_steps(calls, inputs).items():
        kinds[i], begins[i] = kind, source
        parts |= inside
    makers: dict[Key, int] = {}
    for i, call in enumerate(calls):
        if not call.returns_tensor:
            continue
        key = call.outputs[0].key
        if not call.is_module:
            if kinds[i] in _FOUND:
                makers[key] = i
            continue
        made = makers.get(key)
        if not call.path:
            continue  # the network as a whole is no tap
        if made is not None and _is_the_activation(call, begins.get(made)):
            del makers[key]
            kinds[i] = kinds[i] if _torch_kind(call.of) else kinds[made]
            kinds[made] = ""
            if made in parts:
                parts.add(i)
        elif not _torch_kind(call.of) and (kinds[i] in _FOUND or (made is None and not any(call.of.children()))):
            kinds[i] = _form_of_module(call) or ("module" if kinds[i] in _FOUND else kinds[i])
    for i in parts:
        if kinds[i] in _FOUND:
            kinds[i] = f"{kinds[i]}-part"
    return kinds


def class_kind(part: nn.Module) -> str:
    """The class of a module in lower case; of one that inherits from an activation of PyTorch, the name of that."""
    kind = _torch_kind(part) or type(part).__name__.lower()
    return "module" if kind == OUTPUT else kind  # that word means the class scores


def _torch_kind(part: nn.Module) -> str:
    """The activation of PyTorch that a module is, inherits from or ends with; nothing for others."""
    classes = [one for one in type(part).__mro__ if one.__module__.startswith("torch.")]
    if classes and classes[0].__module__.startswith("torch.ao.nn.intrinsic"):  # several layers in one: ConvReLU2d
        name = classes[0].__name__.lower().rstrip("123d")
        return next((end for end in ("leakyrelu", "relu", "tanh") if name.endswith(end)), "")
    names = (one.__name__.lower() for one in classes)
    return next((name for name in names if name in _FOUND), "")


def _is_the_activation(call: Call, source: Key | None) -> bool:
    """Whether a module that returns an activation is no more than that: it has no parts, or begins where that does.

    One that only passes on what it takes, as a dropout at rest does, is none.
    """
    taken = call.inputs[0].key if call.inputs else None
    return taken != call.outputs[0].key and (not any(call.of.children()) or taken == source)


def _form_of_module(call: Call) -> str:
    """The activation that a module of one tensor computes, as far as its values tell."""
    return _form(call.inputs[0], call.outputs[0]) if len(call.inputs) == 1 else ""


def _form(before: Seen, after: Seen) -> str:
    x, y = before.points, after.points
    if x is None or y is None or before.shape != after.shape:
        return ""
    coarse = torch.bfloat16 in (x.dtype, y.dtype)
    return form_of(_array(x), _array(y), tolerance=_BFLOAT16 if coarse else None)


def _array(points: Tensor) -> np.ndarray:
    array: np.ndarray = (points.float() if points.dtype == torch.bfloat16 else points).cpu().numpy()
    return array


def _in_several_steps(calls: Sequence[Call], inputs: Collection[int]) -> dict[int, tuple[str, Key, set[int]]]:
    """By the last step of each activation written in several: its kind, where it begins, and the steps inside it.

    inputs: the numbers of the tensors that the run began with.
    """
    found: dict[int, tuple[str, Key, set[int]]] = {}
    moving, uniform = set(inputs), set[int]()
    made_by: dict[Key, int] = {}
    seen: dict[Key, Seen] = {}
    behind: dict[Key, dict[Key, frozenset[int]]] = {}
    for i, call in enumerate(calls):
        seen.update((one.key, one) for one in (*call.inputs, *call.outputs))
        if not call.is_module and name_of(call.of) in UNIFORM:
            uniform.update(one.number for one in call.outputs)
            continue
        moves = any(one.number in moving for one in call.inputs)
        if moves:
            moving.update(one.number for one in call.outputs)
        if call.is_module or not call.returns_tensor or not moves:
            continue
        key, name = call.outputs[0].key, name_of(call.of)
        if name in POINTWISE:
            behind[key] = sources = _sources(call, moving, made_by, behind, uniform)
            if name in ENDS:
                for source, steps in sources.items():
                    inside = steps | {i}
                    bent = any(bends(name_of(calls[step].of)) for step in inside)
                    if bent and (kind := _form(seen[source], seen[key])):
                        found[i] = kind, source, {*steps, *_modules_of(calls, steps)}
                        break
        made_by[key] = i
    return found


def _sources(
    call: Call,
    moving: Collection[int],
    made_by: dict[Key, int],
    behind: dict[Key, dict[Key, frozenset[int]]],
    uniform: Collection[int],
) -> dict[Key, frozenset[int]]:
    """The tensors that alone decide the result of a pointwise call, the nearest first, with the steps in between.

    uniform: tensors of one value, which decide as little as a number does.
    """
    common: dict[Key, frozenset[int]] | None = None
    for one in call.inputs:
        if one.number not in moving:
            if math.prod(one.shape) != 1 and one.number not in uniform:
                return {}
            continue
        own = {one.key: frozenset[int]()}
        maker = made_by.get(one.key)
        for source, steps in behind.get(one.key, {}).items():
            if maker is not None and len(steps) < _STEPS:
                own.setdefault(source, steps | {maker})
        common = own if common is None else {key: common[key] | own[key] for key in common if key in own}
    return dict(list((common or {}).items())[:_SOURCES])


def _modules_of(calls: Sequence[Call], steps: Collection[int]) -> set[int]:
    """The modules that only return what one of these steps made."""
    keys = {calls[step].outputs[0].key for step in steps}
    modules = ((i, call) for i, call in enumerate(calls) if call.is_module and call.returns_tensor)
    return {i for i, call in modules if call.outputs[0].key in keys}
