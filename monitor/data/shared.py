"""Columns that keep the same of a tap, such as `Mahalanobis` and `RelativeMahalanobis`, keep it once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...coverage import Signature

if TYPE_CHECKING:
    from ..profile import Column


def first_alike(columns: Sequence[Column]) -> list[int]:
    """For each column the first one that keeps the same arrays of the same tap: itself, where there is none before."""
    firsts: dict[Any, int] = {}
    return [firsts.setdefault((column.tap, column.criterion.keeps()), i) for i, column in enumerate(columns)]


def sharing(columns: Sequence[Column], signatures: Sequence[Signature]) -> tuple[Signature, ...]:
    """The signatures of columns, with one set of arrays where several keep the same: that of the first."""
    firsts = first_alike(columns)
    return tuple(
        signature if firsts[i] == i else signatures[firsts[i]].shared(signature.criterion)
        for i, signature in enumerate(signatures)
    )
