"""Prompts from files of JSON lines: one object a line, with a text, pictures and a label."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

LABELS = "safe", "unsafe"
_LONGEST = 1 << 20


class PromptLine(NamedTuple):
    """A line of a file. number: from 1. prompt: ``{"prompt": text, "images": [paths]}``, None for a line that is wrong.

    label: "safe", "unsafe", or None. error: what is wrong, in a sentence; empty where nothing is.
    """

    number: int
    prompt: dict[str, Any] | None
    label: str | None = None
    error: str = ""


def read_prompts(path: Path) -> list[PromptLine]:
    """The lines of a file, without empty ones; ``-`` is the standard input. A wrong line says so and is kept.

    Pictures are named relative to the file's folder. Raises OSError for no file, ValueError for one without lines.
    """
    if str(path) == "-":
        lines = list(parse_lines(sys.stdin.buffer, Path()))
    else:
        with path.open("rb") as file:
            lines = list(parse_lines(file, path.parent))
    if not lines:
        raise ValueError(f'{path}: expected lines such as {{"prompt": "…"}}, got none')
    return lines


def parse_lines(lines: Iterable[bytes], folder: Path) -> Iterator[PromptLine]:
    """Each line that is not empty, read. folder: what the names of pictures are relative to."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                prompt, label = _parsed(line, folder)
            except (ValueError, RecursionError) as error:
                yield PromptLine(number, None, error=str(error))
            else:
                yield PromptLine(number, prompt, label)


def of_kind(
    lines: Iterable[PromptLine], kind: str, rows: slice = slice(None)
) -> tuple[list[dict[str, Any]], list[str]]:
    """(prompts, what is wrong with each line that is): the lines of a label, or without one, and of these a part."""
    wanted = [line for line in lines if line.error or line.label in (kind, None)][rows]
    return (
        [line.prompt for line in wanted if line.prompt is not None],
        [f"line {line.number}: {line.error}" for line in wanted if line.error],
    )


def _parsed(line: bytes, folder: Path) -> tuple[dict[str, Any], str | None]:
    if len(line) > _LONGEST:
        raise ValueError(f"expected a line of at most {_LONGEST:,} bytes, got {len(line):,}")
    try:
        content = json.loads(line)
    except UnicodeDecodeError:
        raise ValueError("expected text in UTF-8, got other bytes") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"expected an object in JSON, got {error.msg.lower()} at column {error.colno}") from None
    if not isinstance(content, dict):
        raise ValueError(f"expected an object in JSON, got {type(content).__name__}")
    text, label = content.get("prompt"), content.get("label")
    if not isinstance(text, str):
        raise ValueError('expected a text under "prompt", got ' + ("none" if text is None else type(text).__name__))
    if not text.strip():
        raise ValueError("expected a prompt with words, got an empty one")
    if label is not None and label not in LABELS:
        raise ValueError(f'expected the label "safe" or "unsafe", got {str(label)[:40]!r}')
    images = content.get("images")
    if images is not None and content.get("image") is not None:
        raise ValueError('expected "image" or "images", got both')
    if images is None:
        images = [] if content.get("image") is None else [content["image"]]
    if not isinstance(images, list) or not all(isinstance(image, str) and image for image in images):
        raise ValueError('expected a path under "image" or a list of paths under "images", got something else')
    prompt: dict[str, Any] = {"prompt": text}
    if images:
        prompt["images"] = [str(folder / image) for image in images]
    return prompt, label
