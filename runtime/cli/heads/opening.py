"""Opening what the commands of `outrider head` are given: a model, a heads file, prompts."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....monitor import MismatchError, NotReadyError, ProfileError
from ....monitor.files import checked_contents
from ....monitor.heads import HeadGuard
from ...inputs.prompts import of_kind, read_prompts
from ...printable import counted, printable
from ..progress import progress_bar

if TYPE_CHECKING:
    from ....networks.transformers import Decoder

_NAMED = 5


def open_model(options: argparse.Namespace, dtype: str = "float32") -> Decoder:
    """The model that the command was given. dtype: where `--dtype` says none."""
    from ....networks.transformers import open_decoder

    return open_decoder(
        options.model, dtype=options.dtype or dtype, device=options.device, system=options.system
    )  # fmt: skip


def open_guard(options: argparse.Namespace, *, calibrated: bool = False) -> HeadGuard:
    """The guard of a heads file, with its model. Raises ProfileError, MismatchError, and NotReadyError."""
    facts = head_facts(options.guard, options.key)
    decoder = open_model(options, facts["decoder"]["dtype"])
    try:
        guard = HeadGuard.load(options.guard, decoder, key=options.key)
    except MismatchError as error:
        hint = "; was --system given to the search?" if "encoding" in str(error) else ""
        raise MismatchError(f"{error}{hint}") from None
    if calibrated and guard.calibration is None:
        raise NotReadyError(
            f"{options.guard}: expected a heads file with a threshold, got one without;"
            f" `outrider head calibrate {options.model} --guard {options.guard} --safe FILE` sets it"
        )
    return guard


def head_facts(path: Path, key: Path | None = None) -> dict[str, Any]:
    """What a heads file says of itself, in JSON types. Raises ProfileError for another file, FileNotFoundError."""
    facts = checked_contents(path, key=key, arrays=False).facts
    if facts.get("kind") != "heads":
        raise ProfileError(f"{path}: expected what `outrider head search` wrote, got the profile of a network")
    return facts


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def prompts_of(path: Path, kind: str, rows: slice) -> tuple[list[dict[str, Any]], list[str]]:
    """(prompts of a label or without one, what is wrong with the other lines). Says on stderr what is left out.

    Raises ValueError where none is left.
    """
    prompts, wrong = of_kind(read_prompts(path), kind, rows)
    tell_wrong(path, wrong)
    if not prompts:
        raise ValueError(f"{path}: expected at least one {kind} prompt, got none")
    return prompts, wrong


def labelled_prompts(path: Path, rows: slice) -> list[tuple[list[dict[str, Any]], list[str]]]:
    """The unsafe and the safe prompts of one file, each as `prompts_of` has them; a line without a label is wrong.

    Raises ValueError where none of a kind is left.
    """
    missing = "expected a label, safe or unsafe, got none"
    lines = [
        line if line.error or line.label else line._replace(prompt=None, error=missing) for line in read_prompts(path)
    ]
    tell_wrong(path, [f"line {line.number}: {line.error}" for line in lines if line.error])
    kinds = [of_kind(lines, kind, rows) for kind in ("unsafe", "safe")]
    for kind, (prompts, _) in zip(("unsafe", "safe"), kinds, strict=True):
        if not prompts:
            raise ValueError(f"{path}: expected at least one {kind} prompt, got none")
    return kinds


def tell_wrong(path: Path, wrong: list[str]) -> None:
    """Say on stderr which lines are left out."""
    for problem in wrong[:_NAMED]:
        sys.stderr.write(f"outrider: warning: {printable(f'{path}, {problem}')}; the line is left out\n")
    if len(wrong) > _NAMED:
        sys.stderr.write(f"outrider: warning: {printable(str(path))}: {counted(len(wrong), 'line')} left out in all\n")


@contextmanager
def prompts_bar(title: str, total: int, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A progress bar of prompts, as the guard's methods call it: with those done and those in all."""
    with progress_bar(title, total, quiet=quiet) as progress:
        yield lambda done, _total: progress(done)
