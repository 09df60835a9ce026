"""Trial runs of a module on noise: what can be tapped, what a frame's calls must be, and what they leave behind."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..layouts import undecided, with_layouts
from ..tap import Candidate, Tap, candidate
from .arguments import Arguments
from .fingerprint import module_fingerprint
from .neurons import reader
from .outputs import same_bits
from .reading.channels import channel_axes
from .reading.kinds import kinds_of
from .reading.tracer import Call, Key, Tracer, version_of
from .recorder import Plan, Reads
from .state import KeptState

_QUANTISED = "quint8", "qint8", "qint32"
FRAMES, AGAIN = 2, 3  # of the two runs: enough to tell the batch axis from others


def names_in(module: nn.Module) -> dict[nn.Module, str]:
    """The path of each part of a module, without the wrappers that `torch.compile` puts around some."""
    return {
        part: ".".join(step for step in name.split(".") if step != "_orig_mod")
        for name, part in module.named_modules()
        if not hasattr(part, "_orig_mod")
    }


@contextmanager
def as_written(module: nn.Module) -> Iterator[None]:
    """While this is open, what `torch.compile` has compiled runs as it was written, where hooks see it."""
    with torch.compiler.set_stance("force_eager") if is_compiled(module) else nullcontext():
        yield


def is_compiled(module: nn.Module) -> bool:
    """Whether the module or a part of it is compiled by `torch.compile`."""
    return any(
        hasattr(part, "_orig_mod") or getattr(part, "_compiled_call_impl", None) is not None
        for part in module.modules()
    )


@contextmanager
def undone(module: nn.Module, state: KeptState) -> Iterator[None]:
    """What runs inside leaves the buffers and attributes of a module, and the random numbers, as they were."""
    tensors = (*module.parameters(), *module.buffers())
    devices = {tensor.device.index for tensor in tensors if tensor.device.type == "cuda"}
    others, numbers = random.getstate(), np.random.get_state()  # noqa: NPY002 - a module may use the global ones
    with torch.random.fork_rng(sorted(devices)):
        try:
            yield
        finally:
            state.restore()
            random.setstate(others)
            np.random.set_state(numbers)  # noqa: NPY002


class TrialError(ValueError):
    """A module that does not take the frames of a trial run."""


class Trial:
    """Two traced runs of a module, on 2 and on 3 frames of noise; behind them it is as it was.

    candidates: what can be tapped, in the order in which it was computed. calls: of the first run. output: of the
    first. again: of the second, None where it failed. moving: the places that every run changes, with a name for each.
    fingerprint: of the module where a run leaves anything in it, without what moves; "" otherwise. ordinary: whether it
    needs ordinary tensors, not those of inference mode, since it keeps them or computes gradients.
    overwrites_input, random: whether it does, and is. Raises TrialError where the module does not take such frames.
    """

    def __init__(self, module: nn.Module, arguments: Arguments, layouts: Mapping[str, str] | None = None) -> None:
        self.arguments, self._module = arguments, module
        self._names = names_in(module)
        self.fingerprint, self.random = "", False
        samples = arguments.samples(FRAMES)
        try:
            first, self.output, self.moving = self._traced(samples)
        except Exception as error:
            alone = "; it takes one frame alone: export it to ONNX" if self._runs(arguments.samples(1)) else ""
            raise TrialError(f"expected a module that takes {_shown(samples)}, got {error!r}{alone}") from error
        self.calls, self.key_of = first.calls, first.key_of
        self._given = {self.key_of(sample)[0] for sample in samples}
        self.overwrites_input = any(version_of(sample) > 0 for sample in samples)
        self.ordinary = bool(self.fingerprint)
        self.again: Any = None
        try:
            second, self.again, _ = self._traced(arguments.samples(AGAIN))
            others = second.calls
        except Exception:  # noqa: BLE001 - it takes 2 frames and no other number, so nothing more is known
            others = []
        alike = [call.of for call in others] == [call.of for call in self.calls]
        self._firsts = [_first_axis(call) for call in others] if alike else [None] * len(self.calls)
        self._sites: dict[str, int] = {}
        self.candidates = with_layouts(list(self._candidates()), layouts)

    def plan(self, taps: Sequence[Tap]) -> Plan:
        """What to read of a run for these taps, and the calls that must be there."""
        wanted: dict[int, list[tuple[int, Callable[[Tensor], Tensor]]]] = {}
        for position, tap in enumerate(taps):
            site = self._sites[tap.name]
            seen = self.calls[site].outputs[0]
            read = reader(tap, seen.overwritten, seen.dtype in _QUANTISED)
            wanted.setdefault(site, []).append((position, read))
        parts = {self.calls[site].path: self.calls[site].of for site in wanted if self.calls[site].is_module}
        runs: dict[str, list[Reads]] = {path: [] for path in parts}
        for i, call in enumerate(self.calls):
            if call.is_module and call.path in runs:
                runs[call.path].append(wanted.get(i, []))
        called = [self.calls[site] for site in wanted if not self.calls[site].is_module]
        functions, owners = {call.of for call in called}, frozenset(call.path for call in called)
        parts |= {path: part for part, path in self._names.items() if path in owners}
        sequence = [
            (call.of, [path for path in call.within if path in owners][-1], wanted.get(i, []))
            for i, call in enumerate(self.calls)
            if not call.is_module and call.of in functions and owners.intersection(call.within)
        ]
        return Plan(parts, runs, sequence, owners)

    def again_differs(self, watched: Callable[[Callable[[], Any]], Any]) -> bool:
        """Whether a run that is watched returns something else, to the last bit, than one that is not.

        A module that differs from run to run by itself tells nothing. It also notes whether random numbers make it
        differ. watched: runs what it is given.
        """
        state = KeptState(self._names)

        def run(how: Callable[[Callable[[], Any]], Any], seed: int = 0) -> Any:
            samples = self.arguments.samples(FRAMES)
            with torch.inference_mode(not self.ordinary), torch.no_grad(), undone(self._module, state):
                torch.manual_seed(seed)
                random.seed(seed)
                np.random.seed(seed)  # noqa: NPY002, TID251 - what the module may use
                return how(lambda: self.arguments.call(self._module, samples))

        def plain(call: Callable[[], Any]) -> Any:
            return call()

        try:
            alone = run(plain)
        except Exception:  # noqa: BLE001 - it computes gradients, which cannot be had in inference mode
            self.ordinary = True
            alone = run(plain)
        if same_bits(alone, run(plain, seed=1)):
            return not same_bits(alone, run(watched))
        self.random = same_bits(alone, run(plain))
        return self.random and not same_bits(alone, run(watched))

    def _traced(self, samples: tuple[Tensor, ...]) -> tuple[Tracer, Any, dict[Any, str]]:
        tracer, state = Tracer(self._names), KeptState(self._names)
        with torch.no_grad(), as_written(self._module), undone(self._module, state):
            torch.manual_seed(0)  # what it makes ready at random is the same in every process
            output = tracer.run(lambda: self.arguments.call(self._module, samples))
            moving = {}
            if state.changed():
                moving = self._moved_again(samples)
                self.fingerprint = self.fingerprint or module_fingerprint(self._module, moving)
            return tracer, output, moving

    def _runs(self, samples: tuple[Tensor, ...]) -> bool:
        """Whether the module takes these frames."""
        with suppress(Exception):
            self._traced(samples)
            return True
        return False

    def _moved_again(self, samples: tuple[Tensor, ...]) -> dict[Any, str]:
        """What a second run changes once more: the first may only have made something ready."""
        state = KeptState(self._names)
        with suppress(Exception):  # what it keeps does not fit these frames
            self.arguments.call(self._module, tuple(sample.flip(0) for sample in samples))
        return state.changed()

    def _candidates(self) -> Iterator[Candidate]:
        kinds, axes = kinds_of(self.calls, self._given), channel_axes(self.calls)
        paths = set(self._names.values())
        runs: dict[str, int] = {}
        for i, (call, kind, first) in enumerate(zip(self.calls, kinds, self._firsts, strict=True)):
            if not kind or (call.is_module and not call.path):
                continue
            name = call.path
            if not call.is_module:
                own = kind.removesuffix("-part")
                name = f"{name}.{own}" if name else own
                name = f"{name}#function" if name in paths else name
            run = runs[name] = runs.get(name, 0) + 1
            name = name if run == 1 else f"{name}#{run}"
            self._sites[name] = i
            yield _candidate(name, kind, call, first, axes)


def _candidate(name: str, kind: str, call: Call, first: int | None, axes: Mapping[Key, int]) -> Candidate:
    if not call.returns_tensor:
        obstacle = f"expected a module that returns a tensor, got {call.returned.__name__}"
        return Candidate(name, kind, obstacle=obstacle)
    (seen,) = call.outputs
    shape, dtype = seen.shape, "float32" if seen.dtype in _QUANTISED else seen.dtype
    if kind == "attention" and len(shape) == 4 and shape[0] == FRAMES:
        return Candidate(name, kind, shape[1:], "NHLC", dtype)
    axis = axes.get(seen.key)
    last = None if axis is None else axis == len(shape) - 1
    again = None if first is None else (AGAIN, first)
    found = candidate(name, kind, shape, dtype, batch=FRAMES, channels_last=last, again=again)
    return undecided(found) if axis is None else found


def _first_axis(call: Call) -> int | None:
    return call.outputs[0].shape[0] if call.returns_tensor and call.outputs[0].shape else None


def _shown(samples: Sequence[Tensor]) -> str:
    """``a batch of shape (2, 3, 8, 8)``, with the dtype where it is not float32."""
    kinds = ("" if sample.dtype == torch.float32 else f" {str(sample.dtype)[6:]}" for sample in samples)
    listed = (f"{tuple(sample.shape)}{kind}" for sample, kind in zip(samples, kinds, strict=True))
    return f"a batch of shape {' and '.join(listed)}"
