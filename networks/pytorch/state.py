"""What a module holds besides its weights: to be found as it was after a trial run, and to tell modules apart."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections import deque
from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_ABSENT = object()
_INNER = frozenset(vars(nn.Module()))
_HOOKS = tuple(name for name in vars(nn.Module()) if "_hooks" in name and name != "_hooks_enabled")
_SIMPLE = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.Size, Enum)
_NOTES = "_is_hf", "_output_capturing"  # where transformers notes that it has made a model ready
_DEPTH = 8

Place = tuple[nn.Module, bool, str]
"""A part, whether it is a buffer or an attribute, and its name."""


class KeptState:
    """The buffers, attributes and hooks of a module and its parts, as they are now.

    names: of the parts. Weights are left out, and so is what Python cannot copy.
    """

    def __init__(self, names: dict[nn.Module, str]) -> None:
        self._names = names
        self._held = dict(_places(names))
        self._shared: dict[int, Any] = {id(part): part for part in names}
        self._shared |= {id(weight): weight for part in names for weight in part.parameters(recurse=False)}
        self._copies = {place: _copied(value, self._shared) for place, value in self._held.items()}
        hooks = (vars(part)[name] for part in names for name in _HOOKS)
        self._hooks = [(own, dict(own)) for own in hooks if isinstance(own, dict)]
        self._notes = [(part, _notes(part)) for part in names]

    def changed(self) -> dict[Place, str]:
        """What is not as it was, with a name for each place: ``'counter' of 'layer1'``."""
        now = dict(_places(self._names))
        found = {}
        for place in dict.fromkeys((*self._held, *now)):
            before, value = self._copies.get(place, _ABSENT), now.get(place, _ABSENT)
            # A copy is held to a copy: of some objects it is made otherwise than they are.
            if not _same(before, _copied(value, self._shared)):
                part, _, name = place
                path = self._names[part]
                found[place] = f"{name!r} of {path!r}" if path else repr(name)
        return found

    def restore(self) -> dict[Place, str]:
        """Make everything what it was; what had changed is returned."""
        for own, before in self._hooks:
            if own.keys() != before.keys():
                own.clear()
                own.update(before)
        for part, before in self._notes:  # with the hooks that they tell of: who notes them adds them only once
            for name in _notes(part).keys() - before.keys():
                del vars(part)[name]
            vars(part).update(before)
        found = self.changed()
        for place in found:
            part, is_buffer, name = place
            home = part._buffers if is_buffer else vars(part)  # noqa: SLF001 - to set a buffer without its checks
            if place not in self._held:
                del home[name]
                continue
            home[name] = _refilled(self._held[place], self._copies[place])
            self._copies[place] = _copied(home[name], self._shared)
        return found


def constants_of(names: dict[nn.Module, str], without: Collection[Place]) -> Iterator[tuple[str, Any]]:
    """The buffers and attributes that decide what a module computes, by path and name, in order.

    without: places that change from frame to frame. Objects of the user's own classes are left out.
    """
    for place, value in sorted(_places(names), key=lambda item: (names[item[0][0]], item[0][1:])):
        part, is_buffer, name = place
        if place not in without and (is_buffer or name not in ("name_or_path", "warnings_issued")):
            yield f"{names[part]}.{name}", value


def _places(names: dict[nn.Module, str]) -> Iterator[tuple[Place, Any]]:
    for part in names:
        for name, value in part._buffers.items():  # noqa: SLF001 - `buffers` leaves out the empty ones
            yield (part, True, name), value
        for name, value in vars(part).items():
            if name not in _INNER and not name.startswith(_NOTES):
                yield (part, False, name), value


def _notes(part: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(part).items() if name.startswith(_NOTES)}


def _copied(value: Any, shared: dict[int, Any]) -> Any:
    """A copy that shares weights and modules; what cannot be copied stands for itself."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, _SIMPLE) or value is _ABSENT:
        return value
    try:
        return copy.deepcopy(value, dict(shared))
    except Exception:  # noqa: BLE001 - a lock, an open file, a tensor that autograd made: anything may say so
        return value


def _refilled(held: Any, before: Any) -> Any:
    """The object that was there, with what it held; a copy where it cannot be filled again."""
    if isinstance(held, Tensor) and held.shape == before.shape and held.dtype == before.dtype:
        if not _same(held, before):
            with torch.no_grad():
                held.copy_(before)
    elif isinstance(held, (list, bytearray)):
        held[:] = before
    elif isinstance(held, (dict, set)):
        held.clear()
        held.update(before)
    elif isinstance(held, deque):
        held.clear()
        held.extend(before)
    elif hasattr(held, "__dict__") and type(held) is type(before) and held is not before:
        vars(held).clear()
        vars(held).update(vars(before))
    else:
        return held if _same(held, before) else before
    return held


def _same(one: Any, other: Any, depth: int = 0) -> bool:
    """Whether two values are the same to the last bit, as far as Python lets us look."""
    if one is other:
        return True
    if type(one) is not type(other) and not (isinstance(one, Tensor) and isinstance(other, Tensor)):
        return False
    if isinstance(one, Tensor):
        alike = one.shape == other.shape and one.dtype == other.dtype and one.device == other.device
        return alike and (one.numel() == 0 or _bytes(one) == _bytes(other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return one == other or (one != one and other != other)  # noqa: PLR0124 (NaN)
    if isinstance(one, _SIMPLE):
        return bool(one == other)
    if depth > _DEPTH:
        return True
    if isinstance(one, (list, tuple, deque, bytearray)):
        return len(one) == len(other) and all(_same(a, b, depth + 1) for a, b in zip(one, other, strict=True))
    if isinstance(one, (dict, set, frozenset)) and not all(isinstance(key, _SIMPLE) for key in (*one, *other)):
        return len(one) == len(other)  # a copy has other keys
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[key], other[key], depth + 1) for key in one)
    if isinstance(one, (set, frozenset)):
        return bool(one == other)
    if callable(one) or not hasattr(one, "__dict__"):
        return True
    return _same(vars(one), vars(other), depth + 1)


def _bytes(tensor: Tensor) -> bytes:
    plain = tensor.detach().cpu()
    if plain.is_quantized:
        return repr((plain.dequantize().tolist(), plain.qscheme())).encode()
    plain = plain.to_dense() if plain.layout != torch.strided else plain
    return plain.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def text_of(value: Any, depth: int = 0) -> str | None:
    """A constant as text that is the same in every process; None for what has none."""
    if isinstance(value, _SIMPLE):
        return repr(value)
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)} {hashlib.sha256(_bytes(value)).hexdigest()}"
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return f"{value.dtype} {value.shape} {hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, functools.partial):
        return text_of((value.func, value.args, value.keywords), depth)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', '')}.{value.__qualname__}"
    if depth > _DEPTH:
        return None
    if isinstance(value, dict):
        value = sorted(((repr(key), one) for key, one in value.items()), key=lambda item: item[0])
    if isinstance(value, (set, frozenset)):
        return text_of(sorted(map(repr, value)), depth)
    if isinstance(value, (list, tuple)):
        texts = [text_of(one, depth + 1) for one in value]
        return None if None in texts else f"[{', '.join(filter(None, texts))}]"
    return None
