"""Progress bars on a terminal, and Ctrl-C that waits for the batch in hand."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .signals import Stop


@contextmanager
def progress_bar(title: str, total: int | None, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs; the block calls what it is given with the number done so far.

    total: None where it is not known. Ctrl-C raises KeyboardInterrupt out of that call, between two batches, so that a
    checkpoint holds whole batches. A second Ctrl-C raises it at once.
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    silent = quiet or not console.is_terminal
    with Stop(signal.SIGINT) as stop, Progress(*columns, console=console, transient=True, disable=silent) as progress:
        task = progress.add_task(title, total=total)
        stop.later()

        def report(done: int) -> None:
            progress.update(task, completed=done)
            if stop.asked:
                raise KeyboardInterrupt

        yield report
