"""Packages that only some uses need, each part of an extra of ours."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def require(package: str, need: str, extra: str = "watch") -> Any:
    """The package, imported. Raises ImportError that says the need and the command that installs the extra."""
    try:
        return import_module(package)
    except ImportError:
        raise ImportError(f"{need}: pip install 'outrider[{extra}]'") from None
