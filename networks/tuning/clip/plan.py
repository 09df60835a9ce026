"""What is done to a CLIP: the method, where unsafe items go, the weights and the order."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .nearest import TARGETS

METHODS = "safer-clip", "safe-clip"
ORDERS = "pair", "target", "none"


@dataclass(frozen=True)
class ClipPlan:
    """SafeR-CLIP (AAAI 2026) by default, or Safe-CLIP (ECCV 2024), on adapters of low rank in both encoders.

    target: where an unsafe item goes: ``nearest``, the nearest safe caption; ``partner``, the safe item of its own
    quadruple; ``fixed``, for all that of the first quadruple whose safe caption is `caption`. redirect, preserve:
    weights of SafeR-CLIP's parts; redirect 0 preserves alone. curriculum: easy pairs first, by the frozen similarity
    of a quadruple's own safe and unsafe item (``pair``), or of the unsafe item and where it goes (``target``); ``none``
    for a shuffled order. Safe-CLIP has its own weights, its own partners and no curriculum.
    rank: of the adapters. Raises ValueError for values that are none of these.
    """

    method: str = "safer-clip"
    target: str = "nearest"
    caption: str | None = None
    redirect: float = 1.0
    preserve: float = 1.0
    curriculum: str = "pair"
    rank: int = 16

    def __post_init__(self) -> None:
        for name, value, known in (
            ("a method", self.method, METHODS),
            ("a target", self.target, TARGETS),
            ("a curriculum", self.curriculum, ORDERS),
        ):
            if value not in known:
                raise ValueError(f"expected {name} among {', '.join(known)}, got {value!r}")
        for name in ("redirect", "preserve"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"expected a weight {name} of at least 0, got {getattr(self, name)!r}")
        if not self.redirect + self.preserve > 0:
            raise ValueError("expected one of the weights redirect and preserve above 0, got 0 for both")
        if self.rank < 1:
            raise ValueError(f"expected a rank of at least 1, got {self.rank!r}")
        if (self.target == "fixed") != (self.caption is not None):
            raise ValueError(f"expected a caption with the target 'fixed' and with no other, got {self.caption!r}")
        if self.method == "safe-clip" and (self.target, self.curriculum) != ("partner", "none"):
            got = f"{self.target!r} and {self.curriculum!r}"
            raise ValueError(f"expected the target 'partner' and the curriculum 'none' with safe-clip, got {got}")
