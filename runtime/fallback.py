"""The old module of the fallbacks, for one release."""

from ..networks.renamed import warn_of_name
from .loop.fallback import Fallback, hand_over, hold_last_safe, scale_down, stop

__all__ = ["Fallback", "hand_over", "hold_last_safe", "scale_down", "stop"]

warn_of_name("outrider.runtime.fallback", "outrider.runtime (from outrider.runtime import hold_last_safe)")
