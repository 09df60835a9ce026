"""What each command of `outrider head` takes. A command's name is that of its function and of its file in `heads/`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import argument_types as types
from .shared import add_key_argument

_STATISTICS = "read_out, last_query, exact, full, deflection_profile"


def search(parser: argparse.ArgumentParser) -> None:
    """Find the attention heads that tell unsafe prompts from safe ones."""
    _add_model_arguments(parser, "float32")
    prompts = parser.add_argument_group("prompts, as JSON lines")
    prompts.add_argument("--unsafe", type=Path, metavar="FILE", help="unsafe prompts; lines labelled safe are left out")
    prompts.add_argument("--safe", type=Path, metavar="FILE", help="safe prompts; lines labelled unsafe are left out")
    prompts.add_argument("--labelled", type=Path, metavar="FILE", help="both kinds, each line with its label")
    _add_rows_argument(prompts, "each kind")
    parser.add_argument(
        "-o", "--output", type=types.output_file, required=True, metavar="FILE", help="the heads file to write"
    )

    what = parser.add_argument_group("what is searched")
    what.add_argument("--statistic", default="read_out", metavar="NAME", help=f"{_STATISTICS}; default: read_out")
    what.add_argument("--heads", type=types.positive, metavar="N", help="how many heads; default: as the statistic has")
    what.add_argument(
        "--permutations",
        type=types.whole,
        default=100,
        metavar="N",
        help="of the labels, for the p-value; default: 100",
    )
    what.add_argument(
        "--features",
        type=types.output_file,
        metavar="FILE",
        help="keeps what the model said of each prompt, so that the same search goes on where it stopped",
    )

    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--page", type=types.output_file, metavar="FILE", help="an HTML page with the map of all heads")
    shown.add_argument("--picture", type=types.output_file, metavar="FILE", help="the map alone, as .png")
    parser.add_argument("--json", action="store_true", help="the report as JSON")


def calibrate(parser: argparse.ArgumentParser) -> None:
    """Set the threshold of a heads file on safe prompts that the search did not see."""
    _add_model_arguments(parser)
    _add_guard_argument(parser)
    parser.add_argument("--safe", type=Path, required=True, metavar="FILE", help="safe prompts, as JSON lines")
    _add_rows_argument(parser, "them")
    parser.add_argument("-o", "--output", type=types.output_file, metavar="FILE", help="default: the heads file itself")
    _add_rate_argument(parser, "default: 0.05")
    parser.add_argument("--json", action="store_true", help="the calibration as JSON")


def recalibrate(parser: argparse.ArgumentParser) -> None:
    """Set the threshold anew on your own safe prompts, and say how far they differ from those of before."""
    _add_model_arguments(parser)
    _add_guard_argument(parser)
    parser.add_argument("--safe", type=Path, required=True, metavar="FILE", help="your safe prompts, as JSON lines")
    _add_rows_argument(parser, "them")
    parser.add_argument(
        "--guarded",
        type=Path,
        metavar="MODEL.onnx",
        help="set it in this guarded decoder, from the scores it gives itself",
    )
    parser.add_argument("-o", "--output", type=types.output_file, metavar="FILE", help="default: the heads file itself")
    _add_rate_argument(parser, "default: that of before")
    parser.add_argument("--json", action="store_true", help="the comparison and the calibration as JSON")


def check(parser: argparse.ArgumentParser) -> None:
    """Judge prompts: exit status 0 when all are OK, 1 when any is not."""
    _add_model_arguments(parser)
    parser.add_argument("prompts", type=Path, metavar="FILE", help="prompts as JSON lines; - reads standard input")
    _add_guard_argument(parser)
    _add_rows_argument(parser, "the lines")
    parser.add_argument(
        "--batch-size", type=types.positive, metavar="N", help="at a time; default: 8, in half precision 1"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="event log, for `outrider report`")
    parser.add_argument("--json", action="store_true", help="one line of JSON per prompt, as they are checked")


def chat(parser: argparse.ArgumentParser) -> None:
    """Answer prompts line by line, each for itself, and refuse those that the guard flags."""
    _add_model_arguments(parser)
    _add_guard_argument(parser)
    answers = parser.add_argument_group("answers")
    answers.add_argument("--max-new-tokens", type=types.positive, default=256, metavar="N", help="default: 256")
    answers.add_argument("--sample", action="store_true", help="draw the tokens; without it the likeliest is taken")
    answers.add_argument("--seed", type=types.whole, default=0, metavar="N", help="with --sample; default: 0")
    refusals = parser.add_argument_group("refusals")
    refusals.add_argument("--reasons", action="store_true", help="name the risk, by our table of keyword rules")
    refusals.add_argument("--refusals", type=Path, metavar="FILE", help="a table of your own, in YAML")
    refusals.add_argument("--answer-faults", action="store_true", help="answer what could not be judged")
    parser.add_argument("--log", type=Path, metavar="FILE", help="event log, for `outrider report`")
    parser.add_argument("--json", action="store_true", help="one line of JSON per prompt, without streaming")


def _add_model_arguments(parser: argparse.ArgumentParser, dtype: str = "as the heads file has") -> None:
    parser.add_argument("model", type=Path, metavar="MODEL_FOLDER", help="a folder of transformers, or a .gguf file")
    how = parser.add_argument_group("the model")
    how.add_argument("--dtype", metavar="NAME", help=f"float32, bfloat16, float16; default: {dtype}")
    how.add_argument("--device", default="cpu", metavar="NAME", help="cpu, cuda, cuda:1; default: cpu")
    how.add_argument("--system", metavar="TEXT", help="the system prompt; default: what the chat template has")


def _add_guard_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--guard", type=Path, required=True, metavar="FILE", help="the heads file that `outrider head search` wrote"
    )
    add_key_argument(parser, "the heads file")


def _add_rows_argument(parser: argparse._ActionsContainer, whole: str) -> None:
    text = f"a part of {whole}, such as :200"
    parser.add_argument("--rows", type=types.rows, default=slice(None), metavar="START:STOP", help=text)


def _add_rate_argument(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--false-alarm-rate", type=types.above_zero, metavar="RATE", help=f"of safe prompts flagged; {default}"
    )


HEAD_COMMANDS = (search, calibrate, recalibrate, check, chat)
"""The commands of `outrider head`."""
