"""A verdict in the words that people read."""

from __future__ import annotations

from ...monitor import Verdict


def reason_of(verdict: Verdict) -> str:
    """Why it is not OK, behind its kind where that was learned: ``sensor: score 7 is above the threshold 3``."""
    return f"{verdict.kind}: {verdict.reason}" if verdict.kind else verdict.reason
