"""What each command of `outrider lab` takes: a file for each, with `add_arguments`, which adds its sub-parser.

A command's name is that of its file here and of its file in `runtime/cli/lab/`.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pkgutil import iter_modules

_ORDER = "tune", "testbed", "analyse", "clip", "reasons", "evaluate"
LAB_COMMANDS = tuple(sorted((found.name for found in iter_modules(__path__)), key=_ORDER.index))
"""The commands of `outrider lab`."""


def lab(parser: argparse.ArgumentParser) -> None:
    """Make a model safer, and measure what that did: tune, testbed, analyse, clip, reasons, evaluate."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION", help="what to do, see its --help")
    for name in LAB_COMMANDS:
        import_module(f".{name}", __name__).add_arguments(commands)
