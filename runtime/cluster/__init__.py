"""Profiles learned on a cluster, with Ray Data.

Names are loaded when they are first used, so that importing the room imports no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import profile
    from .reading import read

__all__ = ["profile", "read"]


def __getattr__(name: str) -> Any:
    if name == "profile":
        from .engine import profile

        return profile
    if name == "read":
        from .reading import read

        return read
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
