"""What decodes the output of an object detector, by the text that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...networks import as_decoder
from .python_file import named_in


def decoder_of(told: str | None) -> Any:
    """``yolo(score=0.4)`` as that decoder, ``file.py:function`` as the function; None for None.

    Raises ValueError for anything else, FileNotFoundError where there is no such file.
    """
    kind, colon, name = (told or "").rpartition(":")
    if not (colon and kind.endswith(".py")):
        return as_decoder(told)
    path = Path(kind)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a Python file, got no such file")
    try:
        found = named_in(path, name)
    except Exception as error:
        raise ValueError(f"{told}: expected a function, got {type(error).__name__}: {error}") from error
    if not callable(found):
        raise ValueError(f"{told}: expected a function, got {type(found).__name__}")
    return found
