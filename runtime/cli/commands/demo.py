"""Watch the monitor at work: on photographs of traffic lights, or in a car whose camera fails."""

from __future__ import annotations

import argparse
from pathlib import Path


def run(options: argparse.Namespace) -> int:
    if options.what == "drive":
        from ...demos.drive import run_drive_demo

        run_drive_demo(options.output or Path("drive.html"), fast=options.fast, retrain=options.retrain)
        return 0
    if options.retrain:
        raise ValueError("--retrain belongs to `outrider demo drive`; the pictures' network is always trained anew")
    from ...demos.pictures import run_demo

    run_demo(options.output or Path("demo.html"), fast=options.fast)
    return 0
