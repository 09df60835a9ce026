"""The neurons of one batch, read off modules and functions while they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import get_ident
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .attaching import Attachment, Hook
from .reading.functions import name_of

Reads = Sequence[tuple[int, Callable[[Tensor], Tensor]]]
"""What to read of one tensor: the position of each tap, and what makes its neurons."""


@dataclass(frozen=True)
class Plan:
    """What to read of a run, and the calls that must be there.

    parts: the modules to listen to, by path. runs: of each whose result is read, what to read at each of its runs.
    sequence: the calls, inside of `owners`, of every function of which one call is read: the function, the path of the
    innermost owner that runs, and what to read. owners: the paths of the modules that call a tapped one.
    """

    parts: Mapping[str, nn.Module]
    runs: Mapping[str, Sequence[Reads]]
    sequence: Sequence[tuple[Any, str, Reads]]
    owners: frozenset[str]


class Recorder(TorchFunctionMode):
    """Listens to the runs of a module in one thread, one after the other.

    The mode for functions is on only inside of the modules that call a tapped one.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.thread = -1
        self.neurons: dict[int, Tensor] = {}
        self._sequence = plan.sequence
        self._functions = frozenset(function for function, _, _ in plan.sequence)
        self._attachment = Attachment()
        self._hooks = []
        for path, part in plan.parts.items():
            inside = _Inside(self, path) if path in plan.owners else None
            hook = _Reading(self, path, plan.runs.get(path), inside)
            self._hooks.append(hook)
            self._attachment.add(part, hook, inside)
        self.running: list[str] = []
        self._next, self._strange, self._unread = 0, "", ""

    def run(self, call: Callable[..., Any], *arguments: Any) -> tuple[Any, list[Tensor]]:
        """What `call` returns, which runs the module, and the neurons in the order of the taps.

        Raises RuntimeError where other modules or functions ran than in the trial.
        """
        self.neurons = {}
        self._next, self._strange, self._unread = 0, "", ""
        for hook in self._hooks:
            hook.run = 0
        self.thread = get_ident()
        try:
            self._attachment.on()
            output = call(*arguments)
        finally:
            self.thread = -1
            self._attachment.off()
            if self.running:  # an interrupt ends modules without a word
                self.running.clear()
                self.__exit__(None, None, None)
        self._check()
        neurons, self.neurons = self.neurons, {}
        return output, [neurons[position] for position in range(len(neurons))]

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        value = func(*args, **kwargs) if kwargs else func(*args)
        if func in self._functions and not self._strange:
            position, owner = self._next, self.running[-1]
            if position < len(self._sequence) and self._sequence[position][:2] == (func, owner):
                self._next = position + 1
                try:
                    for place, read in self._sequence[position][2]:
                        self.neurons[place] = read(value)
                except Exception as error:  # noqa: BLE001 - `run` tells of it
                    self.miss(value, f"{name_of(func)!r} in {owner or 'the module itself'}", error)
            else:
                got = f"{name_of(func)!r} in {owner or 'the module itself'}"
                self._strange = f"expected {self._told(position)} next, as in the trial run, got {got}"
        return value

    def miss(self, value: Any, where: str, error: Exception) -> None:
        """Keep in mind what could not be read, which must not stop the module: `run` raises then."""
        got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        self._unread = self._unread or f"expected a tensor of {where} as in the trial run, got {got}: {error}"

    def _check(self) -> None:
        if self._unread:
            raise RuntimeError(f"{self._unread}; the module must stay as it is, and shapes must not depend on the data")
        for hook in self._hooks:
            if hook.runs is not None and hook.run != len(hook.runs):
                raise RuntimeError(
                    f"expected {hook.path!r} to run {len(hook.runs)} times a batch, as in the trial run, "
                    f"got {hook.run}; the parts that run must not depend on the data"
                )
        if not self._strange and self._next < len(self._sequence):
            self._strange = f"expected {self._told(self._next)}, as in the trial run, got no such call"
        if self._strange:
            raise RuntimeError(f"{self._strange}; the functions that are called must not depend on the data")

    def _told(self, position: int) -> str:
        if position == len(self._sequence):
            return "no more calls"
        function, path, _ = self._sequence[position]
        return f"a call of {name_of(function)!r} in {path or 'the module itself'}"


class _Inside(Hook):
    """Turns the mode for functions on when a module begins."""

    __slots__ = ("_path", "_recorder")

    def __init__(self, recorder: Recorder, path: str) -> None:
        self._recorder, self._path = recorder, path

    def __call__(self, part: nn.Module, inputs: Any, output: Any = None) -> None:
        recorder = self._recorder
        if recorder.thread == get_ident():
            recorder.running.append(self._path)
            if len(recorder.running) == 1:
                recorder.__enter__()

    def leave(self) -> None:
        recorder = self._recorder
        recorder.running.pop()
        if not recorder.running:
            recorder.__exit__(None, None, None)


class _Reading(Hook):
    """Reads what a module returned. runs: what to read at each of its runs, None for nothing. run: how many it had."""

    __slots__ = ("_inside", "_recorder", "path", "run", "runs")

    def __init__(self, recorder: Recorder, path: str, runs: Sequence[Reads] | None, inside: _Inside | None) -> None:
        self._recorder, self.path, self.runs, self._inside = recorder, path, runs, inside
        self.run = 0

    def __call__(self, part: nn.Module, inputs: Any, output: Any = None) -> None:
        recorder = self._recorder
        if recorder.thread != get_ident():
            return
        if self._inside is not None:
            self._inside.leave()
        runs = self.runs
        if runs is not None and output is not None:
            run = self.run
            self.run = run + 1
            if run < len(runs):
                try:
                    for place, read in runs[run]:
                        recorder.neurons[place] = read(output)
                except Exception as error:  # noqa: BLE001 - `run` tells of it
                    recorder.miss(output, self.path, error)
