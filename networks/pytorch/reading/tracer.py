"""A run of a module in which everything is written down: the modules and functions that ran, and their tensors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from threading import get_ident
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..attaching import Attachment, Hook

_POINTS = 2048

Key = tuple[int, int]
T = TypeVar("T")


class Memory:
    """What one tensor or several lie in. latest: the highest version in which one of them was seen."""

    __slots__ = ("latest",)

    def __init__(self) -> None:
        self.latest = 0


class Seen(NamedTuple):
    """What a tensor was at one moment: in place, an operation makes another of it. The tensor itself may be gone.

    number: of the tensor in its run. points: about 2,000 of its values then, at places that its shape alone decides;
    None where it holds no floats. strides: none where it is no ordinary tensor. weight: whether it is a parameter.
    """

    number: int
    version: int
    points: Tensor | None
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    memory: Memory
    weight: bool

    @property
    def key(self) -> Key:
        return self.number, self.version

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def overwritten(self) -> bool:
        """Whether an operation has changed it since."""
        return self.memory.latest > self.version


@dataclass(frozen=True)
class Call:
    """A module or a function that ran.

    of: the function, or the module. path: of the module, or of the one whose `forward` called the function. within: the
    paths of the modules that were running, outermost first. inputs, outputs: the tensors among its arguments and
    results, also inside of lists and mappings. returned: the type of its result.
    """

    of: Any
    path: str
    within: tuple[str, ...]
    inputs: tuple[Seen, ...]
    outputs: tuple[Seen, ...]
    returned: type[Any]

    @property
    def is_module(self) -> bool:
        return isinstance(self.of, nn.Module)

    @property
    def returns_tensor(self) -> bool:
        return issubclass(self.returned, Tensor)


class Tracer(TorchFunctionMode):
    """Runs a module once and keeps every call, in the order in which they ended, and none of the tensors.

    names: of the modules in it. Functions that functions of PyTorch call in turn are not seen. What the module raises
    goes through.
    """

    def __init__(self, names: Mapping[nn.Module, str]) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.thread = -1
        self._running: list[tuple[str, tuple[Seen, ...]]] = []
        self._seen: dict[Key, Seen] = {}
        self._numbers: _Known[int] = _Known(itertools.count().__next__)
        self._memories: _Known[Memory] = _Known(Memory)
        self._hooks = Attachment()
        for part, name in names.items():
            # A TorchScript part keeps its hooks elsewhere; the functions around it see its tensors.
            if not isinstance(part, torch.jit.ScriptModule):
                self._hooks.add(part, _After(self, name), _Before(self, name))

    def run(self, call: Callable[[], Any]) -> Any:
        """What `call`, which runs the module, returns."""
        self.thread = get_ident()
        try:
            self._hooks.on()
            with self:
                return call()
        finally:
            self.thread = -1  # a hook may be called later, too
            self._hooks.off()

    def key_of(self, tensor: Tensor) -> Key:
        """What tells a tensor that still lives from all others of the run."""
        return self._numbers.of(tensor), version_of(tensor)

    def begin(self, name: str, inputs: tuple[Any, ...]) -> None:
        """A module begins to run."""
        self._running.append((name, self._looks(inputs)))

    def end(self, name: str, part: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """It has run; output is None where it raised."""
        _, taken = self._running.pop()  # as it was before: the module may have overwritten it
        self._note_versions(inputs)
        if output is not None:
            self._write_down(part, name, taken, output)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self._running or get_ident() != self.thread:
            return func(*args, **kwargs)
        inputs = self._looks((args, kwargs))
        value = func(*args, **kwargs)
        self._note_versions((args, kwargs))
        self._write_down(func, self._running[-1][0], inputs, value)
        return value

    def _write_down(self, of: Any, path: str, inputs: tuple[Seen, ...], value: Any) -> None:
        if outputs := self._looks(value):
            within = tuple(name for name, _ in self._running)
            self.calls.append(Call(of, path, within, inputs, outputs, type(value)))

    def _note_versions(self, value: Any) -> None:
        with torch._C.DisableTorchFunction():  # noqa: SLF001
            for tensor in tensors_in(value):
                if memory := self._memory_of(tensor):
                    memory.latest = max(memory.latest, version_of(tensor))

    def _looks(self, value: Any) -> tuple[Seen, ...]:
        with torch._C.DisableTorchFunction():  # noqa: SLF001 - PyTorch has no public way to look at a tensor unseen
            return tuple(map(self._look, tensors_in(value)))

    def _look(self, tensor: Tensor) -> Seen:
        key = self.key_of(tensor)
        if key not in self._seen:
            memory, points = self._memory_of(tensor), None
            if memory is not None and tensor.is_floating_point():
                values = tensor.detach().reshape(-1)
                points = values[:: max(1, len(values) // _POINTS)].clone()
            self._seen[key] = Seen(
                *key, points,
                tuple(tensor.shape) if not tensor.is_nested else (),
                () if memory is None else tensor.stride(),
                str(tensor.dtype).removeprefix("torch."),
                memory or Memory(),
                isinstance(tensor, nn.Parameter),
            )  # fmt: skip
        seen = self._seen[key]
        seen.memory.latest = max(seen.memory.latest, seen.version)
        return seen

    def _memory_of(self, tensor: Tensor) -> Memory | None:
        """None for what is no ordinary tensor, such as a sparse or nested one, or one row of `torch.vmap`."""
        try:
            plain = tensor.layout == torch.strided and not tensor.is_nested
            return self._memories.of(tensor.untyped_storage()) if plain else None
        except NotImplementedError:
            return None


class _Known(Generic[T]):
    """Something for each of the objects that live or have lived, which it does not keep alive."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._known: dict[int, tuple[ReferenceType[Any], T]] = {}

    def of(self, one: Any) -> T:
        known = self._known.get(id(one))
        if known is None or known[0]() is not one:  # another object had this address
            known = self._known[id(one)] = ref(one), self._make()
        return known[1]


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
