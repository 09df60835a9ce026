"""All rivals, library by library, and what cannot be run here."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from . import art, hbos, nac, oodeel, pytorch_ood, scio
from .rival import Rival

LIBRARIES: dict[str, ModuleType] = {
    "pytorch-ood": pytorch_ood, "oodeel": oodeel, "scio": scio, "art": art, "nac": nac, "hbos": hbos,
}  # fmt: skip


class Library(NamedTuple):
    """What a library brings. version: that which it was set up for. file: the module here that runs it."""

    rivals: list[Rival]
    left_out: dict[str, str]
    version: str
    file: Path


def library(name: str) -> Library:
    """The rivals of a library. Where it is not installed they cannot run; what they said elsewhere may be kept."""
    module = LIBRARIES[name]
    left_out = {f"{module.PACKAGE} {detector}": why for detector, why in module.LEFT_OUT.items()}
    return Library(module.rivals(), left_out, module.VERSION, Path(str(module.__file__)))


def missing(name: str) -> str:
    """Why a library cannot run here; empty where it can."""
    module = LIBRARIES[name]
    try:
        there = version(module.PACKAGE) if module.PACKAGE else ""
    except PackageNotFoundError:
        if name == "scio" and sys.version_info < scio.PYTHON:
            return f"needs Python {scio.PYTHON[0]}.{scio.PYTHON[1]}, and this is {sys.version.split()[0]}"
        return f"needs {module.PACKAGE}, which is not installed: make evidence sets it up"
    return "" if there == module.VERSION else f"was set up for {module.PACKAGE} {module.VERSION}, and this is {there}"
