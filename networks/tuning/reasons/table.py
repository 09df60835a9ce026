"""The table of reasons: a risk category leads to one short sentence, and that to the refusal."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from .risks import RULES, RiskRules

if TYPE_CHECKING:
    from typing_extensions import Self

REASONS = (
    "This asks for {category}.", "This is about {category}.", "That would mean {category}.",
    "This request involves {category}.",
)  # fmt: skip
REFUSALS = ("I cannot help with that.",)
UNKNOWN = "serious harm"
_PLACE = "{category}"
_KEYS = "categories", "reasons", "refusals", "unknown"


@dataclass(frozen=True)
class ReasonTable:
    """Rules that word the answer to an unsafe prompt: a reason that names the risk, then a refusal.

    rules: risk category -> keywords, see `RiskRules`. reasons: sentences with ``{category}``, of which one is drawn.
    own: category -> sentences of its own, drawn in place of `reasons`; each names the category, in words or as
    ``{category}``. refusals: sentences that end the answer, one is drawn. unknown: the category of a prompt that no
    rule knows. Wording of ours; SafeCoT has one fixed refusal. Raises ValueError for a table of another form.
    """

    rules: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType(RULES))
    reasons: Sequence[str] = REASONS
    refusals: Sequence[str] = REFUSALS
    unknown: str = UNKNOWN
    own: Mapping[str, Sequence[str]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for name in ("reasons", "refusals"):
            _sentences(getattr(self, name), name)
        unknown: Any = self.unknown
        if not isinstance(unknown, str) or not unknown.strip():
            raise ValueError(f"expected words as `unknown`, for prompts that no rule knows, got {unknown!r}")
        for sentence in self.reasons:
            if _PLACE not in sentence:
                raise ValueError(f"expected a reason with {_PLACE} in it, got {sentence!r}")
        for category, sentences in self.own.items():
            for sentence in _sentences(sentences, f"reasons of {category!r}"):
                if category.lower() not in sentence.replace(_PLACE, category).lower():
                    raise ValueError(f"expected a reason that names {category!r}, got {sentence!r}")
        object.__setattr__(self, "_risks", RiskRules(self.rules))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The table of a YAML file with the keys `categories`, `reasons`, `refusals` and `unknown`, each optional.

        ``categories: {violence: {words: [kill*, murder*], reasons: [Violence hurts people.]}}``; a list in place of the
        inner mapping is of words. Raises ValueError for a file of another form, OSError for none.
        """
        path = Path(path)
        try:
            content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected YAML, got {' '.join(str(error).split())}") from None
        content = {} if content is None else content
        if not isinstance(content, dict) or set(content) - set(_KEYS):
            raise ValueError(f"{path}: expected a table of reasons with the keys {', '.join(_KEYS)}, got another one")
        try:
            return cls(**_given(content))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def category(self, prompt: str) -> str:
        """The risk that the rules find in a prompt; `unknown` where they find none."""
        risks: RiskRules = self._risks  # type: ignore[attr-defined]
        return risks.category(prompt) or self.unknown

    def reason(self, category: str, rng: np.random.Generator) -> str:
        """A reason for a category, drawn."""
        return _drawn(self.own.get(category, self.reasons), rng).replace(_PLACE, category)

    def refusal(self, rng: np.random.Generator) -> str:
        """A refusal, drawn."""
        return _drawn(self.refusals, rng)


def _given(content: dict[str, Any]) -> dict[str, Any]:
    given = {key: content[key] for key in _KEYS[1:] if key in content}
    if "categories" not in content:
        return given
    categories = content["categories"]
    if not isinstance(categories, dict) or not all(isinstance(name, str) for name in categories):
        raise ValueError(f"expected `categories` to lead from names to words, got {type(categories).__name__}")
    rules, own = {}, {}
    for name, found in categories.items():
        entry = found if isinstance(found, dict) else {"words": found}
        if set(entry) - {"words", "reasons"}:
            raise ValueError(f"expected the category {name!r} to have `words` and `reasons`, got {', '.join(entry)}")
        rules[name] = entry.get("words")
        if "reasons" in entry:
            own[name] = entry["reasons"]
    return {**given, "rules": rules, "own": own}


def _sentences(given: Any, name: str) -> Sequence[str]:
    listed = isinstance(given, list | tuple) and given
    if not listed or not all(isinstance(sentence, str) and sentence.strip() for sentence in given):
        raise ValueError(f"expected a list of sentences as {name}, got {given!r}")
    return list(given)


def _drawn(sentences: Sequence[str], rng: np.random.Generator) -> str:
    return sentences[int(rng.integers(len(sentences)))]
