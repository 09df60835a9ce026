"""The kind of an alarm: sensor, adversarial, unfamiliar, unsure, or unknown.

It is decided from how surprising each column is and how what deviates lies in the picture, by a rule that is learned
from held-out frames and changes made to them, see `Monitor.learn_kinds`. It never changes whether there is an alarm.
"""

from __future__ import annotations

from .examples import EXAMPLES, KINDS, TOLD, UNKNOWN, Example
from .kinds import Kinds

__all__ = ["EXAMPLES", "KINDS", "TOLD", "UNKNOWN", "Example", "Kinds"]
