"""A run of a module in which everything is written down: the modules and functions that ran, and their tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import get_ident
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..attaching import Attachment, Hook

_POINTS = 2048

Key = tuple[int, int]


class Seen(NamedTuple):
    """A tensor as it was at one moment: in place, an operation makes another of it.

    points: about 2,000 of its values then, at places that its shape alone decides; None where it holds no floats.
    """

    tensor: Tensor
    version: int
    points: Tensor | None

    @property
    def key(self) -> Key:
        return id(self.tensor), self.version

    @property
    def overwritten(self) -> bool:
        """Whether an operation has changed it since."""
        return version_of(self.tensor) != self.version


@dataclass(frozen=True)
class Call:
    """A module or a function that ran.

    of: the function, or the module. path: of the module, or of the one whose `forward` called the function. within: the
    paths of the modules that were running, outermost first. inputs, outputs: the tensors among its arguments and
    results, also inside of lists and mappings. value: what it returned.
    """

    of: Any
    path: str
    within: tuple[str, ...]
    inputs: tuple[Seen, ...]
    outputs: tuple[Seen, ...]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    value: Any

    @property
    def is_module(self) -> bool:
        return isinstance(self.of, nn.Module)


class Tracer(TorchFunctionMode):
    """Runs a module once and keeps every call, in the order in which they ended.

    names: of the modules in it. Functions that functions of PyTorch call in turn are not seen. What the module raises
    goes through.
    """

    def __init__(self, names: Mapping[nn.Module, str]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.thread = get_ident()
        self._running: list[tuple[str, tuple[Seen, ...]]] = []
        self._seen: dict[Key, Seen] = {}
        self._hooks = Attachment()
        for part, name in names.items():
            # A TorchScript part keeps its hooks elsewhere; the functions around it see its tensors.
            if not isinstance(part, torch.jit.ScriptModule):
                self._hooks.add(part, _After(self, name), _Before(self, name))

    def run(self, call: Callable[[], Any]) -> Any:
        """What `call`, which runs the module, returns."""
        try:
            self._hooks.on()
            with self:
                return call()
        finally:
            self._hooks.off()

    def begin(self, name: str, inputs: tuple[Any, ...]) -> None:
        """A module begins to run."""
        self._running.append((name, self._tensors(inputs)))

    def end(self, name: str, part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """It has run; output is None where it raised."""
        _, taken = self._running.pop()  # as it was before: the module may have overwritten it
        if output is not None:
            self._write_down(part, name, taken, inputs, {}, output)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self._running or get_ident() != self.thread:
            return func(*args, **kwargs)
        inputs = self._tensors((args, kwargs))
        value = func(*args, **kwargs)
        self._write_down(func, self._running[-1][0], inputs, args, kwargs, value)
        return value

    def _write_down(
        self, of: Any, path: str, inputs: tuple[Seen, ...], args: tuple[Any, ...], kwargs: Mapping[str, Any], value: Any
    ) -> None:
        if outputs := self._tensors(value):
            within = tuple(name for name, _ in self._running)
            self.calls.append(Call(of, path, within, inputs, outputs, args, kwargs, value))

    def _tensors(self, value: Any) -> tuple[Seen, ...]:
        with torch._C.DisableTorchFunction():  # noqa: SLF001 - PyTorch has no public way to look at a tensor unseen
            return tuple(map(self._look, tensors_in(value)))

    def _look(self, tensor: Tensor) -> Seen:
        key = id(tensor), version_of(tensor)
        if key not in self._seen:
            points = None
            if tensor.is_floating_point() and not tensor.is_sparse:
                values = tensor.detach().reshape(-1)
                points = values[:: max(1, len(values) // _POINTS)].clone()
            self._seen[key] = Seen(tensor, key[1], points)
        return self._seen[key]


class _Before(Hook):
    """Tells a tracer that a module begins."""

    __slots__ = ("_name", "_tracer")

    def __init__(self, tracer: Tracer, name: str) -> None:
        self._tracer, self._name = tracer, name

    def __call__(self, part: nn.Module, inputs: Any, output: Any = None) -> None:
        if self._tracer.thread == get_ident():
            self._tracer.begin(self._name, inputs)


class _After(_Before):
    """Tells a tracer that a module has run."""

    __slots__ = ()

    def __call__(self, part: nn.Module, inputs: Any, output: Any = None) -> None:
        if self._tracer.thread == get_ident():
            self._tracer.end(self._name, part, inputs, output)


def version_of(tensor: Tensor) -> int:
    """How many operations have overwritten a tensor; 0 for one made in inference mode, which does not count them."""
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 - no public name tells it


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a value, also inside of tuples, lists and mappings."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from tensors_in(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from tensors_in(one)
