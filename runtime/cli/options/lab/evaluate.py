"""What `outrider lab evaluate` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import argument_types as types
from ..shared import add_key_argument

_TOKENS = 32


def add_arguments(parsers: Any) -> None:
    """Measure defences on models: unsafe prompts answered against safe prompts refused, and what that costs."""
    summary = str(add_arguments.__doc__)
    parser = parsers.add_parser("evaluate", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument("model", type=Path, metavar="MODEL_FOLDER", help="a folder of transformers, or a .gguf file")
    parser.add_argument(
        "--model", dest="models", type=types.named_data, action="append", default=[], metavar="NAME=FOLDER",
        help="a tuned model, or adapters for the first one; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--prompts", type=Path, required=True, metavar="FILE", help="JSON lines with prompt and label, safe or unsafe"
    )
    parser.add_argument(
        "--rows", type=types.rows, default=slice(None), metavar="START:STOP", help="a part of each kind, such as :60"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER",
        help="keeps each cell as it ends, then table.json, table.md and, with matplotlib, picture.png",
    )  # fmt: skip
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--defences", type=types.words, metavar="NAMES",
        help="as none,instruction,both; default: all for which there is what they need; an unknown one names them",
    )  # fmt: skip
    what.add_argument(
        "--tokens", type=types.positive, default=_TOKENS, metavar="N", help="of an answer; default and most: 32"
    )
    what.add_argument(
        "--judge", type=Path, metavar="MODEL_FOLDER", help="a local model that is asked whether an answer refuses;"
        " default: rules"
    )  # fmt: skip
    _guards(parser.add_argument_group("linear probe and critical heads"))
    how = parser.add_argument_group("the models")
    how.add_argument("--dtype", metavar="NAME", help="float32, bfloat16, float16; default: float32")
    how.add_argument("--device", default="cpu", metavar="NAME", help="cpu, cuda, cuda:1; default: cpu")
    how.add_argument("--system", metavar="TEXT", help="the system prompt; default: what the chat template has")
    how.add_argument("--batch-size", type=types.positive, default=16, metavar="N", help="at a time; default: 16")
    parser.add_argument("--json", action="store_true", help="the table as JSON")


def _guards(group: Any) -> None:
    group.add_argument(
        "--learn", type=Path, metavar="FILE", help="prompts of both kinds to learn from, as JSON lines with labels"
    )
    group.add_argument("--threshold", type=Path, metavar="FILE", help="other safe prompts, which set the threshold")
    group.add_argument(
        "--false-alarm-rate", type=types.above_zero, default=0.05, metavar="RATE", help="of these; default: 0.05"
    )
    group.add_argument("--layer", type=types.whole, metavar="N", help="of the probe; default: the one that tells best")
    group.add_argument(
        "--heads", type=Path, metavar="FILE", help="a heads file with a threshold; default: searched on --learn"
    )
    add_key_argument(group, "the heads file")
