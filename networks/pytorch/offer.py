"""What a PyTorch module offers to be tapped."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..offers import Offer
from ..tap import Candidate
from .hooks import Trial, kind_of, trial_batch
from .network import TorchNetwork


def torch_offer(module: nn.Module, input_shape: Sequence[int]) -> Offer:
    """What a PyTorch module in eval mode offers; the parts that cannot be tapped come last.

    Raises what `TorchNetwork` raises.
    """
    with TorchNetwork(module, input_shape, taps="*") as network:
        taps = network.taps
    known = {tap.name for tap in taps}
    others = {name: part for name, part in module.named_modules() if name and name not in known}
    found = {
        name: Candidate(name, kind_of(part), obstacle="it does not run as a module") for name, part in others.items()
    }
    trial = Trial(others.items(), module, trial_batch(module, input_shape))
    found |= {c.name: c for c in trial.candidates if c.name in others}
    free = (Candidate(tap.name, tap.kind, tap.shape, tap.layout, tap.dtype) for tap in taps)
    return Offer("torch", tuple(input_shape), (*free, *(c for c in found.values() if c.obstacle)))
