"""One pass over a map: an activation, pooling to channels, and a comparison, each with its plain PyTorch twin.

PyTorch is imported by the files of this room, not by the room; Triton only where it is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import passes

__all__ = ["passes"]
