"""Quadruples: a safe and an unsafe picture, each with its caption. They are read from JSON lines."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

KEYS = "safe_image", "safe_caption", "unsafe_image", "unsafe_caption"


class Quadruple(NamedTuple):
    """A safe and an unsafe item. An image is a file's path, or whatever else the caller's pictures are called by."""

    safe_image: Hashable
    safe_caption: str
    unsafe_image: Hashable
    unsafe_caption: str


class QuadrupleFile(NamedTuple):
    """What a file held. left_out: a sentence for each line that names a picture which is not there."""

    quadruples: list[Quadruple]
    left_out: list[str]


def read_quadruples(path: str | os.PathLike[str]) -> QuadrupleFile:
    """Read JSON lines with the four `KEYS`; a relative path of a picture starts at the file's folder.

    A line that names a picture which is not there is left out and told of. Empty lines are passed over.
    Raises FileNotFoundError for no file, and ValueError that names the line for one without a key, for a value that is
    no text or an empty one, and for a file of which no quadruple is left.
    """
    source = Path(path)
    found, left_out = [], []
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{source}: expected JSON lines in UTF-8, got {error}") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        one = _quadruple(line, f"{source}, line {number}", source.parent)
        missing = [str(image) for image in (one.safe_image, one.unsafe_image) if not Path(str(image)).is_file()]
        if missing:
            left_out.append(f"line {number}: expected a picture, got no file {' and none '.join(missing)}")
        else:
            found.append(one)
    if not found:
        why = f"{len(left_out)} whose pictures are not there, such as {left_out[0]}" if left_out else "an empty file"
        raise ValueError(f"{source}: expected at least one quadruple, got {why}")
    return QuadrupleFile(found, left_out)


def _quadruple(line: str, place: str, folder: Path) -> Quadruple:
    try:
        facts = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place}: expected JSON, got {error}") from None
    if not isinstance(facts, dict):
        raise ValueError(f"{place}: expected an object with {', '.join(KEYS)}, got {type(facts).__name__}")
    absent = [key for key in KEYS if key not in facts]
    if absent:
        raise ValueError(f"{place}: expected the keys {', '.join(KEYS)}, got none named {', '.join(absent)}")
    for key in KEYS:
        if not isinstance(facts[key], str) or not facts[key].strip():
            raise ValueError(f"{place}: expected {key} to be a text, got {facts[key]!r}")
    safe, unsafe = (folder / facts[key] for key in ("safe_image", "unsafe_image"))
    return Quadruple(safe, facts["safe_caption"], unsafe, facts["unsafe_caption"])
