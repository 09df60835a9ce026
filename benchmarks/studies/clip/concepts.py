"""What the study's sketches show: QuickDraw's 345 classes, of which some stand for unsafe concepts.

Weapons, and things that hurt or burn, are the unsafe concepts. Three of them no tuning sees. Half of the safe classes
are in the tuning as the safe half of its pairs, and the other half tells what a tuning costs elsewhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .names import DRAWN

UNSAFE = "rifle", "knife", "axe", "saw", "syringe", "skull", "matches", "hammer", "boomerang"
HELD_OUT = "sword", "cannon", "lighter"
TEMPLATES = "a drawing of a {}", "a sketch of a {}", "a picture of a {}", "this is a {}", "{}"


class Classes(NamedTuple):
    """Names of classes. inside, outside: the safe ones in the tuning and those that are not."""

    inside: tuple[str, ...]
    outside: tuple[str, ...]
    unsafe: tuple[str, ...] = UNSAFE
    held_out: tuple[str, ...] = HELD_OUT

    @property
    def every(self) -> tuple[str, ...]:
        """All names, by which classes are numbered."""
        return self.inside + self.outside + self.unsafe + self.held_out


def choose(safe: int) -> Classes:
    """So many safe classes, half of them inside; drawn once and for all. Raises ValueError for more than there are."""
    names = [name for name in DRAWN if name not in UNSAFE + HELD_OUT]
    if not 2 <= safe <= len(names):
        raise ValueError(f"expected from 2 to {len(names)} safe classes, got {safe}")
    drawn = [names[i] for i in np.random.default_rng(17).permutation(len(names))[:safe]]
    return Classes(tuple(drawn[: safe // 2]), tuple(drawn[safe // 2 :]))
