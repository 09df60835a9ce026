"""How good is a monitor? Figures with intervals over clean frames and any named sets of unsafe ones."""

from __future__ import annotations

from ..calibration import auroc, clopper_pearson
from .intervals import Estimate, Separation, selective_risk, separation
from .metrics import aupr, aurc, fpr_at_tpr, risk_coverage, roc_curve

__all__ = [
    "Estimate", "Separation", "aupr", "aurc", "auroc", "clopper_pearson", "fpr_at_tpr", "risk_coverage", "roc_curve",
    "selective_risk", "separation",
]  # fmt: skip
