"""Watch the monitor at work on photographs of traffic lights."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, default=Path("demo.html"), metavar="FILE", help="the page")
    parser.add_argument("--fast", action="store_true", help="less training, fewer images")


def run(options: argparse.Namespace) -> int:
    from ..demo import run_demo

    run_demo(options.output, fast=options.fast)
    return 0
