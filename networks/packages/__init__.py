"""Packages that only some uses need, and the command that installs them."""

from __future__ import annotations

from .extras import install_hint, require

__all__ = ["install_hint", "require"]
