"""What `outrider lab tune` takes. The flags are the fields of `TuningPlan`, which knows the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import argument_types as types

NOT_OF_THE_PLAN = frozenset(("command", "action", "actions", "config", "quiet", "debug", "json"))
_METHODS = "ssft, dpo, unlearning; sft and trl-dpo are those of trl"


def add_arguments(parsers: Any) -> None:
    """Tune a model on pairs of answers, so that it refuses what is unsafe and answers what is safe."""
    summary = str(add_arguments.__doc__)
    parser = parsers.add_parser("tune", help=summary, description=summary, allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True, metavar="FOLDER", help="a folder of transformers")
    parser.add_argument(
        "--pairs", type=Path, required=True, metavar="FILE",
        help="JSON lines with prompt, label (safe or unsafe), preferred, dispreferred, and image or images",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER", help="the folder to write")
    _method(parser.add_argument_group("the method"))
    _schedule(parser.add_argument_group("how long and how fast"))
    _weights(parser.add_argument_group("which weights"))
    _reading(parser.add_argument_group("the model and its prompts"))
    parser.add_argument("--json", action="store_true", help="what came out as JSON")


def _method(group: Any) -> None:
    number, above = types.from_zero, types.above_zero
    group.add_argument("--method", metavar="NAME", help=f"{_METHODS}; default: ssft")
    group.add_argument(
        "--unsafe-share", type=above, metavar="SHARE", help="of the examples; default: 0.2 for ssft, 0.5 for ours else"
    )
    group.add_argument("--beta-preferred", type=number, metavar="BETA", help="of dpo and trl-dpo; default: 0.1")
    group.add_argument("--beta-dispreferred", type=number, metavar="BETA", help="of dpo; default: 0.01")
    group.add_argument("--unlearning-weight", type=number, metavar="WEIGHT", help="of answers unlearned; default: 0.1")


def _schedule(group: Any) -> None:
    group.add_argument("--steps", type=types.positive, metavar="N", help="default: 200")
    group.add_argument("--batch", type=types.positive, metavar="N", help="pairs a step; default: 8")
    group.add_argument("--rate", type=types.above_zero, metavar="RATE", help="the highest; default: 0.0001")
    group.add_argument("--warmup", type=types.from_zero, metavar="SHARE", help="of the steps; default: 0.1")
    group.add_argument("--floor", type=types.from_zero, metavar="RATE", help="the last rate; default: 1e-06")
    group.add_argument("--weight-decay", type=types.from_zero, metavar="DECAY", help="default: 0.0001")
    group.add_argument("--clip", type=types.above_zero, metavar="NORM", help="of the gradient at most; default: 1.0")
    group.add_argument("--seed", type=types.whole, metavar="N", help="default: 0")
    group.add_argument("--save-every", type=types.positive, metavar="N", help="steps a checkpoint; default: 50")
    group.add_argument(
        "--precision", metavar="NAME", help="float32, or bfloat16 to compute the passes in; default: float32"
    )


def _weights(group: Any) -> None:
    group.add_argument("--full", action="store_true", help="tune all weights in place of adapters")
    group.add_argument("--rank", type=types.positive, metavar="N", help="of the adapters; default: 16")
    group.add_argument("--alpha", type=types.above_zero, metavar="ALPHA", help="their scale; default: twice the rank")
    group.add_argument("--dropout", type=types.from_zero, metavar="SHARE", help="before them; default: 0.0")
    group.add_argument(
        "--targets", type=types.words, metavar="NAMES", help="layers with one, as q_proj,v_proj; default: all of them"
    )
    group.add_argument("--merge", action="store_true", help="also write the merged model, to OUTPUT/merged")


def _reading(group: Any) -> None:
    group.add_argument("--dtype", metavar="NAME", help="float32, bfloat16, float16; default: float32")
    group.add_argument("--device", metavar="NAME", help="cpu, cuda, mps; default: cpu")
    group.add_argument("--system", metavar="TEXT", help="the system prompt; default: what the chat template has")
    group.add_argument("--refusal", metavar="TEXT", help="for lines without; default: I'm sorry, but I can't …")
    group.add_argument(
        "--max-tokens", type=types.positive, metavar="N", help="of prompt and answer; default: all that the model takes"
    )
