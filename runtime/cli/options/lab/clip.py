"""What `outrider lab clip` takes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ... import argument_types as types


def add_arguments(parsers: Any) -> None:
    """Add the sub-parser of `clip`."""
    summary = "Redirect the unsafe concepts of a CLIP to safe ones, by SafeR-CLIP or Safe-CLIP."
    parser: argparse.ArgumentParser = parsers.add_parser(
        "clip", help=summary, description=summary, allow_abbrev=False
    )  # fmt: skip
    parser.add_argument("model", type=Path, metavar="MODEL_FOLDER", help="a CLIPModel and its processor")
    parser.add_argument(
        "quadruples",
        type=Path,
        metavar="FILE",
        help="JSON lines with safe_image, safe_caption, unsafe_image, unsafe_caption; paths start at the file's folder",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="of the adapters, a new one")
    parser.add_argument(
        "--test", type=Path, metavar="FILE", help="other quadruples, on which the encoder is measured before and after"
    )

    what = parser.add_argument_group("what is done")
    what.add_argument("--method", default="safer-clip", metavar="NAME", help="safer-clip, the default, or safe-clip")
    what.add_argument(
        "--target",
        metavar="NAME",
        help="nearest safe caption, the default; partner of the quadruple, the default of safe-clip; or fixed",
    )
    what.add_argument("--caption", metavar="TEXT", help="the one safe caption of a fixed target")
    what.add_argument("--redirect", type=types.from_zero, default=1.0, metavar="WEIGHT", help="default: 1")
    what.add_argument("--preserve", type=types.from_zero, default=1.0, metavar="WEIGHT", help="default: 1")
    what.add_argument(
        "--curriculum",
        metavar="NAME",
        help="easy pairs first: pair, by the quadruple's own items, the default; target, by where they go; or none",
    )
    what.add_argument("--rank", type=types.positive, default=16, metavar="N", help="of the adapters; default: 16")

    how = parser.add_argument_group("training")
    how.add_argument("--steps", type=types.positive, default=1000, metavar="N", help="default: 1000")
    how.add_argument("--batch", type=types.positive, default=48, metavar="N", help="quadruples a step; default: 48")
    how.add_argument("--rate", type=types.above_zero, default=1e-4, metavar="RATE", help="default: 1e-4")
    how.add_argument("--seed", type=types.whole, default=0, metavar="N", help="default: 0")
    how.add_argument("--precision", default="float32", metavar="NAME", help="float32, the default, or bfloat16")
    how.add_argument("--device", default="cpu", metavar="NAME", help="cpu, the default, or cuda")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
