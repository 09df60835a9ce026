"""Hooks that are on a module only while it is watched, and that no copy of the module takes along."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import nn

_KEY = "outrider"

Hooks = OrderedDict[Any, Any]


class Attachment:
    """Hooks on several modules, behind those that they have.

    The dictionaries of a module stay as they are: others take their place while it is watched, so that a run in another
    thread goes on in those that it began with. Hooks that somebody adds meanwhile stay on it, but their handles cannot
    take them off.
    """

    def __init__(self) -> None:
        self._points: list[tuple[dict[str, Any], str, Hooks]] = []
        self._own: list[tuple[Hooks, Hooks]] = []

    def add(self, part: nn.Module, after: Hook, before: Hook | None = None) -> None:
        """Call `after` with a module, its arguments and its output, and `before` with the first two.

        With `before`, `after` is called too where the module raises, with None for an output.
        """
        attributes = vars(part)
        self._points.append((attributes, "_forward_hooks", OrderedDict({_KEY: after})))
        if before is not None:
            self._points.append((attributes, "_forward_pre_hooks", OrderedDict({_KEY: before})))
            self._points.append((attributes, "_forward_hooks_always_called", OrderedDict({_KEY: True})))

    def on(self) -> None:
        """Put the hooks on; one call of `off` must follow."""
        keep = self._own.append
        for attributes, where, alone in self._points:
            own = attributes[where]
            ours = OrderedDict([*own.items(), *alone.items()]) if own else alone
            keep((own, ours))
            attributes[where] = ours

    def off(self) -> None:
        """Give the modules their own dictionaries back, with the hooks that were added meanwhile."""
        for (attributes, where, alone), (own, ours) in zip(self._points, self._own):  # noqa: B905 - `on` may be cut short
            there = attributes[where]
            if there is ours:
                attributes[where] = own
            if len(ours) != len(own) + 1 or there is not ours:
                self._sort_out(alone, own, there)
        self._own.clear()

    @staticmethod
    def _sort_out(alone: Hooks, own: Hooks, there: Hooks) -> None:
        """Take our hook out of a dictionary that was changed meanwhile, and what was added to ours into its own."""
        hook = there.pop(_KEY, None)
        if there is not own:
            own.update((key, value) for key, value in there.items() if key not in own)
        if hook is not None:
            alone.clear()
            alone[_KEY] = hook


class Hook:
    """A hook: what a copy of the module, also one made by pickle, has in its place does nothing."""

    __slots__ = ()

    def __call__(self, part: nn.Module, inputs: Any, output: Any = None) -> None:
        raise NotImplementedError

    def __reduce__(self) -> tuple[Any, ...]:
        return _idle, ()

    def __deepcopy__(self, _memo: Any) -> Any:
        return _idle()


def _idle() -> Callable[..., None]:
    return _nothing


def _nothing(*_: Any) -> None:
    return None
