"""Guard a language model by its attention heads: search, calibrate, recalibrate, check, chat."""

from __future__ import annotations

import argparse
from importlib import import_module


def run(options: argparse.Namespace) -> int:
    return int(import_module(f"...heads.{options.action}", __name__).run(options))
