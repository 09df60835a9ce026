"""Make the training set: reasons and refusals for unsafe prompts, or refusals alone, and help for safe ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .lessons import Request, TaughtAnswer
from .rewriting import ReasonRules, rewritten
from .table import ReasonTable

if TYPE_CHECKING:
    from .writing import Written

KINDS = "reasons", "plain"
HELP = "Sure, I can help with that."


@dataclass(frozen=True)
class TrainingSet:
    """The lessons in the order of the requests, and what became of the rewriting (see `rewritten`), empty without."""

    lessons: list[TaughtAnswer]
    rewriting: dict[str, int] = field(default_factory=dict)


def training_set(
    requests: Sequence[Request],
    table: ReasonTable | None = None,
    *,
    kind: str = "reasons",
    seed: int = 0,
    own: Mapping[str, Written] | None = None,
    write: Callable[[list[str]], list[str]] | None = None,
    rules: ReasonRules | None = None,
) -> TrainingSet:
    """A lesson of each request.

    kind: ``reasons`` answers an unsafe prompt by a reason and a refusal; ``plain`` by the same refusal alone, which is
    what reasons are compared with. seed: of what is drawn; the answer to a prompt depends on the seed and the prompt,
    not on the others. own: safe prompt -> the model's own answer, cut off or not; a prompt without one is answered by
    plain help. write: rewrites reasons, see `rewritten`; rules: those of its answers.
    Raises ValueError for no requests, or another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"expected a kind among {', '.join(KINDS)}, got {kind!r}")
    if not requests:
        raise ValueError("expected at least one request, got none")
    table = table or ReasonTable()
    lessons = [_lesson(request, table, kind, seed, own or {}) for request in requests]
    if write is None or kind == "plain":
        return TrainingSet(lessons)
    return TrainingSet(*rewritten(lessons, table.refusals, write, rules))


def _lesson(request: Request, table: ReasonTable, kind: str, seed: int, own: Mapping[str, Written]) -> TaughtAnswer:
    if not request.unsafe:
        answer = own.get(request.prompt)
        if answer is None or not answer.text.strip():
            return TaughtAnswer(request.prompt, HELP, unsafe=False)
        return TaughtAnswer(request.prompt, answer.text, unsafe=False, whole=answer.whole)
    rng = np.random.default_rng([seed, *request.prompt.encode()])
    category = request.category or table.category(request.prompt)
    refusal, reason = table.refusal(rng), table.reason(category, rng)
    return TaughtAnswer(request.prompt, f"{reason} {refusal}" if kind == "reasons" else refusal, True, category)
