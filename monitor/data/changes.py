"""What was done to a profile's thresholds: when, what, by which program, from what to what, and why."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

MOST = 64
"""The changes that a profile keeps; of more, the oldest go."""
CALIBRATED, SCALES_KEPT, SET_BY_HAND, RECALIBRATED = (
    "calibrated", "calibrated, scales kept", "threshold set", "recalibrated",
)  # fmt: skip
"""What sets a threshold: held-out frames, these with the scales of before, a hand, or the log of a guard."""
_TEXT = 400
_CLOCK = "SOURCE_DATE_EPOCH"

Thresholds = float | tuple[float, ...] | None
"""One for all classes, or one for each; None without a calibration."""


@dataclass(frozen=True)
class Change:
    """A change of the thresholds of a profile.

    when: ISO 8601, UTC, to the second. what: one of the words above, or "extended". by: the
    program and its version; no name of a person is looked up. before, after: the thresholds, one for all classes or
    one for each, None without. rate: the false-alarm rate asked for, None where a threshold was given. reason: in the
    user's words, or what was accepted; may be empty.
    """

    when: str
    what: str
    by: str
    before: Thresholds
    after: Thresholds
    rate: float | None = None
    reason: str = ""

    @classmethod
    def made(
        cls, what: str, old: np.ndarray | None, new: np.ndarray | None, *, rate: float | None = None, reason: str = ""
    ) -> Change:
        """A change of now. old, new: (classes,) thresholds or None.

        The variable ``SOURCE_DATE_EPOCH`` sets its time, for files that are to be the same byte by byte.
        """
        at = datetime.fromtimestamp(int(os.environ.get(_CLOCK) or time.time()), timezone.utc)
        when = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(
            when, what, program(), thresholds_of(old), thresholds_of(new), rate, " ".join(reason.split())[:_TEXT]
        )

    def to_dict(self) -> dict[str, Any]:
        """The change in JSON types."""
        both = {name: list(v) if isinstance(v := getattr(self, name), tuple) else v for name in ("before", "after")}
        return {"when": self.when, "what": self.what, "by": self.by, **both, "rate": self.rate, "reason": self.reason}

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Change:
        """The change from `to_dict`'s form. Raises KeyError, TypeError or ValueError for anything else."""
        when, what, by, reason = (str(facts[name]) for name in ("when", "what", "by", "reason"))
        rate = None if facts["rate"] is None else float(facts["rate"])
        return cls(when, what, by, _from_json(facts["before"]), _from_json(facts["after"]), rate, reason)


def with_change(history: tuple[Change, ...], change: Change) -> tuple[Change, ...]:
    """The history and one more change, the last `MOST`."""
    return (*history, change)[-MOST:]


def thresholds_of(values: np.ndarray | None) -> Thresholds:
    """Thresholds (classes,) as a history keeps them: one number where all are the same."""
    if values is None:
        return None
    return float(values[0]) if (values == values[0]).all() else tuple(values.tolist())


def thresholds_in_words(thresholds: Thresholds) -> str:
    """``5.3``, ``5.3 to 6.1`` or ``none``."""
    if thresholds is None:
        return "none"
    low, high = np.min(thresholds), np.max(thresholds)
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"


def program() -> str:
    """``outrider`` and its version."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"outrider {version('outrider')}"
    except PackageNotFoundError:
        return "outrider"


def _from_json(value: Any) -> Thresholds:
    if value is None:
        return None
    numbers = np.asarray(value, np.float64)
    if numbers.ndim > 1 or not numbers.size or not (np.isfinite(numbers) & (numbers >= 0)).all():
        raise ValueError("expected thresholds of a history that are finite and not negative, got others")
    return float(numbers) if not numbers.ndim else tuple(numbers.tolist())
