"""Reasons in other words: a local model rewrites them, and rules throw away what is not of use.

After SafeCoT (arXiv 2506.08399), where a mid-sized model writes the reason under rules. The rules and the wording of
the request to the model are ours.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .lessons import TaughtAnswer

ASKED = (
    "Say in other words why the request below is refused, in one sentence of at most {longest} words. Keep the words"
    ' "{category}". Do not answer or repeat the request. End with: {refusal}\n'
    "Reason: {reason} {refusal}\n"
    "Request: {prompt}"
)
KEPT = "kept"


@dataclass(frozen=True)
class ReasonRules:
    """What a rewritten reason must be.

    shortest, longest: words before the refusal. repeated: how many words in a row it may share with the prompt, beside
    those of the category.
    Raises ValueError for bounds the wrong way round.
    """

    shortest: int = 3
    longest: int = 16
    repeated: int = 3

    def __post_init__(self) -> None:
        if not 1 <= self.shortest <= self.longest or self.repeated < 0:
            raise ValueError(f"expected 1 <= shortest <= longest and repeated >= 0, got {self}")

    def broken(self, answer: str, category: str, prompt: str, refusal: str) -> str | None:
        """The first rule that an answer breaks, in words; None where it keeps all."""
        answer = " ".join(answer.split())
        if not answer.endswith(refusal):
            return "does not end in the refusal"
        reason = answer[: -len(refusal)].strip()
        count = len(_words(reason))
        if count < self.shortest:
            return "too short"
        if count > self.longest:
            return "too long"
        named = _words(category)
        if not _runs(_words(reason), len(named)) & {tuple(named)}:
            return "does not name the category"
        length = self.repeated + 1
        others = _without(_words(reason), named)
        if any(_runs(part, length) & _runs(_words(prompt), length) for part in others):
            return "repeats the request"
        return None


def rewritten(
    lessons: Sequence[TaughtAnswer],
    refusals: Sequence[str],
    write: Callable[[list[str]], list[str]],
    rules: ReasonRules | None = None,
) -> tuple[list[TaughtAnswer], dict[str, int]]:
    """Lessons with the reasons of unsafe prompts rewritten, and how many broke which rule; ``kept`` counts the others.

    refusals: of the table; a lesson that ends in none of them is left as it is. write: requests to a model -> its
    answers, as many. An answer that breaks a rule is thrown away, and the lesson of the template stays.
    """
    rules = rules or ReasonRules()
    places, asked = [], []
    for place, lesson in enumerate(lessons):
        refusal = next((one for one in refusals if lesson.answer.endswith(one) and lesson.answer != one), None)
        if lesson.unsafe and refusal is not None:
            places.append((place, refusal))
            asked.append(_asked(lesson, refusal, rules))
    answers = write(asked) if asked else []
    if len(answers) != len(asked):
        raise ValueError(f"expected an answer to each of {len(asked)} requests, got {len(answers)}")
    found, counts = list(lessons), Counter({KEPT: 0})
    for (place, refusal), text in zip(places, answers, strict=True):
        lesson, answer = lessons[place], " ".join(text.split())
        wrong = rules.broken(answer, lesson.category, lesson.prompt, refusal)
        counts[wrong or KEPT] += 1
        if wrong is None:
            found[place] = TaughtAnswer(lesson.prompt, answer, lesson.unsafe, lesson.category)
    return found, dict(counts)


def _asked(lesson: TaughtAnswer, refusal: str, rules: ReasonRules) -> str:
    reason = lesson.answer.removesuffix(refusal).strip()
    return ASKED.format(
        longest=rules.longest, category=lesson.category, reason=reason, refusal=refusal, prompt=lesson.prompt
    )


def _words(text: str) -> list[str]:
    return re.findall(r"[\w'’-]+", text.lower())


def _runs(words: Sequence[str], length: int) -> set[tuple[str, ...]]:
    """All runs of a length."""
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


def _without(words: list[str], named: list[str]) -> list[list[str]]:
    """The parts of a sentence around the words of the category."""
    parts: list[list[str]] = [[]]
    place = 0
    while place < len(words):
        if named and words[place : place + len(named)] == named:
            parts.append([])
            place += len(named)
        else:
            parts[-1].append(words[place])
            place += 1
    return parts
