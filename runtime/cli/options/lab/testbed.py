"""What `outrider lab testbed` takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import argument_types as types


def add_arguments(parsers: Any) -> None:
    """Build the synthetic testbed: a language of safe and unsafe tasks, a model of it, and tuned ones."""
    summary = str(add_arguments.__doc__)
    parser = parsers.add_parser("testbed", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FOLDER",
        help="holds base/ and a folder for each method; what is there of the same settings is taken as it is",
    )  # fmt: skip
    what = parser.add_argument_group("the language and its model")
    what.add_argument("--seed", type=types.whole, default=0, metavar="N", help="of all draws; default: 0")
    what.add_argument(
        "--families",
        type=types.positive,
        default=1,
        metavar="N",
        help="of bijections: 4, one a grammar, as the paper, wants many more steps; default: 1, shared",
    )
    what.add_argument("--model", choices=("gpt2", "llama"), default="gpt2", help="default: gpt2, as the paper's")
    for name, size in (("layers", 6), ("heads", 6), ("width", 192)):
        what.add_argument(f"--{name}", type=types.positive, default=size, metavar="N", help=f"default: {size}")
    pretraining = parser.add_argument_group("pretraining")
    pretraining.add_argument("--steps", type=types.positive, default=700, metavar="N", help="default: 700")
    pretraining.add_argument("--batch", type=types.positive, default=32, metavar="N", help="default: 32")
    pretraining.add_argument(
        "--rate", type=types.above_zero, default=3e-3, metavar="RATE", help="the highest; default: 0.003"
    )
    tuning = parser.add_argument_group("safety tuning")
    tuning.add_argument(
        "--methods", type=types.words, default=("ssft", "dpo", "unlearning"), metavar="NAMES",
        help="default: ssft,dpo,unlearning",
    )  # fmt: skip
    tuning.add_argument("--tuning-steps", type=types.positive, default=100, metavar="N", help="default: 100")
    tuning.add_argument("--tuning-batch", type=types.positive, default=32, metavar="N", help="default: 32")
    tuning.add_argument(
        "--tuning-rate", type=types.above_zero, default=1e-3, metavar="RATE", help="the highest; default: 0.001"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--device", metavar="NAME", help="cpu, cuda, mps; default: cpu")
    how.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="default: float32")
    how.add_argument(
        "--tested", type=types.positive, default=100, metavar="N", help="test sequences of each kind; default: 100"
    )
    how.add_argument("--json", action="store_true", help="the scores as JSON")
