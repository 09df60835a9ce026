"""How much is trained and measured: on two cores, in a glance, and on a GPU. All was fixed on validation draws.

The paper pretrains 100,000 steps of 512 and tunes 10,000 of 512 at 1e-4 (its medium rate) and 1e-5 (small). Schedules
a hundredth as long want higher rates: both are times ten here, so that their ratio is the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from outrider.networks.tuning import Schedule

METHODS = {"SSFT": "ssft", "DPO": "dpo", "unlearning": "unlearning"}
"""What the study calls each method, and what `make_safe` does."""
RATES = ("M", "S")
RATIO = 10
"""The medium rate over the small one."""


@dataclass(frozen=True)
class Sizes:
    """families: of bijections, 4 in the paper; 1 lets the grammars share them, and is learnt from fewer sequences.

    pretraining and tuning: their schedules, the latter at the medium rate. tested: sequences of each kind. attacked: of
    these, unsafe ones under the adversary. shape: of the model, None for the paper's.
    """

    families: int
    pretraining: Schedule
    tuning: Schedule
    tested: int
    attacked: int
    shape: tuple[int, int, int] | None = None

    def tuned_at(self, rate: str) -> Schedule:
        """The schedule of tuning at the rate "M" or "S"."""
        return self.tuning if rate == "M" else replace(self.tuning, rate=self.tuning.rate / RATIO)


FULL = Sizes(
    families=1,
    pretraining=Schedule(700, 32, 3e-3, precision="bfloat16"),
    tuning=Schedule(64, 32, 1e-3, precision="bfloat16"),
    tested=64,
    attacked=32,
)
LARGE = Sizes(
    families=4,
    pretraining=Schedule(1000, 512, 2e-3, precision="bfloat16", save_every=500),
    tuning=Schedule(100, 512, 1e-3, precision="bfloat16"),
    tested=500,
    attacked=200,
)
QUICK = Sizes(
    families=1,
    pretraining=Schedule(60, 32, 3e-3, precision="bfloat16"),
    tuning=Schedule(10, 32, 1e-3),
    tested=32,
    attacked=16,
    shape=(2, 2, 64),
)
