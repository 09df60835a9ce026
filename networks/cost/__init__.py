"""What a network costs on the machine at hand: paired timing, and the processor by name."""

from __future__ import annotations

from .processor import processor
from .timing import paired, ratio, ratio_interval

__all__ = ["paired", "processor", "ratio", "ratio_interval"]
