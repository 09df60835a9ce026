"""What `outrider lab reasons` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import argument_types as types


def add_arguments(parsers: Any) -> None:
    """Make a training set in which refusals have a reason (SafeCoT), and tune a model on it."""
    summary = str(add_arguments.__doc__)
    parser = parsers.add_parser("reasons", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument(
        "prompts", type=Path, metavar="FILE", help="JSON lines with prompt, label (safe or unsafe) and maybe a category"
    )
    parser.add_argument(
        "-o", "--output", type=types.output_file, required=True, metavar="FILE", help="the training set to write"
    )
    _answers(parser.add_argument_group("the answers"))
    _models(parser.add_argument_group("models"))
    _tuning(parser.add_argument_group("tuning, with --tune"))
    parser.add_argument("--json", action="store_true", help="what came out as JSON")


def _answers(group: Any) -> None:
    group.add_argument("--table", type=Path, metavar="FILE", help="risks, reasons and refusals in YAML; default: ours")
    group.add_argument("--kind", default="reasons", metavar="NAME", help="reasons, or plain refusals; default: reasons")
    group.add_argument("--number", type=types.positive, metavar="N", help="of prompts, drawn; default: all")
    group.add_argument("--seed", type=types.whole, default=0, metavar="N", help="of what is drawn; default: 0")
    group.add_argument(
        "--own", type=types.whole, default=12, metavar="TOKENS",
        help="of the model's own answer to a safe prompt; 0 for plain help; default: 12",
    )  # fmt: skip


def _models(group: Any) -> None:
    group.add_argument("--model", type=Path, metavar="FOLDER", help="answers safe prompts, and is tuned")
    group.add_argument("--rewriter", type=Path, metavar="FOLDER", help="a model that says the reasons in other words")
    group.add_argument("--dtype", metavar="NAME", help="float32, bfloat16, float16; default: float32")
    group.add_argument("--device", default="cpu", metavar="NAME", help="cpu or cuda; default: cpu")
    group.add_argument("--system", metavar="TEXT", help="the system prompt; default: what the chat template has")


def _tuning(group: Any) -> None:
    group.add_argument("--tune", type=Path, metavar="FOLDER", help="tune the model too, and write its adapters there")
    group.add_argument("--steps", type=types.positive, default=100, metavar="N", help="default: 100")
    group.add_argument("--batch", type=types.positive, default=8, metavar="N", help="lessons a step; default: 8")
    group.add_argument("--rate", type=types.above_zero, default=5e-4, metavar="RATE", help="default: 0.0005")
    group.add_argument("--rank", type=types.positive, default=16, metavar="N", help="of the adapters; default: 16")
    group.add_argument("--precision", default="float32", metavar="NAME", help="float32 or bfloat16; default: float32")
