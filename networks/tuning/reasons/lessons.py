"""What is asked, and what is to be answered: files of JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LABELS = {"safe": False, "unsafe": True}


@dataclass(frozen=True)
class Request:
    """A prompt of a user. unsafe: whether it is to be refused. category: its risk; empty where nobody said one."""

    prompt: str
    unsafe: bool
    category: str = ""


@dataclass(frozen=True)
class TaughtAnswer:
    """A prompt and the answer that a model is tuned to give.

    category: the risk, empty for a safe prompt. whole: False for an answer that is cut off, which is not tuned to end.
    """

    prompt: str
    answer: str
    unsafe: bool
    category: str = ""
    whole: bool = True

    def __post_init__(self) -> None:
        for name in ("prompt", "answer"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ValueError(f"expected words as {name}, got {getattr(self, name)!r}")


def read_requests(path: str | os.PathLike[str]) -> list[Request]:
    """Prompts of a file, each once: ``{"prompt": …, "label": "safe" or "unsafe", "category": …}`` a line.

    The category may be left out. Raises ValueError for a line of another form, by its number, and for a file without
    lines; OSError for no file.
    """
    found: dict[str, Request] = {}
    for number, entry in _lines(Path(path)):
        text, label, category = entry.get("prompt"), entry.get("label"), entry.get("category") or ""
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f'{path}, line {number}: expected words under "prompt", got {text!r}')
        if label not in LABELS:
            raise ValueError(f'{path}, line {number}: expected the label "safe" or "unsafe", got {label!r}')
        if not isinstance(category, str):
            raise ValueError(f'{path}, line {number}: expected words under "category", got {category!r}')
        request = Request(text.strip(), LABELS[label], category.strip())
        known = found.setdefault(request.prompt, request)
        if known.unsafe is not request.unsafe:
            raise ValueError(f"{path}, line {number}: expected a prompt under one label, got it as safe and as unsafe")
    return list(found.values())


def read_lessons(path: str | os.PathLike[str]) -> list[TaughtAnswer]:
    """Lessons that `write_lessons` wrote. Raises ValueError for a line of another form, OSError for no file."""
    found = []
    for number, entry in _lines(Path(path)):
        try:
            lesson = TaughtAnswer(**entry)
            flags: Any = lesson.unsafe, lesson.whole
            if not all(isinstance(flag, bool) for flag in flags):
                raise ValueError("expected true or false under `unsafe` and `whole`, got something else")
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: expected a lesson, got another object: {error}") from None
        found.append(lesson)
    return found


def write_lessons(path: str | os.PathLike[str], lessons: Iterable[TaughtAnswer]) -> None:
    """One lesson a line, written beside the file and renamed, so that there is a whole one or none."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        for lesson in lessons:
            file.write(json.dumps(asdict(lesson), ensure_ascii=False) + "\n")
    beside.replace(path)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    some = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number}: expected an object in JSON, got {error.msg.lower()}") from None
        if not isinstance(entry, dict):
            raise ValueError(f"{path}, line {number}: expected an object in JSON, got {type(entry).__name__}")
        some = True
        yield number, entry
    if not some:
        raise ValueError(f"{path}: expected lines of JSON, got none")
