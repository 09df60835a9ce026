"""Which prompts are tuned on, chosen with, and tested. No prompt is in two parts, nor a focus word of XSTest.

Tuned on: `instructions_train`, and a part of XSTest that is one example in twenty of each kind. Chosen with: a part of
XSTest and 60 prompts of each kind of `instructions_test`; steps, rate and the share of unsafe examples were set by
these. Tested: the rest of XSTest, and other prompts of `instructions_test`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outrider.networks.tuning.reasons import Request

from ...heads.focus import cut
from ...heads.prompts import Labelled, read

UNSAFE, BORDER = 0.3, 0.05  # of the examples: unsafe ones, and XSTest's of either kind
CHOSEN_WITH = 60
SETS = ("unsafe", "contrasts", "borderline", "safe")
"""Unsafe instructions; XSTest's unsafe prompts and its safe ones, which share words; safe instructions."""


@dataclass(frozen=True)
class Prompts:
    """Pools to tune on, each in its order, and the sets that were chosen with and those that are tested."""

    unsafe: list[str]
    safe: list[str]
    border_unsafe: list[str]
    border_safe: list[str]
    chosen_with: dict[str, list[str]]
    tested: dict[str, list[str]]


def prompts(folder: Path, most: Sequence[int]) -> Prompts:
    """The prompts of a folder. most: how many of each tested set, in the order of `SETS`."""
    train = read(folder, "instructions_train")
    first, rest = cut(read(folder, "xstest"), 1 / 3, 100)
    one, chosen = cut(rest, 1 / 3, 1)
    tuned, other = cut(first, 0.6, 2)
    test = read(folder, "instructions_test")
    pools = {
        "unsafe": _texts(test, unsafe=True), "contrasts": _texts(chosen, unsafe=True),
        "borderline": _texts(chosen, unsafe=False), "safe": _texts(test, unsafe=False),
    }  # fmt: skip
    rng = np.random.default_rng(5)
    orders = {name: [texts[i] for i in rng.permutation(len(texts))] for name, texts in pools.items()}
    tested = {name: orders[name][CHOSEN_WITH:] for name in ("unsafe", "safe")}
    rng = np.random.default_rng(6)
    for name, unsafe in (("contrasts", True), ("borderline", False)):
        texts = _texts([*one, *other], unsafe=unsafe)
        tested[name] = [texts[i] for i in rng.permutation(len(texts))]
    return Prompts(
        _texts(train, unsafe=True),
        _texts(train, unsafe=False),
        _texts(tuned, unsafe=True),
        _texts(tuned, unsafe=False),
        {name: orders[name][:CHOSEN_WITH] for name in SETS},
        {name: tested[name][:count] for name, count in zip(SETS, most, strict=True)},
    )


def drawn(pools: Prompts, number: int, seed: int) -> list[Request]:
    """A number of requests; those of fewer are the first of each kind among those of more.

    Raises ValueError where a pool is too small.
    """
    unsafe, border = round(number * UNSAFE), round(number * BORDER)
    wanted = (
        (pools.border_unsafe, border, True), (pools.unsafe, unsafe - border, True), (pools.border_safe, border, False),
        (pools.safe, number - unsafe - border, False),
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    found = []
    for texts, count, kind in wanted:
        if count > len(texts):
            raise ValueError(f"expected {count} prompts to tune on, got {len(texts)}; ask for fewer examples")
        found += [Request(texts[i], kind) for i in rng.permutation(len(texts))[:count]]
    return found


def _texts(found: Sequence[Labelled], *, unsafe: bool) -> list[str]:
    return [prompt.text for prompt in found if prompt.unsafe is unsafe]
