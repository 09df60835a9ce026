"""Attack your own monitor with all that is known of it: a differentiable twin, and attacks that use it.

It needs PyTorch, and is not imported by `outrider.monitor`.
"""

from __future__ import annotations

from ....networks.packages import require

require("torch", "attacks on a monitor need PyTorch", "torch")

from .attack import STRATEGIES, Attacked, attack  # noqa: E402
from .criteria import criterion_twin, through, twin_of_criterion  # noqa: E402
from .descent import Strategy  # noqa: E402
from .logics import logic_twin, twin_of_logic  # noqa: E402
from .twin import Twin, TwinVerdicts  # noqa: E402

__all__ = [
    "STRATEGIES", "Attacked", "Strategy", "Twin", "TwinVerdicts", "attack", "criterion_twin", "logic_twin", "through",
    "twin_of_criterion", "twin_of_logic",
]  # fmt: skip
