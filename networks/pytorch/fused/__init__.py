"""One pass over a map: an activation, pooling to channels, and a comparison, each with its plain PyTorch twin."""

from __future__ import annotations

from . import passes

__all__ = ["passes"]
