"""What forward hooks see of a module: its parts in a trial run, and the neurons of every batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..neurons import FIRST
from ..selectors import ACTIVATIONS, GATES, OUTPUT
from ..tap import Candidate, Tap, candidate

TRIAL = 2  # samples in the trial run: enough to tell the batch axis from one of length 1
Sites = Mapping[str, Sequence[Sequence[tuple[int, Tap, bool]]]]
"""For each run of a part the taps to read: position, tap, and whether a later operation overwrites the value."""

_POINTWISE = ACTIVATIONS | GATES | {"dropout", "identity"}


class Recorder:
    """The neurons of one batch, filled by the hooks while the module runs."""

    def __init__(self, sites: Sites) -> None:
        self._sites = sites
        self._runs = dict.fromkeys(sites, 0)
        self._neurons: dict[int, Tensor] = {}

    def take(self, name: str, value: Tensor) -> None:
        """Read what a part returned."""
        run = self._runs[name]
        self._runs[name] = run + 1
        if run < len(self._sites[name]):
            for position, tap, overwritten in self._sites[name][run]:
                self._neurons[position] = neurons_of(tap, value, overwritten)

    def finish(self) -> list[Tensor]:
        """The neurons in the order of the taps. Raises RuntimeError when other parts ran than in the trial."""
        for name, runs in self._runs.items():
            if runs != len(self._sites[name]):
                raise RuntimeError(
                    f"expected {name!r} to run {len(self._sites[name])} times a batch, as in the trial run, "
                    f"got {runs}; the parts that run must not depend on the data"
                )
        return [self._neurons[position] for position in range(len(self._neurons))]


def neurons_of(tap: Tap, value: Tensor, overwritten: bool) -> Tensor:
    """A value (batch, *tap.shape) as neurons, (batch, tap.size), on its device; pixels as (batch * places, tap.size).

    overwritten: whether a later operation overwrites the value. Units and pixels are then a copy.
    """
    first = tap.layout in FIRST
    if tap.neurons in ("unit", "pixel"):
        pixels = tap.neurons == "pixel"
        rows = (value.movedim(1, -1) if first else value).reshape(-1, tap.size) if pixels else value.flatten(1)
        return rows.clone() if overwritten else rows
    value = value.float() if first else value.float().movedim(-1, 1)
    axes = tuple(range(2, value.ndim))
    if tap.neurons == "channel":
        return value.mean(axes)
    if tap.neurons == "channel-max":
        return value.amax(axes)
    pool = functional.adaptive_avg_pool2d if value.ndim == 4 else functional.adaptive_avg_pool1d
    return pool(value, tap.grid).flatten(1)


class Trial:
    """One run with hooks everywhere: which parts run, how often, and what they return."""

    def __init__(self, parts: Iterable[tuple[str, nn.Module]], forward: Callable[[Tensor], Any], zeros: Tensor) -> None:
        self.parts: dict[str, nn.Module] = {}
        self.candidates: list[Candidate] = []
        self._runs: dict[str, list[str]] = {}
        self._versions: dict[str, tuple[Tensor, int]] = {}
        self._channels_last: dict[int, bool] = {}
        handles = []
        try:
            for name, part in parts:
                self.parts[name] = part
                handles.append(part.register_forward_hook(partial(self._see, name, kind_of(part))))
            # Not inference mode: its tensors do not count the operations that overwrite them.
            samples = zeros.clone()
            with torch.no_grad():
                self.output = forward(samples)
        except Exception as error:
            shape = tuple(zeros.shape)
            raise ValueError(f"expected a module that takes a batch of shape {shape}, got {error!r}") from error
        finally:
            for handle in handles:
                handle.remove()
        self.overwrites_input = samples._version > 0  # noqa: SLF001 - no public name tells what was overwritten
        self._overwritten = {name for name, (value, seen) in self._versions.items() if value._version > seen}  # noqa: SLF001
        self._versions.clear()

    def sites(self, taps: Sequence[Tap]) -> Sites:
        """For each tapped part, what to read at each of its runs."""
        wanted: dict[str, list[tuple[int, Tap, bool]]] = {}
        for position, tap in enumerate(taps):
            wanted.setdefault(tap.name, []).append((position, tap, tap.name in self._overwritten))
        return {
            part: [wanted.get(run, []) for run in runs]
            for part, runs in self._runs.items()
            if any(run in wanted for run in runs)
        }

    def _see(self, name: str, kind: str, _part: nn.Module, inputs: tuple[Any, ...], value: Any) -> None:
        runs = self._runs.setdefault(name, [])
        run = f"{name}#{len(runs) + 1}" if runs else name
        runs.append(run)
        if not isinstance(value, Tensor):
            obstacle = f"expected a module that returns a tensor, got {type(value).__name__}"
            self.candidates.append(Candidate(run, kind, obstacle=obstacle))
            return
        source = inputs[0] if inputs else None
        last = self._channels_last.get(id(source)) if kind in _POINTWISE else _channels_last(kind)
        if last is not None:
            self._channels_last[id(value)] = last
        self._versions[run] = value, value._version  # noqa: SLF001
        last = self._channels_last.get(id(value))
        found = candidate(run, kind, value.shape, dtype_name(value.dtype), batch=TRIAL, channels_last=last)
        self.candidates.append(found)


class Observer(nn.Module):
    """Shows the hooks a value of a traced module. source: the argument of the function that computed it."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__()
        self.name = name
        self.kind = kind

    def forward(self, _source: Any, value: Any) -> Any:
        return value


def trial_batch(module: nn.Module, shape: Sequence[int]) -> Tensor:
    """Zeros for a trial run, of the dtype and on the device of the first tensor of floats that the module holds."""
    tensors = (tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_floating_point())
    return next(tensors, torch.empty(0)).new_zeros((TRIAL, *shape))


def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` for torch.float32."""
    return str(dtype).removeprefix("torch.")


def kind_of(part: nn.Module) -> str:
    """The kind of a module's tap: its class in lower case."""
    if isinstance(part, Observer):
        return part.kind
    kind = type(part).__name__.lower()
    return "module" if kind == OUTPUT else kind  # that word means the class scores


def _channels_last(kind: str) -> bool | None:
    """Whether a kind of module returns its channels on the last axis, not behind the batch; None where it is open."""
    if kind in ("linear", "layernorm"):
        return True
    return False if kind.startswith(("conv", "batchnorm", "instancenorm", "groupnorm")) else None
