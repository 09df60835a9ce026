"""Which risk a prompt names, by keywords: a table from category to words, first match in its order.

These are rules of keywords and no classifier. They word a reason or a refusal; they never decide that a prompt is
unsafe.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

RULES: dict[str, tuple[str, ...]] = {
    "sexual content with minors": ("child porn*", "child sex*", "underage sex*", "groom a child", "minor sexual*"),
    "self-harm": ("suicid*", "self-harm*", "kill myself", "kill yourself", "starve myself", "anorexi*", "cut myself"),
    "weapons or explosives": (
        "bomb*", "explosive*", "grenade*", "gun", "guns", "firearm*", "silencer*", "ammunition", "nerve agent*",
        "bioweapon*", "chemical weapon*", "anthrax", "ricin",
    ),
    "illegal drugs": ("meth", "methamphetamine*", "cocaine", "heroin", "fentanyl", "mdma", "lsd", "drug deal*"),
    "breaking into computers": (
        "hack*", "malware", "ransomware", "keylogger*", "phish*", "ddos", "exploit a vulnerability", "botnet*",
        "steal password*", "computer virus*",
    ),
    "theft or fraud": (
        "steal*", "theft", "shoplift*", "burgl*", "rob", "robbing", "fraud*", "counterfeit*", "forge", "forged",
        "scam*", "launder*", "embezzl*", "blackmail*", "extort*", "tax evasion", "identity theft",
    ),
    "hatred or harassment": (
        "racis*", "sexis*", "xenophob*", "antisemit*", "homophob*", "hate speech", "inferior race", "bully*", "harass*",
        "stalk*", "defam*", "slur*", "body sham*", "doxx*",
    ),
    "violence": (
        "kill*", "murder*", "assassin*", "stab*", "poison*", "tortur*", "kidnap*", "rape*", "terroris*", "massacre*",
        "assault*", "harm others", "harm someone", "hurt someone", "sabotage*", "arson*",
    ),
    "disinformation": ("fake news", "misinformation", "disinformation", "conspiracy theor*", "propaganda", "hoax*"),
}  # fmt: skip
"""Our table: risk category -> words, a `*` at the end of a word standing for any ending."""


class RiskRules:
    """Risk categories by their words.

    rules: risk category -> words or phrases, matched whole and in any case; `*` at an end stands for any ending.
    `RULES` is a table of ours. Raises ValueError for a table of another form.
    """

    def __init__(self, rules: Mapping[str, Sequence[str]]) -> None:
        self.rules = dict(rules)
        self._patterns = {category: _pattern(category, words) for category, words in self.rules.items()}

    def category(self, prompt: str) -> str | None:
        """The first category, in the order of the table, that has a word in a prompt; None where none has."""
        return next((category for category, pattern in self._patterns.items() if pattern.search(prompt)), None)


def _pattern(category: str, words: Any) -> re.Pattern[str]:
    listed = isinstance(words, list | tuple) and words
    if not listed or not all(isinstance(word, str) and word.strip(" *") for word in words):
        raise ValueError(f"expected a list of words for the category {category!r}, got {words!r}")
    parts = (re.escape(word.strip().rstrip("*")) + r"\w*" * word.strip().endswith("*") for word in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)".replace(r"\ ", r"\s+"), re.IGNORECASE)
