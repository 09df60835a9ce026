"""MkDocs hook: `<!-- help: profile -->` on a page becomes what `outrider profile --help` says."""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

from outrider.runtime.cli.options import COMMANDS, leaves

_HELP = re.compile(r"<!-- help: ([a-z]+(?: [a-z]+)?) -->")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the help texts in place. Raises KeyError for a command that is not there."""
    return _HELP.sub(lambda found: f"```text\n{help_of(found[1])}```", markdown)


def help_of(name: str) -> str:
    """The help text of one command, such as ``check`` or ``head check``, 90 columns wide."""
    os.environ["COLUMNS"] = "90"
    first = name.split(maxsplit=1)[0]
    add_arguments = {command.__name__: command for command in COMMANDS}[first]
    parser = argparse.ArgumentParser(prog=f"outrider {first}", description=add_arguments.__doc__, add_help=False)
    add_arguments(parser)
    return parser.format_help() if first == name else dict(leaves(parser, first))[tuple(name.split())].format_help()
