"""How an answer is printed: as JSON, or as a table for a reader."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Column, Table

_WIDE = 1000


def answer(facts: Any, show: Callable[[], object], *, as_json: bool) -> None:
    """Print the facts as JSON, or let `show` print them for a reader."""
    if as_json:
        Console().print_json(json.dumps(facts))
    else:
        show()


def checked(digest: object) -> str:
    """What a digest tells of the file that has it, or that it has none."""
    whole = "whole: every byte is what was written"
    return whole if digest else "no digest: an older Outrider wrote it; load and save it to add one"


def wide_console() -> Console:
    """A console that cuts no name off in a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDE
    return console


def bare_table(*headers: str | Column, gap: int = 3) -> Table:
    """A table without lines."""
    return Table(*headers, box=None, pad_edge=False, padding=(0, gap, 0, 0))


def finite(value: float | None) -> float | None:
    """The number for strict JSON: None for NaN and infinity."""
    return value if value is not None and math.isfinite(value) else None
