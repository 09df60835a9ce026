"""Progress bars on a terminal, and Ctrl-C that waits for the batch in hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def progress_bar(title: str, total: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr while the block runs; the block calls what it is given with the number done so far.

    Ctrl-C raises KeyboardInterrupt out of that call, between two batches, so that a checkpoint holds whole batches;
    a second Ctrl-C raises it at once.
    """
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    silent = quiet or not console.is_terminal
    with (
        interrupt_later() as interrupted,
        Progress(*columns, console=console, transient=True, disable=silent) as progress,
    ):
        task = progress.add_task(title, total=total)

        def report(done: int) -> None:
            progress.update(task, completed=done)
            if interrupted.is_set():
                raise KeyboardInterrupt

        yield report


@contextmanager
def interrupt_later() -> Iterator[threading.Event]:
    """While the block runs, Ctrl-C sets the event; a second one raises KeyboardInterrupt at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def handle(*_: object) -> None:
        interrupted.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
