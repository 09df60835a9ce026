"""Profiles and thresholds from many workers, with the same bits however many there are."""

from __future__ import annotations

from .part import Part
from .plan import Shard, Sharding

__all__ = ["Part", "Shard", "Sharding"]
