"""What becomes of frames that cannot be read and of files that are no frames: said in words and in JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ..inputs.joint import JointSource
from ..inputs.sources import Source, UnreadableError
from ..inputs.walking import left_out
from ..printable import counted, printable

_NAMED = 10


class LeftOut(Protocol):
    """What a walk left out and followed, as of a `Walk`."""

    @property
    def skipped(self) -> Mapping[str, int]: ...
    @property
    def followed(self) -> int: ...


def with_policy(source: Source | JointSource, on_error: str) -> Source | JointSource:
    """The source, which notes frames that cannot be read unless `on_error` is "stop"."""
    return source if on_error == "stop" else replace(source, problems={})


@contextmanager
def advised(partial: Path | None = None) -> Iterator[None]:
    """Say of a frame that cannot be read which flag leaves such frames out.

    partial: the file that keeps what was learned before, so that the command can go on.
    """
    try:
        yield
    except UnreadableError as error:
        go_on = "" if partial is None or not partial.exists() else f"; with --resume it goes on from {partial}"
        raise ValueError(f"{error}; --on-error skip leaves out what cannot be read{go_on}") from None


def refuse_unread(source: Source | JointSource) -> None:
    """Raise ValueError where no frame of a source could be read."""
    if source.problems and len(source.problems) == len(source):
        name, reason = next(iter(source.problems.items()))
        raise ValueError(f"expected a frame that can be read, got none of {len(source):,}; {name}: {reason}")


def reading_facts(sources: Sequence[Source | JointSource]) -> dict[str, Any]:
    """What was read and what was not, in JSON types: {frames, followed, skipped, unreadable}."""
    problems = {name: reason for source in sources for name, reason in (source.problems or {}).items()}
    return {"frames": sum(map(len, sources)) - len(problems), **_walked(sources), "unreadable": problems}


def _walked(walks: Sequence[LeftOut]) -> dict[str, Any]:
    skipped: dict[str, int] = {}
    for walk in walks:
        for name, count in walk.skipped.items():
            skipped[name] = skipped.get(name, 0) + count
    return {"followed": sum(walk.followed for walk in walks), "skipped": skipped}


def reading_words(facts: Mapping[str, Any]) -> Iterator[str]:
    """Lines for a reader on what `reading_facts` tells, but for the number of frames; none where all was read."""
    if words := left_out(facts["skipped"], facts["followed"]):
        yield words
    problems = facts.get("unreadable") or {}
    if problems:
        yield f"{counted(len(problems), 'frame')} cannot be read:"
    for name, reason in list(problems.items())[:_NAMED]:
        yield f"  {reason}" if reason.startswith(name) else f"  {name}: {reason}"
    if len(problems) > _NAMED:
        yield f"  and {len(problems) - _NAMED:,} more, which --json names"


def write_reading(facts: Mapping[str, Any]) -> None:
    """Print those lines."""
    for line in reading_words(facts):
        sys.stdout.write(f"{printable(line)}\n")


def walk_words(walked: LeftOut) -> str:
    """What a stream left out and followed, in words."""
    return left_out(walked.skipped, walked.followed)


def walk_line(walked: LeftOut, stream: str = "") -> str:
    """The same as a line of JSON. stream: its name where there are several."""
    return json.dumps({**({"stream": stream} if stream else {}), "frame": None, **_walked([walked])})
