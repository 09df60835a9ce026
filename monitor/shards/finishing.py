"""The end of learning: a profile is made ready, and sees how some of its own frames deviate from it."""

from __future__ import annotations

import numpy as np

from ...networks import Network
from ..data.arrays import rows_of
from ..data.spool import FrameSpool
from ..judge import Judge
from ..learning import complete
from ..logic import Logic
from ..profile import Profile
from .merging import Merged

_AT_ONCE = 32


def finish(network: Network, merged: Merged) -> None:
    """Make what was merged ready to be compared with. Warns and raises as `complete` does."""
    complete(merged.profile, merged.confusion)
    probe(network, merged.profile, merged.logic)


def probe(network: Network, profile: Profile, logic: Logic) -> None:
    """Keep the deviations of the frames that were held for this, and let go of the frames."""
    parts = []
    for frames in profile.spool.batches(_AT_ONCE):
        judge = Judge(network, profile, rows_of(frames), logic, None)
        judge.observe(frames)
        parts.append(judge.deviations.copy())
    if parts:
        found = np.concatenate(parts)
        profile.trusted.probe = found[~np.isnan(found).any(axis=1)]  # where numbers were too large to be multiplied
    profile.spool = FrameSpool(seen=profile.spool.seen)
