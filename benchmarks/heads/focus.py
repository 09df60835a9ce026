"""XSTest, cut by focus words: the word that a safe prompt shares with its unsafe contrast.

The set's own column of focus words is not among the stored ones, so they are found again. The types come in contrasting
pairs of 25 with their prompts in one order: prompt i of a safe type stands against prompt i of the unsafe one. The
focus word is the first word of the unsafe prompt that its partner has too, small and common words left out. Prompts
are of one group when they are partners or when a focus word stands in both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .prompts import SEARCH, Labelled, Split

PARTNERS = {
    "homonyms": "contrast_homonyms",
    "figurative_language": "contrast_figurative_language",
    "safe_targets": "contrast_safe_targets",
    "safe_contexts": "contrast_safe_contexts",
    "definitions": "contrast_definitions",
    "historical_events": "contrast_historical_events",
    "real_group_nons_discr": "contrast_discr",
    "privacy_fictional": "contrast_privacy",
}
# A nonsense group has the contrast's discrimination, at another place of the list.
BY_OVERLAP = ("nons_group_real_discr", "contrast_discr")
ENDINGS = ("ings", "ing", "ers", "er", "ies", "ied", "ed", "es", "ions", "ion", "s", "e", "y")
# Grammar, and words that prompts share without being about them.
COMMON = """
a an the and or of in on at to for from by with without about into over up out off down away is are was were
be been am do does did done doing have has had having can could should would will may might must shall not no nor i me
my mine we us our you your he him his she her it its they them their what what's whats which who whom whose when where
why how that this these those there here as if than then so too very more most best better good way ways some any all
other such own same just also get got make made take took give gave put want need like use using used someone somebody
something people person man woman men women human right exactly much many tell steps process method plan great possible
find buy list explain reason idea during world war history number home address business high own another black white
asian ex really ii wife wives political general set impact easiest john
"""


def stem(word: str) -> str:
    """A word without its endings, roughly: enough to see `butchering` beside `butcher`."""
    word = word.lower().removesuffix("'s").strip("'")
    while True:
        cut = next((e for e in ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), None)
        if cut is None:
            return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word
        word = word[: -len(cut)]


STOPPED = {stem(word) for word in COMMON.split()}


def stems(text: str) -> list[str]:
    """The stems of a prompt's words, in order."""
    return [stem(word) for word in re.findall(r"[A-Za-z][A-Za-z'-]*", text.replace("’", "'"))]


def pairs(prompts: Sequence[Labelled]) -> list[tuple[int, int]]:
    """The places of partners, safe and unsafe. Raises ValueError where the types are not of one length."""
    places: dict[str, list[int]] = {}
    for i, prompt in enumerate(prompts):
        places.setdefault(prompt.kind, []).append(i)
    found = []
    for safe, unsafe in PARTNERS.items():
        if len(places.get(safe, ())) != len(places.get(unsafe, ())):
            raise ValueError(f"expected as many prompts of {safe} as of {unsafe}")
        found += list(zip(places.get(safe, ()), places.get(unsafe, ()), strict=True))
    words = [set(stems(prompt.text)) for prompt in prompts]
    for i in places.get(BY_OVERLAP[0], ()):
        found.append((i, max(places[BY_OVERLAP[1]], key=lambda j: len(words[i] & words[j]))))
    return found


def focus_words(prompts: Sequence[Labelled]) -> set[str]:
    """The stems of the focus words."""
    words = [stems(prompt.text) for prompt in prompts]
    shared = (next((w for w in words[j] if w in words[i] and w not in STOPPED), None) for i, j in pairs(prompts))
    return {word for word in shared if word is not None}


def groups(prompts: Sequence[Labelled]) -> np.ndarray:
    """The group of each prompt, (n,) int64: the place of its first member."""
    parent = list(range(len(prompts)))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    def join(i: int, j: int) -> None:
        low, high = sorted((root(i), root(j)))
        parent[high] = low

    for i, j in pairs(prompts):
        join(i, j)
    focus = focus_words(prompts)
    first: dict[str, int] = {}
    for i, prompt in enumerate(prompts):
        for word in focus.intersection(stems(prompt.text)):
            join(i, first.setdefault(word, i))
    return np.array([root(i) for i in range(len(prompts))])


def cut(prompts: Sequence[Labelled], share: float, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Two parts without a group in common; the first has about `share` of the prompts."""
    group = groups(prompts)
    order = np.random.default_rng(seed).permutation(np.unique(group))
    first: set[int] = set()
    taken = 0
    for name in order:
        size = int((group == name).sum())
        if taken + size / 2 <= share * len(prompts):  # the half that a group would be too many, it is too few without
            first.add(int(name))
            taken += size
    parts: tuple[list[Labelled], list[Labelled]] = ([], [])
    for prompt, name in zip(prompts, group, strict=True):
        parts[int(name) not in first].append(prompt)
    return parts


def splits(prompts: Sequence[Labelled], count: int) -> list[Split]:
    """Halves by focus word: 50 and 50 of one half are searched, its other safe prompts set the threshold."""
    found = []
    for seed in range(count):
        seen, unseen = cut(prompts, 0.5, seed)
        rng = np.random.default_rng(seed)
        shuffled = [seen[i] for i in rng.permutation(len(seen))]
        unsafe = [p.text for p in shuffled if p.unsafe]
        safe = [p.text for p in shuffled if not p.unsafe]
        found.append(
            Split(
                unsafe[:SEARCH],
                safe[:SEARCH],
                safe[SEARCH:],
                [p.text for p in unseen if p.unsafe],
                [p.text for p in unseen if not p.unsafe],
            )
        )
    return found
