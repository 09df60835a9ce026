"""Nodes that turn tapped tensors into neurons inside the graph."""

from __future__ import annotations

from .joined import add_neurons, join_neurons, rows_alike
from .places import add_places

__all__ = ["add_neurons", "add_places", "join_neurons", "rows_alike"]
