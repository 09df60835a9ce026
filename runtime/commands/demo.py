"""Watch the monitor at work: on photographs of traffic lights, or in a car whose camera fails."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="?",
        choices=("pictures", "drive"),
        default="pictures",
        help="pictures (the default): traffic lights, strangers, attacks; drive: a closed loop with a failing camera",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the page: demo.html or drive.html")
    parser.add_argument("--fast", action="store_true", help="less training, fewer images or drives")
    parser.add_argument(
        "--retrain", action="store_true", help="drive: teach the network anew, ten minutes; weights go beside the page"
    )


def run(options: argparse.Namespace) -> int:
    if options.what == "drive":
        from ..drive import run_drive_demo

        run_drive_demo(options.output or Path("drive.html"), fast=options.fast, retrain=options.retrain)
        return 0
    if options.retrain:
        raise ValueError("--retrain belongs to `outrider demo drive`; the pictures' network is always trained anew")
    from ..demo import run_demo

    run_demo(options.output or Path("demo.html"), fast=options.fast)
    return 0
