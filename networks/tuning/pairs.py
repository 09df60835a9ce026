"""Pairs of answers to a prompt, one to prefer and one not to, from files of JSON lines."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

REFUSAL = "I'm sorry, but I can't help with that."
_LONGEST = 1 << 20
_KINDS = {"safe": False, "unsafe": True}


@dataclass(frozen=True)
class AnswerPair:
    """A prompt with the answer to prefer and the one not to; dispreferred is empty where there is none.

    unsafe: whether the prompt is. images: paths, for a model that sees. Raises ValueError for an empty text.
    """

    prompt: str
    preferred: str
    dispreferred: str = ""
    unsafe: bool = False
    images: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("prompt", "preferred"):
            if not getattr(self, name).strip():
                raise ValueError(f"expected a text under {name!r}, got an empty one")
        if self.preferred == self.dispreferred:
            raise ValueError("expected two different answers, got one twice")


def read_pairs(
    path: str | os.PathLike[str], *, refusal: str = REFUSAL, both: bool = False
) -> tuple[list[AnswerPair], list[str]]:
    """(pairs, what is wrong with each line that is left out) of a file of JSON lines.

    A line is ``{"prompt": …, "label": "safe" or "unsafe", "preferred": …, "dispreferred": …}``, with ``image`` or
    ``images`` if need be, named relative to the file. refusal: what an unsafe prompt prefers and a safe one does not,
    where its line does not say. both: whether a line without a dispreferred answer is wrong.
    Raises OSError for no file, ValueError where no pair is left.
    """
    path = Path(path)
    pairs, wrong = [], []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    pairs.append(_parsed(line, path.parent, refusal, both))
                except (ValueError, RecursionError) as error:
                    wrong.append(f"line {number}: {error}")
    if not pairs:
        why = f"; {wrong[0]}" if wrong else ""
        raise ValueError(
            f'{path}: expected lines such as {{"prompt": "…", "label": "safe", "preferred": "…"}}, got none{why}'
        )
    return pairs, wrong


def shared_out(pairs: Sequence[AnswerPair], unsafe_share: float) -> list[AnswerPair]:
    """All pairs, those of the kind that is too rare repeated until the share of unsafe ones is as asked.

    Repeats are even: no pair comes twice more often than another of its kind. Raises ValueError for a share that is
    not between 0 and 1, and where a kind is missing.
    """
    if not 0 < unsafe_share < 1:
        raise ValueError(f"expected a share of unsafe pairs between 0 and 1, got {unsafe_share!r}")
    unsafe, safe = [pair for pair in pairs if pair.unsafe], [pair for pair in pairs if not pair.unsafe]
    if not unsafe or not safe:
        raise ValueError(
            f"expected unsafe and safe pairs, got {len(unsafe)} unsafe and {len(safe)} safe; without safe ones a model"
            " learns to refuse everything"
        )
    wholes = len(unsafe) / unsafe_share, len(safe) / (1 - unsafe_share)
    total = max(math.ceil(round(whole, 6)) for whole in wholes)
    wanted = round(total * unsafe_share)
    return _cycled(unsafe, max(wanted, len(unsafe))) + _cycled(safe, max(total - wanted, len(safe)))


def _cycled(pairs: list[AnswerPair], number: int) -> list[AnswerPair]:
    return [pairs[index] for index in np.arange(number) % len(pairs)]


def _parsed(line: bytes, folder: Path, refusal: str, both: bool) -> AnswerPair:
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
    unsafe = _KINDS.get(_text(content, "label"))
    if unsafe is None:
        raise ValueError(f'expected the label "safe" or "unsafe", got {content["label"][:40]!r}')
    preferred = _text(content, "preferred", refusal if unsafe else None)
    dispreferred = _text(content, "dispreferred", "" if unsafe else refusal)
    if both and not dispreferred.strip():
        raise ValueError('expected a text under "dispreferred", which this method needs, got none')
    dispreferred = "" if not both and dispreferred == preferred else dispreferred
    return AnswerPair(_text(content, "prompt"), preferred, dispreferred, unsafe, _images(content, folder))


def _text(content: dict[str, Any], name: str, otherwise: str | None = None) -> str:
    text = content.get(name, otherwise)
    if not isinstance(text, str):
        raise ValueError(f'expected a text under "{name}", got ' + ("none" if text is None else type(text).__name__))
    return text


def _images(content: dict[str, Any], folder: Path) -> tuple[str, ...]:
    images, image = content.get("images"), content.get("image")
    if images is not None and image is not None:
        raise ValueError('expected "image" or "images", got both')
    if images is None:
        images = [] if image is None else [image]
    if not isinstance(images, list) or not all(isinstance(one, str) and one for one in images):
        raise ValueError('expected a path under "image" or a list of paths under "images", got something else')
    return tuple(str(folder / one) for one in images)
