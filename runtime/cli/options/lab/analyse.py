"""What `outrider lab analyse` takes."""

from __future__ import annotations

import argparse
from pathlib import Path

from ... import argument_types as types


def add_arguments(parsers: argparse._SubParsersAction) -> None:
    """Adds the command."""
    summary = "Show what safety tuning did inside models: clusters, weights, sensitivity, more and less of the change."
    parser = parsers.add_parser("analyse", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument("base", type=Path, metavar="BASE", help="the untuned model: a folder or a .gguf file")
    parser.add_argument(
        "tuned",
        type=types.named_data,
        nargs="+",
        metavar="[NAME=]TUNED",
        help="folders of models or adapters that were tuned from it",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER", help="gets analysis.html and analysis.json"
    )

    inputs = parser.add_argument_group("inputs: prompts as JSON lines, or the testbed's own")
    inputs.add_argument("--unsafe", type=Path, metavar="FILE", help="unsafe prompts; lines labelled safe are left out")
    inputs.add_argument("--safe", type=Path, metavar="FILE", help="safe prompts; lines labelled unsafe are left out")
    inputs.add_argument(
        "--jailbreak",
        type=types.named_data,
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="prompts to be placed between the two; may be given again",
    )
    inputs.add_argument(
        "--rows", type=types.rows, default=slice(None), metavar="START:STOP", help="a part of each kind"
    )
    inputs.add_argument("--testbed", action="store_true", help="the models are of `outrider lab testbed`")
    inputs.add_argument(
        "--count", type=types.positive, default=200, metavar="N", help="testbed inputs of each kind; default: 200"
    )
    inputs.add_argument("--system", metavar="TEXT", help="the system prompt; default: that of the chat template")

    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--outputs",
        type=types.positive,
        metavar="N",
        help="output positions that activations are averaged over; default: 1 for prompts, 10 on the testbed",
    )
    what.add_argument(
        "--answers",
        type=types.whole,
        default=24,
        metavar="TOKENS",
        help="of prompts' answers that are judged and not kept, at most 32; 0 for no answers; default: 24",
    )
    what.add_argument(
        "--alphas",
        type=types.numbers,
        default=(0.0, 0.5, 1.0, 1.5, 2.0),
        metavar="A,A",
        help="of W + α ΔW, each from 0 to 2; default: 0,0.5,1,1.5,2",
    )
    what.add_argument("--attention", action="store_true", help="also the matrices of the attention")
    what.add_argument(
        "--no-random-models", action="store_true", help="leave out the base with a random change as large"
    )
    what.add_argument("--seed", type=types.whole, default=0, help="of the halves and the baselines; default: 0")

    how = parser.add_argument_group("how")
    how.add_argument("--dtype", default="float32", help="float32, bfloat16, float16 or auto; default: float32")
    how.add_argument("--device", default="cpu", help="of PyTorch; default: cpu")
    how.add_argument("--batch-size", type=types.positive, default=16, metavar="N", help="inputs at a time; default: 16")
    parser.add_argument("--json", action="store_true", help="the figures as JSON")
