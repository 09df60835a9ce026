"""How good is a monitor? Figures with intervals over clean frames and any named sets of unsafe ones."""

from __future__ import annotations

from ..calibration import auroc, clopper_pearson
from .cost import cost_of
from .evaluating import evaluate, evaluate_sets
from .intervals import Estimate, Separation, selective_risk, separation
from .judged import JudgedSet, judge_set
from .metrics import aupr, aurc, fpr_at_tpr, risk_coverage, roc_curve
from .results import Cost, Curve, ErrorsSeen, Evaluation, OfClass, OfColumn, OfDrive, SetResult, Share

__all__ = [
    "Cost", "Curve", "ErrorsSeen", "Estimate", "Evaluation", "JudgedSet", "OfClass", "OfColumn", "OfDrive",
    "Separation", "SetResult", "Share", "aupr", "aurc", "auroc", "clopper_pearson", "cost_of", "evaluate",
    "evaluate_sets", "fpr_at_tpr", "judge_set", "risk_coverage", "roc_curve", "selective_risk", "separation",
]  # fmt: skip
