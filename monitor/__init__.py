"""Is this input covered? Profile, calibrate, verdict, and the one file that carries them."""

from __future__ import annotations

from typing import Any

from ..networks.renamed import warn_of_name
from .boxes import BoxVerdict
from .calibration import (
    Calibration,
    ClassRate,
    auroc,
    clopper_pearson,
    conformal_threshold,
    false_alarm_rate,
    needed_samples,
)
from .defaults import default_criteria
from .describe import describe_profile
from .errors import (
    CalibrationError,
    ExportError,
    MismatchError,
    NotReadyError,
    OutriderError,
    OutriderWarning,
    ProfileError,
    SignatureError,
)
from .files import new_key, read_facts, sign_file, verify_file
from .judge import FrameJudge
from .logic import HarmonicP, Logic, MaxZ, Normalised, SmallestP, Sum, Votes, ZScore, describe_logic, make_logic
from .monitor import Monitor
from .places import LargestArea, PlaceLogic, Places, Region, WorstPlace
from .profile import Profile
from .shards.merging import Merger
from .shards.part import Part
from .thresholds.gathered import Gathered, ScorePart
from .thresholds.recalibrating import KeptFrames, Recalibration
from .transfer import transfer
from .verdict import Status, Verdict, Verdicts

__all__ = [
    "BoxVerdict", "Calibration", "CalibrationError", "ClassRate", "ExportError", "FrameJudge", "Gathered", "HarmonicP",
    "KeptFrames", "LargestArea", "Logic", "MaxZ", "Merger", "MismatchError", "Monitor", "Normalised", "NotReadyError",
    "OutriderError", "OutriderWarning", "Part", "PlaceLogic", "Places", "Profile", "ProfileError", "Recalibration",
    "Region", "ScorePart", "SignatureError", "SmallestP", "Status", "Sum", "Verdict", "Verdicts", "Votes", "WorstPlace",
    "ZScore", "auroc", "clopper_pearson", "conformal_threshold", "default_criteria", "describe_logic",
    "describe_profile", "false_alarm_rate", "make_logic", "needed_samples", "new_key", "read_facts", "sign_file",
    "transfer", "verify_file",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name != "FramePlan":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_of_name("FramePlan", "FrameJudge", stacklevel=3)
    return FrameJudge
