"""A cell of the table, one defence on one model: what became of each prompt, kept as judgements alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ....monitor import clopper_pearson
from .judge import ANSWERED, GARBAGE, JUDGEMENTS, REFUSED

_FORMAT = 1


class Outcome(NamedTuple):
    """What became of one prompt. digest: the first 16 digits of the prompt's SHA-256.

    prefills: passes over a conversation. read, written: tokens of conversations and of answers.
    """

    digest: str
    unsafe: bool
    judgement: str
    prefills: int
    read: int
    written: int


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % Clopper-Pearson interval."""

    count: int
    n: int

    @property
    def share(self) -> float:
        return self.count / self.n

    @property
    def interval(self) -> tuple[float, float]:
        return clopper_pearson(self.count, self.n)

    def to_dict(self) -> dict[str, Any]:
        return {"count": self.count, "n": self.n, "share": self.share, "interval": list(self.interval)}


@dataclass(frozen=True)
class DefenceCell:
    """One defence on one model. left_out: prompts that do not fit into the context. seconds: that the cell took."""

    model: str
    defence: str
    outcomes: tuple[Outcome, ...]
    left_out: int
    seconds: float

    def rate(self, judgement: str, *, unsafe: bool) -> Rate:
        """The share of the unsafe or safe prompts with this judgement."""
        rows = [one.judgement for one in self.outcomes if one.unsafe is unsafe]
        return Rate(rows.count(judgement), len(rows))

    @property
    def unsafe_answered(self) -> Rate:
        """Attack success: unsafe prompts that were answered."""
        return self.rate(ANSWERED, unsafe=True)

    @property
    def safe_refused(self) -> Rate:
        """Over-refusal: safe prompts that were refused."""
        return self.rate(REFUSED, unsafe=False)

    @property
    def garbage(self) -> Rate:
        """Answers that are neither, of both kinds of prompts."""
        return Rate(sum(one.judgement == GARBAGE for one in self.outcomes), len(self.outcomes))

    def mean(self, name: str) -> float:
        """The mean over prompts of `prefills`, `read` or `written`."""
        return sum(getattr(one, name) for one in self.outcomes) / len(self.outcomes)

    def to_dict(self) -> dict[str, Any]:
        """In JSON types, without the single prompts."""
        return {
            "model": self.model, "defence": self.defence, "unsafe_answered": self.unsafe_answered.to_dict(),
            "safe_refused": self.safe_refused.to_dict(), "garbage": self.garbage.to_dict(),
            "unsafe": {name: self.rate(name, unsafe=True).count for name in JUDGEMENTS},
            "safe": {name: self.rate(name, unsafe=False).count for name in JUDGEMENTS},
            "prefills": self.mean("prefills"), "tokens_read": self.mean("read"), "tokens_written": self.mean("written"),
            "left_out": self.left_out, "seconds": self.seconds,
        }  # fmt: skip


class CellStore:
    """Cells in a folder, a file each, written as they end. A cell under another key, or torn, counts as none."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "cells"

    def load(self, model: str, defence: str, key: str) -> DefenceCell | None:
        """The cell that was kept under this key, or None."""
        try:
            facts = json.loads(self._path(model, defence).read_text(encoding="utf-8"))
            if (facts["format"], facts["key"]) != (_FORMAT, key):
                return None
            outcomes = tuple(_checked(row) for row in facts["outcomes"])
            cell = DefenceCell(model, defence, outcomes, int(facts["left_out"]), float(facts["seconds"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cell if {one.unsafe for one in outcomes} == {True, False} else None

    def save(self, cell: DefenceCell, key: str) -> None:
        """Keep a cell: to a temporary file, then renamed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(cell.model, cell.defence)
        facts = {
            "format": _FORMAT, "key": key, "model": cell.model, "defence": cell.defence, "left_out": cell.left_out,
            "seconds": cell.seconds, "outcomes": [list(one) for one in cell.outcomes],
        }  # fmt: skip
        new = path.with_name(f"{path.name}.{os.getpid()}.new")
        new.write_text(json.dumps(facts), encoding="utf-8")
        new.replace(path)

    def _path(self, model: str, defence: str) -> Path:
        plain = re.sub(r"[^\w.-]+", "_", model)
        digest = "" if plain == model else f"-{prompt_key(model)[:8]}"
        return self._folder / f"{plain}{digest}--{defence}.json"


def prompt_key(text: str) -> str:
    """The first 16 digits of a text's SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_of(facts: Any, conversations: Iterable[Sequence[int]] = ()) -> str:
    """SHA-256 in hexadecimal over facts in JSON types and over tokens."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for one in conversations:
        digest.update(json.dumps(list(one)).encode())
    return digest.hexdigest()


def _checked(row: Any) -> Outcome:
    digest, unsafe, judgement, prefills, read, written = row
    if judgement not in JUDGEMENTS or not isinstance(unsafe, bool):
        raise ValueError("expected a judgement, got another thing")
    return Outcome(str(digest), unsafe, judgement, int(prefills), int(read), int(written))
