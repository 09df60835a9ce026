"""The commands of a group, such as `outrider head search`: each is a file in the folder of its group."""

from __future__ import annotations

import argparse
from importlib import import_module

FOLDERS = {"head": "heads", "lab": "lab"}


def run(options: argparse.Namespace) -> int:
    return int(import_module(f"...{FOLDERS[options.command]}.{options.action}", __name__).run(options))
