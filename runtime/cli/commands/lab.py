"""The safety laboratory: make a model safer, and measure what that did."""

from __future__ import annotations

import argparse
from importlib import import_module


def run(options: argparse.Namespace) -> int:
    return int(import_module(f"...lab.{options.action}", __name__).run(options))
