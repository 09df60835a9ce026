"""The attention heads of a (vision-)language model as a guard: search, statistics, calibration, verdict.

`HeadGuard` searches, calibrates and judges; `CriticalHead` is the published single head; `Cascade` puts a second judge
behind the first. Arrays in, verdicts out: only the decoder that they are given knows torch.
"""

from __future__ import annotations

from .calibrating import HeadCalibration
from .cascade import Cascade, CascadeCalibration
from .deflection import DeflectionProfile, Exact, Full, LastQuery, deflection_angle
from .drift import HeadDrift
from .features import Features, measure, prompt_digest
from .guard import CriticalHead, HeadGuard
from .read_out import ReadOut
from .search import SearchReport
from .statistic import Statistic, describe_statistic, make_statistic, statistic_names
from .store import FeatureStore

__all__ = [
    "Cascade", "CascadeCalibration", "CriticalHead", "DeflectionProfile", "Exact", "FeatureStore", "Features", "Full",
    "HeadCalibration", "HeadDrift", "HeadGuard", "LastQuery", "ReadOut", "SearchReport", "Statistic",
    "deflection_angle", "describe_statistic", "make_statistic", "measure", "prompt_digest", "statistic_names",
]  # fmt: skip
