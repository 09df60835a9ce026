"""A module that returns what another returns, its class scores and its neurons: for programs that are made of it.

Hooks belong to one process and one run. Here the parts that are tapped are of classes of their own, whose `forward`
keeps what it returns, so that whatever is traced, compiled, exported or copied to other devices has the taps in it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..neurons import FIRST
from ..tap import Tap
from .fused import passes
from .network import TorchNetwork
from .outputs import class_scores_of, pick
from .reading.functions import name_of
from .recorder import Reads


class WatchedOutput(NamedTuple):
    """output: of the module itself. scores: (n, classes) float32, None without classes. neurons: of each tap asked."""

    output: Any
    scores: Tensor | None
    neurons: list[Tensor]


class WatchedModule(nn.Module):
    """The module of a network, as a module that returns `WatchedOutput`, in float32 whatever the module computes in.

    It has the parts of the module, copied, and its weights, not copied: they are the same memory until either is moved.
    The module itself stays as it is. Gradients flow through the output alone.
    taps: the positions of the network's taps whose neurons it returns, in this order; all by default.
    Raises ValueError for a module that is compiled, takes another way while it is watched, keeps something from frame
    to frame, or cannot be copied, and for class scores of places.
    """

    def __init__(self, network: TorchNetwork, taps: Sequence[int] | None = None) -> None:
        super().__init__()
        plan, refused = network.plan, network.cannot_be_rebuilt
        if refused:
            raise ValueError(f"expected {refused}, got {network!r}")
        self.module = twin_of(network.module)
        self.classes, self.scores, self.key = network.classes, network.scores, network.scores_output
        last = len(network.taps) - 1 if self.classes is not None else -1  # that of the scores
        self.taps = list(range(len(network.taps)) if taps is None else taps)
        self.of_scores = [position for position in self.taps if position == last]
        read = set(self.taps) - {last}
        runs = {path: [_some(reads, read) for reads in several] for path, several in plan.runs.items()}
        sequence = [(function, _some(reads, read)) for function, _, reads in plan.sequence]
        parts: dict[str, Any] = dict(self.module.named_modules())
        inner = {path for path in plan.owners if any(_within(path, other) for other in plan.owners)}
        self.tapped = [path for path, several in runs.items() if any(several)]
        self.listening = sorted(plan.owners - inner) if any(reads for _, reads in sequence) else []
        self.sequence = sequence
        for path in dict.fromkeys((*self.tapped, *self.listening)):
            part = parts[path]
            part.outrider_runs = runs[path] if path in self.tapped else None
            part.outrider_listens = path in self.listening
            part.outrider_seen = part.outrider_listener = None
            part.outrider_pools = _pools(part, part.outrider_runs, network.taps)
            kind: Any = type(part)
            part.__class__ = _tapped(kind)

    def forward(self, *inputs: Any, **named: Any) -> WatchedOutput:
        listener = Listener(self.sequence) if self.listening else None
        parts: list[Any] = [self.module.get_submodule(path) for path in self.tapped]
        owners: list[Any] = [self.module.get_submodule(path) for path in self.listening]
        for part in parts:
            part.outrider_seen = []
        for owner in owners:
            owner.outrider_listener = listener
        output = self.module(*inputs, **named)
        found: dict[int, Tensor] = {}
        for path, part in zip(self.tapped, parts, strict=True):
            seen = part.outrider_seen
            part.outrider_seen = None
            if len(seen) != len(part.outrider_runs):
                raise RuntimeError(
                    f"expected {path!r} to run {len(part.outrider_runs)} times, as when it was profiled, got"
                    f" {len(seen)}; the parts that run must not depend on the data"
                )
            for run in seen:
                found.update(run)
        for owner in owners:
            owner.outrider_listener = None
        if listener is not None:
            found.update(listener.found())
        cut = [position for position, values in found.items() if values.ndim == 3]
        found.update(zip(cut, passes.joined([found[position] for position in cut], passes.MEAN), strict=True))
        scores = None
        if self.classes is not None:
            scores = class_scores_of(pick(output, self.key).detach(), self.scores)
            found.update((position, scores) for position in self.of_scores)
        neurons = [found[position] for position in self.taps]
        return WatchedOutput(output, scores, neurons)


class Listener(TorchFunctionMode):
    """Reads what functions return, in the order in which they are called inside of the parts that listen."""

    def __init__(self, sequence: list[tuple[Any, Reads]]) -> None:
        super().__init__()
        self.sequence = sequence
        self.functions = frozenset(function for function, _ in sequence)
        self.runs: list[dict[int, Tensor]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        value = func(*args, **kwargs) if kwargs else func(*args)
        if func in self.functions:
            run = len(self.runs)
            if run >= len(self.sequence) or self.sequence[run][0] is not func:
                raise RuntimeError(
                    f"expected the functions that ran when it was profiled, got {name_of(func)!r} as number {run + 1};"
                    " the functions that are called must not depend on the data"
                )
            self.runs.append(neurons_of(value, self.sequence[run][1]))
        return value

    def found(self) -> dict[int, Tensor]:
        """The neurons by the position of their tap. Raises RuntimeError where too few functions ran."""
        if len(self.runs) != len(self.sequence):
            raise RuntimeError(
                f"expected {len(self.sequence)} calls of functions, as when it was profiled, got {len(self.runs)}"
            )
        return {position: values for run in self.runs for position, values in run.items()}


class Tapped:
    """A part that keeps the neurons of what it returns, while its `WatchedModule` runs."""

    outrider_runs: Any
    outrider_listens: bool
    outrider_seen: list[dict[int, Tensor]] | None
    outrider_listener: Listener | None
    outrider_pools: list[int | None] | None

    def forward(self, *inputs: Any, **named: Any) -> Any:
        seen = self.outrider_seen
        if seen is not None and self.outrider_pools is not None and passes.takes(inputs[0]):
            return self.fused(inputs[0], seen)
        if self.outrider_listener is not None:
            with self.outrider_listener:
                value = super().forward(*inputs, **named)  # type: ignore[misc]
        else:
            value = super().forward(*inputs, **named)  # type: ignore[misc]
        if seen is not None:
            seen.append(neurons_of(value, self.reads(seen)))
        return value

    def reads(self, seen: list[dict[int, Tensor]]) -> Reads:
        """What to read of this run; nothing of one run too many, of which `WatchedModule` tells."""
        run = len(seen)
        return self.outrider_runs[run] if run < len(self.outrider_runs) else ()

    def fused(self, x: Tensor, seen: list[dict[int, Tensor]]) -> Tensor:
        """The ReLU of a map and the means of its channels in one pass."""
        y = x if self.inplace else torch.empty_like(x)  # type: ignore[attr-defined]
        pools = self.outrider_pools or []
        position = pools[len(seen)] if len(seen) < len(pools) else None
        parts = passes.relu_pooled_now(x, y, passes.MEAN)
        rest = [(at, read) for at, read in self.reads(seen) if at != position]
        seen.append(neurons_of(y, rest) | ({} if position is None else {position: parts}))
        return y


def _pools(part: nn.Module, runs: Any, taps: Sequence[Tap]) -> list[int | None] | None:
    """Of each run of a ReLU the tap that takes the means of the channels; None where it has none in any."""
    if type(part) is not nn.ReLU or not runs:
        return None
    found = [
        next((at for at, _ in reads if taps[at].neurons == "channel" and taps[at].layout in FIRST), None)
        for reads in runs
    ]
    return found if any(at is not None for at in found) else None


@cache
def _tapped(kind: Any) -> type[nn.Module]:
    return type(f"Tapped{kind.__name__}", (Tapped, kind), {"__module__": kind.__module__})


def neurons_of(value: Tensor, reads: Reads) -> dict[int, Tensor]:
    """The neurons of a tensor by the position of each tap, float32."""
    if not reads:
        return {}
    value = value.detach()
    if not value.is_quantized:
        value = value.float()
    return {position: read(value) for position, read in reads}


def twin_of(module: nn.Module) -> nn.Module:
    """A copy of a module with its weights and buffers in the same memory. Raises ValueError where it has no copy."""
    memo: dict[int, Any] = {}
    for part in module.modules():
        for weight in part.parameters(recurse=False):
            memo[id(weight)] = nn.Parameter(weight.detach(), requires_grad=weight.requires_grad)
        for buffer in part.buffers(recurse=False):
            memo[id(buffer)] = buffer
        memo.update((id(value), value) for value in vars(part).values() if isinstance(value, Tensor))
    try:
        return copy.deepcopy(module, memo)
    except Exception as error:
        raise ValueError(f"expected a module that can be copied, got {type(module).__name__}: {error!r}") from error


def _some(reads: Reads, positions: Collection[int]) -> Reads:
    return [(position, read) for position, read in reads if position in positions]


def _within(path: str, other: str) -> bool:
    return path != other and (other == "" or path.startswith(f"{other}."))
