"""A module with its monitor inside: `guarded(frames)` returns its output, and a score and an alarm for each frame."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...networks.pytorch.network import TorchNetwork
from ...networks.pytorch.outputs import same_bits
from ...networks.pytorch.watched import WatchedModule
from ..calibration import Calibration
from ..errors import MismatchError, NotReadyError
from ..facts.network import NetworkFacts
from ..logic import Logic
from ..monitor import Monitor
from ..profile import Profile
from .bench import Bench, Judgement


class Guarded(NamedTuple):
    """What a guarded module returns for n frames.

    output: of the module itself. score: (n,) float64, as of `Verdict`, infinite for a frame that alarms in any case.
    alarm: (n,) bool. deviations: (n, columns) float32. All on the module's device.
    """

    output: Any
    score: Tensor
    alarm: Tensor
    deviations: Tensor


class GuardedModule(nn.Module):
    """A module and the monitor of it as one module; `guarded_module` makes it.

    watched: the module with its taps. bench: the judge, whose tables are buffers. It takes what the module takes, and
    `threshold=` in place of the calibrated one: a number, or a tensor of one or of a threshold for each class. It can
    be moved, compiled, captured and exported as any other. `half()` and autocast change the module and not the judge,
    which pools and compares in float32. It stays in eval mode.
    """

    def __init__(self, watched: WatchedModule, bench: Bench) -> None:
        super().__init__()
        self.watched, self.bench = watched, bench
        self.columns = bench.names
        super().train(False)

    def forward(self, *inputs: Any, **named: Any) -> Guarded:
        threshold = named.pop("threshold", None)  # no parameter: the older exporter hands those on by position
        return self.guard(inputs, named, threshold)

    def guard(self, inputs: tuple[Any, ...], named: Mapping[str, Any], threshold: Tensor | float | None) -> Guarded:
        """What it returns for the arguments of the module."""
        output, judged, _ = self.judged(inputs, named, threshold)
        return Guarded(output, judged.score, judged.alarm, judged.deviations)

    def judged(
        self, inputs: tuple[Any, ...], named: Mapping[str, Any], threshold: Tensor | float | None = None
    ) -> tuple[Any, Judgement, list[Tensor]]:
        """The output, the `Judgement` with the class predicted, and the neurons that it was made of."""
        frames = [part.detach() for part in _floats_in((inputs, named))]
        output, scores, neurons = self.watched(*inputs, **named)
        sources = self.bench.sources(neurons)
        return output, self.bench(sources, scores, frames, threshold), sources

    def train(self, mode: bool = True) -> GuardedModule:
        """Raises ValueError for training mode: what it judges by was learned from the module at rest."""
        if mode:
            raise ValueError("expected a guarded module to stay in eval mode, got train(); train the module itself")
        return self


class GuardedFrames(GuardedModule):
    """A `GuardedModule` of a module with one input, with the parameters of it that exporters ask for by name."""

    def forward(self, frames: Any, threshold: Tensor | float | None = None) -> Guarded:
        return self.guard((frames,), {}, threshold)


def guarded_module(
    module: nn.Module, profile: str | os.PathLike[str] | Monitor, *, key: str | os.PathLike[str] | None = None
) -> GuardedModule:
    """A module that returns `(output, score, alarm, deviations)` of a module and a calibrated profile of it.

    module: a PyTorch module in eval mode, on one device. profile: the file, or the `Monitor`. key: as for
    `Monitor.load`. The module stays as it is; the guarded one has its weights in the same memory until it is moved.
    Its output is that of the module, to the last bit; that is tried on noise before it is returned.
    Raises ValueError for a module whose weights lie on several devices, that is compiled or cannot be copied, and for a
    criterion, tap or logic that has no form on a device, by its name. Raises MismatchError for the profile of another
    network, NotReadyError for one without a threshold, and what `Monitor.load` raises.
    """
    device = _one_device(module)
    monitor = profile if isinstance(profile, Monitor) else Monitor.load(profile, module, key=key)
    if monitor.calibration is None:
        raise NotReadyError("expected a calibrated profile, got one without a threshold; call calibrate()")
    learned, network = monitor.learned, monitor.network
    if not isinstance(network, TorchNetwork):
        raise MismatchError(
            f"expected the profile of a PyTorch module, got that of a network of engine {learned.facts.engine};"
            " `transfer` moves it to another form of the network"
        )
    if network.module is not module:
        network = _opened(module, learned)
    guarded = _made(network, learned, monitor.logic, monitor.calibration).to(device)
    _refuse_other_output(module, guarded, network)
    return guarded


def _made(network: TorchNetwork, profile: Profile, logic: Logic, calibration: Calibration) -> GuardedModule:
    bench = Bench(profile, logic, calibration)
    order = {tap.id: i for i, tap in enumerate(network.taps)}
    kind = GuardedFrames if len(network.inputs) == 1 else GuardedModule
    return kind(WatchedModule(network, [order[tap.id] for tap in profile.facts.taps]), bench)


def _opened(module: nn.Module, profile: Profile) -> TorchNetwork:
    """The network of another module, which must be the one that the profile was learned from."""
    try:
        network = TorchNetwork(module, **profile.facts.options())
    except (TypeError, ValueError) as error:
        raise MismatchError(f"expected the network that the profile was learned from, got another: {error}") from error
    profile.facts.refuse_another("the profile", NetworkFacts.of(network, network.taps))
    return network


def _one_device(module: nn.Module) -> torch.device:
    """Where the module is. Raises ValueError where that is several devices, TypeError for what is no module."""
    if not isinstance(module, nn.Module):
        raise TypeError(f"expected a PyTorch module, got {type(module).__name__}")
    found: dict[torch.device, str] = {}
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        found.setdefault(tensor.device, name)
    if len(found) > 1:
        places = ", ".join(f"{name} on {device}" for device, name in found.items())
        raise ValueError(f"expected a module on one device, got {places}; move it with .to(), or guard its parts")
    return next(iter(found), torch.device("cpu"))


def _refuse_other_output(module: nn.Module, guarded: GuardedModule, network: TorchNetwork) -> None:
    """Raise ValueError unless the guarded module returns what the module does, to the last bit."""
    samples = network.samples(2)
    with torch.no_grad():
        bare, own = (network.call(one, samples) for one in (module, guarded))
    if not same_bits(bare, own.output):
        raise ValueError(
            "expected the output of the module from the guarded one, got another; a module that draws random numbers"
            " or looks at the classes of its parts cannot be guarded so"
        )


def _floats_in(value: Any) -> Iterator[Tensor]:
    """The tensors of floats in a value, also inside of tuples, lists and mappings."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and value.ndim > 0:
            yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _floats_in(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _floats_in(one)
