"""What a PyTorch module offers to be tapped."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from ..offers import Offer
from ..tap import Candidate
from .arguments import Shapes
from .network import TorchNetwork
from .reading.kinds import class_kind


def torch_offer(module: nn.Module, input_shape: Shapes, layouts: Mapping[str, str] | None = None) -> Offer:
    """What a PyTorch module in eval mode offers; the parts that cannot be tapped come last. layouts: as `TorchNetwork`.

    Raises what `TorchNetwork` raises.
    """
    with TorchNetwork(module, input_shape, taps="*", layouts=layouts) as network:
        candidates, shape, inputs = network.candidates, network.input_shape, network.inputs
    free = [one for one in candidates if not one.obstacle]
    rest = [one for one in candidates if one.obstacle]
    known = {one.name for one in candidates}
    idle = [
        Candidate(name, class_kind(part), obstacle="it does not run as a module")
        for name, part in module.named_modules()
        if name and name not in known
    ]
    return Offer("torch", shape, (*free, *rest, *idle), inputs=inputs)
