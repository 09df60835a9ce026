"""Hooks that are on a module only while it is watched, and that no copy of the module takes along."""

from __future__ import annotations

from collections import OrderedDict
from threading import RLock
from typing import Any

from torch import nn

Hooks = OrderedDict[Any, Any]

_TURN = RLock()  # several threads may watch one module: their hooks go on and come off one after the other


class Attachment:
    """Hooks on several modules, behind those that they have.

    The dictionaries of a module stay as they are: others take their place while it is watched, so that a run in another
    thread goes on in those that it began with. Several attachments may be on a module at a time, and come off in any
    order; a hook may be called until the last is off. Hooks that somebody adds meanwhile stay on it until their handles
    take them off.
    """

    def __init__(self) -> None:
        self._points: list[tuple[dict[str, Any], str, Any]] = []
        self._alone: list[_Layer] = []
        self._layers: list[_Layer] = []
        self._former: list[_Layer] = []  # where the handles of hooks that were added meanwhile look for them

    def add(self, part: nn.Module, after: Hook, before: Hook | None = None) -> None:
        """Call `after` with a module, its arguments and its output, and `before` with the first two.

        With `before`, `after` is called too where the module raises, with None for an output.
        """
        points = [("_forward_hooks", after)]
        if before is not None:
            points += [("_forward_pre_hooks", before), ("_forward_hooks_always_called", after)]
        self._points += ((vars(part), where, hook) for where, hook in points)
        self._alone += (_Layer({self: hook}) for _, hook in points)

    def on(self) -> None:
        """Put the hooks on; one call of `off` must follow."""
        keep = self._layers.append
        with _TURN:
            for (attributes, where, hook), alone in zip(self._points, self._alone, strict=True):
                below = attributes[where]
                layer = _Layer({**below, self: hook}) if below else alone
                layer.below = below
                keep(layer)
                attributes[where] = layer

    def off(self) -> None:
        """Give the modules their own dictionaries back, with the hooks that were added meanwhile."""
        with _TURN:
            for i, layer in enumerate(self._layers):  # as many as there are points, if `on` was not cut short
                attributes, where, hook = self._points[i]
                top = attributes[where]
                if top is layer:
                    attributes[where] = layer.below
                else:
                    _take_out(layer, top)
                if len(layer) != len(layer.first):
                    _hand_down(layer)
                    self._alone[i] = _Layer({self: hook})
                    self._former = [one for one in (*self._former, layer) if one.keys() - one.first]
            self._layers.clear()


class _Layer(Hooks):
    """Hooks that stand in for those `below`. first: the keys that it began with. A copy is an ordinary dictionary."""

    __slots__ = ("below", "first")
    below: Hooks
    first: frozenset[Any]

    def __init__(self, hooks: dict[Any, Any]) -> None:
        super().__init__(hooks)
        self.first = frozenset(hooks)

    def __delitem__(self, key: Any) -> None:
        with _TURN:
            super().__delitem__(key)
            if key in self.below:
                del self.below[key]

    def __reduce__(self) -> tuple[Any, ...]:
        own = [(key, hook) for key, hook in self.items() if not isinstance(key, Attachment)]
        return OrderedDict, (), None, None, iter(own)


def _take_out(layer: _Layer, top: Hooks) -> None:
    """Close the gap that a layer leaves among those above it, if it is there at all."""
    while isinstance(top, _Layer):
        if top.below is layer:
            top.below = layer.below
            return
        top = top.below


def _hand_down(layer: _Layer) -> None:
    """Give what was added to a layer, or taken from it, on to the hooks below."""
    for key in layer.first - layer.keys():
        layer.below.pop(key, None)
    layer.below.update((key, hook) for key, hook in layer.items() if key not in layer.first)


class Hook:
    """What is called when a module begins or ends."""

    __slots__ = ()

    def __call__(self, part: nn.Module, inputs: Any, output: Any = None) -> None:
        raise NotImplementedError
