"""What a refusal says: a table of rules from a risk category to one sentence.

These are rules of keywords and no classifier. They only word a refusal that the guard has decided on already; they
never decide that a prompt is refused, and a prompt that no rule knows gets the plain refusal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ...monitor import Status, Verdict
from ...monitor.attributes import strict
from ...networks.tuning.reasons.risks import RULES, RiskRules
from ..printable import told

if TYPE_CHECKING:
    from typing_extensions import Self

PLAIN = "I cannot help with that."
REASONED = "This asks for {category}, so I cannot help with that."
UNCHECKED = "This request could not be checked, so it is not answered."

__all__ = ["PLAIN", "REASONED", "RULES", "UNCHECKED", "Refusals"]


@strict
class Refusals:
    """Words the refusal of a prompt. By default one plain sentence for all, without a reason.

    rules: risk category -> words or phrases, matched whole and in any case; `*` at an end stands for any ending. The
    first category in the order of the table that has a word in the prompt is named in `reasoned`, in place of
    ``{category}``. `RULES` is a table of ours. plain: where no rule matches. unchecked: for a prompt with a FAULT.
    Raises ValueError for a table of another form.
    """

    def __init__(
        self, rules: Mapping[str, Sequence[str]] | None = None, *, reasoned: str = REASONED, plain: str = PLAIN,
        unchecked: str = UNCHECKED,
    ) -> None:  # fmt: skip
        self.rules = dict(rules or {})
        self.reasoned, self.plain, self.unchecked = reasoned, plain, unchecked
        if "{category}" not in reasoned:
            raise ValueError(f"expected a sentence with {{category}} in it, got {reasoned!r}")
        for name, text in (("reasoned", reasoned), ("plain", plain), ("unchecked", unchecked)):
            if not text.strip():
                raise ValueError(f"expected a sentence as {name}=, got an empty one")
        self._risks = RiskRules(self.rules)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The table of a YAML file with the keys `rules`, `reasoned`, `plain` and `unchecked`, each of them optional.

        ``rules: {violence: [kill*, murder*]}``. Raises ValueError for a file of another form, OSError for none.
        """
        path = Path(path)
        try:
            content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: expected YAML, got {told(error)}") from None
        content = {} if content is None else content
        known = ("rules", "reasoned", "plain", "unchecked")
        if not isinstance(content, dict) or set(content) - set(known):
            raise ValueError(f"{path}: expected a table of refusals with the keys {', '.join(known)}, got another one")
        texts = {key: content[key] for key in known[1:] if key in content}
        rules = content.get("rules") or {}
        if not isinstance(rules, dict) or not all(isinstance(text, str) for text in [*texts.values(), *rules]):
            raise ValueError(f"{path}: expected `rules` to lead from categories to words, and sentences as texts")
        try:
            return cls(rules, **texts)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def category(self, prompt: str) -> str | None:
        """The risk category that the rules find in a prompt, or None."""
        return self._risks.category(prompt)

    def sentence(self, prompt: str, verdict: Verdict) -> str:
        """The refusal of a prompt with this verdict."""
        if verdict.status >= Status.FAULT:
            return self.unchecked
        category = self.category(prompt)
        return self.plain if category is None else self.reasoned.replace("{category}", category)

    def __repr__(self) -> str:
        return f"Refusals({len(self.rules)} categories, plain={self.plain!r})"
