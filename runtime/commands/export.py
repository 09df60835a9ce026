"""Write a model with the monitor of a calibrated profile inside its graph."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from ..guarded_model import export
from .inspect import print_guarded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, metavar="MODEL", help="the .onnx file that was profiled")
    parser.add_argument("profile", type=Path, metavar="PROFILE", help="what `outrider calibrate` wrote")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the guarded .onnx file to write"
    )
    parser.add_argument("--json", action="store_true", help="the facts in its metadata as JSON")


def run(options: argparse.Namespace) -> int:
    facts = export(options.model, options.profile, options.output)
    if options.json:
        Console().print_json(json.dumps(facts))
    else:
        print_guarded(options.output, facts)
    return 0
