"""What each command takes. A command's name is that of its function here and of its file in `commands/`.

The commands of a group are files of its own folder; others may name the folder of theirs as `room`.

Nothing is imported that takes time: help and mistakes in the arguments are answered at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from .evaluating import bench, evaluate
from .files import compare, compile, export, inspect, sign, verify  # noqa: A004 (a command's name)
from .heads import HEAD_COMMANDS
from .lab import lab
from .offline import calibrate, merge, profile
from .running import check, demo, report, watch


def head(parser: argparse.ArgumentParser) -> None:
    """Guard a language model by its attention heads: search, calibrate, recalibrate, check, chat."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="ACTION", help="what to do, see its --help")
    for add_arguments in HEAD_COMMANDS:
        summary = str(add_arguments.__doc__)
        command = commands.add_parser(add_arguments.__name__, help=summary, description=summary, allow_abbrev=False)
        add_arguments(command)


COMMANDS = (
    profile,
    merge,
    calibrate,
    check,
    evaluate,
    bench,
    watch,
    export,
    inspect,
    compare,
    compile,
    sign,
    verify,
    report,
    head,
    lab,
    demo,
)


def leaves(parser: argparse.ArgumentParser, *words: str) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """The commands that stand at the end of a command's words, such as ``head search``, each with its parser."""
    branches = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001
    if not branches:
        yield words, parser
    for branch in branches:
        for name, command in branch.choices.items():
            yield from leaves(command, *words, name)
