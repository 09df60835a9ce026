"""What the HTML pages share: their base template, how it is filled, pictures and bars inside them."""

from __future__ import annotations

from .pictures import heights, inline, inline_picture
from .template import Card, fill

__all__ = ["Card", "fill", "heights", "inline", "inline_picture"]
