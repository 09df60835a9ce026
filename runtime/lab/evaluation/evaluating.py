"""Defences × models: how often unsafe prompts are answered and safe ones refused, and what that costs (SODE)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ....monitor import MismatchError
from .answering import BATCH, MOST_TOKENS, Begun, Progress, begin_answers, check_tokens
from .asking import says_yes
from .cells import CellStore, DefenceCell, Outcome, digest_of, prompt_key
from .defences import DEFENCES, GUARDS, Defence, chosen_defences
from .guards import GuardSources
from .judge import REFUSED, AnswerJudge, RuleJudge
from .labelled import JudgeMeasured, measure_judge
from .rendering import Rendering, TemplateNeededError
from .wordings import CHECK_INPUT, CHECK_OUTPUT

if TYPE_CHECKING:
    from ....networks.transformers import Decoder

Opens = Callable[[], "Decoder"]
"""Opens a model when its turn comes, so that one of them is in memory at a time."""


class AskedPrompt(NamedTuple):
    """A prompt that a table is of, and whether it is unsafe."""

    text: str
    unsafe: bool


@dataclass(frozen=True)
class DefenceTable:
    """Cells in their order. missing: (model, defence) -> why there is none. judge: how good the judge is.

    tokens: the most that were written of an answer.
    """

    cells: tuple[DefenceCell, ...]
    missing: dict[tuple[str, str], str]
    judge: JudgeMeasured
    tokens: int

    def cell(self, model: str, defence: str) -> DefenceCell:
        """One of the cells. Raises KeyError where there is none."""
        for one in self.cells:
            if (one.model, one.defence) == (model, defence):
                return one
        raise KeyError(f"no cell of {model!r} with {defence!r}")

    def to_dict(self) -> dict[str, Any]:
        """In JSON types, without the single prompts."""
        missing = [{"model": m, "defence": d, "why": why} for (m, d), why in self.missing.items()]
        return {
            "cells": [cell.to_dict() for cell in self.cells], "missing": missing, "judge": self.judge.to_dict(),
            "tokens": self.tokens,
        }  # fmt: skip


def evaluate_defences(
    models: Mapping[str, Opens], prompts: Sequence[AskedPrompt],
    defences: Sequence[str] | Mapping[str, Sequence[str]] | None = None, *, folder: Path | None = None,
    judge: AnswerJudge | None = None, judge_key: str = "", guards: GuardSources | None = None,
    tokens: int = MOST_TOKENS, batch: int = BATCH, progress: Progress | None = None,
) -> DefenceTable:  # fmt: skip
    """Measure every defence on every model.

    models: name -> what opens it. prompts: of both kinds. defences: names of `DEFENCES`, for all models or by model; by
    default all for which there is what they need. folder: where each cell is kept as it ends; the same call goes on
    from there, and does a cell anew of which anything has changed. judge: by default `RuleJudge`. judge_key: tells one
    judge from another of its name, such as a model's fingerprint. guards: for the probe and the heads. progress: called
    with the cells done, counted in prompts, and all of them.

    Answers are cut at `tokens`, at most 32, judged, and dropped: judgements alone are kept.
    Raises ValueError for an unknown defence, prompts of one kind alone, a prompt twice, a guard that has nothing to
    learn from or whose prompts are tested on, and where no prompt of a kind fits into a model's context.
    """
    check_tokens(tokens)
    judged_by: AnswerJudge = RuleJudge() if judge is None else judge
    sources = GuardSources() if guards is None else guards
    plan = _plan(models, defences, sources)
    _check_prompts(prompts, sources)
    store = None if folder is None else CellStore(folder)
    cells: list[DefenceCell] = []
    missing: dict[tuple[str, str], str] = {}
    total, done = sum(map(len, plan.values())) * len(prompts), 0
    for name, chosen in plan.items():
        trial = Trial(name, models[name](), judged_by, sources, tokens=tokens, batch=batch, judge_key=judge_key)
        for defence in chosen:
            before = done

            def count(of_cell: int, _all: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + min(of_cell, len(prompts)), total)

            try:
                key = trial.key(defence, prompts)
                cell = None if store is None else store.load(name, defence.name, key)
                if cell is None:
                    cell = trial.run(defence, prompts, progress=count)
                    if store is not None:
                        store.save(cell, key)
                cells.append(cell)
            except (TemplateNeededError, MismatchError) as error:
                missing[name, defence.name] = str(error)
            done = before + len(prompts)
            count(len(prompts), 0)
        del trial
    return DefenceTable(tuple(cells), missing, measure_judge(judged_by), tokens)


@dataclass(repr=False)
class Trial:
    """One model, and the answers that several defences have in common, in memory alone."""

    name: str
    decoder: Decoder
    judge: AnswerJudge
    sources: GuardSources
    tokens: int = MOST_TOKENS
    batch: int = BATCH
    judge_key: str = ""
    _plain: dict[str, tuple[Begun, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._rendering = Rendering(self.decoder)

    def key(self, defence: Defence, prompts: Sequence[AskedPrompt]) -> str:
        """Tells this cell from one of other weights, prompts, words, judge or length.

        Raises TemplateNeededError where the defence needs a chat template.
        """
        if defence.needs:
            self._rendering.require_template(defence.needs)
        facts = {
            "model": self.decoder.fingerprint, "dtype": self.decoder.dtype, "tokens": self.tokens,
            "judge": [self.judge.name, self.judge_key, getattr(self.judge, "digest", "")],
            "prompts": [[one.text, one.unsafe] for one in prompts], "looks": defence.looks,
            "guard": self.sources.key_of() if defence.looks in GUARDS else None,
        }  # fmt: skip
        every = [self._conversation(defence, one.text) for one in prompts]
        if defence.looks == "input":
            every += [self._question(CHECK_INPUT, one.text) for one in prompts]
        if defence.looks == "output":
            every.append(self._question(CHECK_OUTPUT, ""))
        return digest_of(facts, every)

    def run(self, defence: Defence, prompts: Sequence[AskedPrompt], *, progress: Progress | None = None) -> DefenceCell:
        """The cell of a defence. Raises ValueError where no prompt of a kind is left."""
        if defence.needs:
            self._rendering.require_template(defence.needs)
        began = time.perf_counter()
        found = self._outcomes(defence, prompts, progress)
        outcomes = tuple(one for one in found if one is not None)
        for unsafe in (True, False):
            if not any(one.unsafe is unsafe for one in outcomes):
                kind = "unsafe" if unsafe else "safe"
                raise ValueError(
                    f"expected {kind} prompts that fit into {self.decoder.context:,} tokens with {defence.title}, got"
                    f" none of {sum(one.unsafe is unsafe for one in prompts)}"
                )
        return DefenceCell(
            self.name, defence.name, outcomes, len(found) - len(outcomes), time.perf_counter() - began
        )  # fmt: skip

    def _outcomes(
        self, defence: Defence, prompts: Sequence[AskedPrompt], progress: Progress | None
    ) -> list[Outcome | None]:
        """What became of each prompt, None where it does not fit."""
        spoken = [self._conversation(defence, one.text) for one in prompts]
        asked = [self._question(CHECK_INPUT, one.text) if defence.looks == "input" else [] for one in prompts]
        fits = [self._fits(a, self.tokens) and self._fits(b, 1) for a, b in zip(spoken, asked, strict=True)]
        places = [place for place, fit in enumerate(fits) if fit]
        flagged, looked = self._flagged(defence, [prompts[i].text for i in places], [asked[i] for i in places])
        passed = [place for place, flag in zip(places, flagged, strict=True) if not flag]
        answers = dict(zip(passed, self._answered(defence, [spoken[i] for i in passed], progress), strict=True))
        checks = {
            i: self._question(CHECK_OUTPUT, prompts[i].text, answers[i][0].text) if defence.looks == "output" else []
            for i in passed
        }
        checked = [i for i in passed if checks[i] and self._fits(checks[i], 1)]
        bad = dict(zip(checked, says_yes(self.decoder, [checks[i] for i in checked], batch=self.batch), strict=True))
        found: list[Outcome | None] = [None] * len(prompts)
        for i, flag in zip(places, flagged, strict=True):
            # A guard reads the prefill of the answer itself; a self-check is a conversation of its own.
            extra = len(asked[i]) + len(checks.get(i, ()))
            prefills = 1 + bool(checks.get(i)) if not looked else 1 + (not flag)
            own = 0 if flag and looked else len(spoken[i])
            begun, said = answers.get(i, (None, REFUSED))
            if checks.get(i) and i not in bad:
                continue  # the question about this answer does not fit
            judgement = REFUSED if bad.get(i) else said
            found[i] = Outcome(
                prompt_key(prompts[i].text), prompts[i].unsafe, judgement, prefills, own + extra,
                0 if begun is None else begun.written,
            )  # fmt: skip
        return found

    def _flagged(
        self, defence: Defence, texts: Sequence[str], questions: Sequence[Sequence[int]]
    ) -> tuple[list[bool], bool]:
        """Which prompts are refused before they are answered, and whether a conversation of its own told that."""
        if defence.looks in GUARDS:
            return self.sources.guard(defence.looks, self.decoder, batch=self.batch).flags(texts), False
        if defence.looks == "input":
            return says_yes(self.decoder, questions, batch=self.batch), True
        return [False] * len(texts), False

    def _answered(
        self, defence: Defence, conversations: Sequence[list[int]], progress: Progress | None
    ) -> list[tuple[Begun, str]]:
        """The answers, each with what the judge says; those to the bare prompt once in a trial."""
        plain = defence.system is None and not defence.turns and defence.rewrite is None
        known = self._plain if plain else {}
        keys = [str(one) for one in conversations]
        new = [place for place, key in enumerate(keys) if key not in known]
        answers = begin_answers(
            self.decoder, [conversations[place] for place in new], tokens=self.tokens, batch=self.batch,
            clear=self.judge.clear, progress=progress,
        )  # fmt: skip
        said = self.judge.judge([answer.text for answer in answers])
        for place, answer, judgement in zip(new, answers, said, strict=True):
            known[keys[place]] = answer, judgement
        return [known[key] for key in keys]

    def _conversation(self, defence: Defence, prompt: str) -> list[int]:
        text = prompt if defence.rewrite is None else defence.rewrite(prompt)
        return self._rendering.tokens(text, defence.system, defence.turns)

    def _question(self, wording: str, prompt: str, answer: str = "") -> list[int]:
        return self._rendering.tokens(wording.format(prompt=prompt, answer=answer))

    def _fits(self, conversation: Sequence[int], more: int) -> bool:
        context = self.decoder.context
        return context is None or len(conversation) + more <= context


def possible_defences(sources: GuardSources) -> list[str]:
    """The defences for which there is what they need."""
    with_guards = {"probe": sources.learned is not None, "heads": sources.learned is not None or bool(sources.heads)}
    return [name for name in DEFENCES if with_guards.get(name, True)]


def _plan(
    models: Mapping[str, Opens], defences: Sequence[str] | Mapping[str, Sequence[str]] | None, sources: GuardSources
) -> dict[str, list[Defence]]:
    if not models:
        raise ValueError("expected at least one model, got none")
    possible = possible_defences(sources)
    if isinstance(defences, Mapping):
        strange = set(defences) - set(models)
        if strange:
            raise ValueError(f"expected defences of the models {', '.join(models)}, got {', '.join(sorted(strange))}")
        plan = {name: chosen_defences(defences.get(name, ("none",))) for name in models}
    else:
        plan = {name: chosen_defences(possible if defences is None else defences) for name in models}
    for chosen in plan.values():
        for defence in chosen:
            if defence.name not in possible:
                raise ValueError(
                    f"expected prompts to learn {defence.name!r} from, and safe ones for its threshold, got none"
                )
    return plan


def _check_prompts(prompts: Sequence[AskedPrompt], sources: GuardSources) -> None:
    for kind, unsafe in (("unsafe", True), ("safe", False)):
        if not any(one.unsafe is unsafe for one in prompts):
            raise ValueError(f"expected unsafe and safe prompts, got no {kind} one among {len(prompts)}")
    texts = [one.text for one in prompts]
    if len(set(texts)) < len(texts):
        raise ValueError(f"expected each prompt once, got {len(texts) - len(set(texts))} again")
    learned = sources.learned
    if learned is not None:
        both = set(texts) & {*learned.unsafe, *learned.safe, *learned.threshold}
        if both:
            raise ValueError(f"expected prompts that no guard has learned of, got {len(both)} that one has")
