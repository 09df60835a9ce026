"""A guard of prompts in a service: answers or refuses, counts, and keeps an event log."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import NotReadyError, Status, Verdict
from ...monitor.attributes import strict
from ...monitor.heads import Cascade, prompt_digest
from ..forks import forked, left_by_forks
from ..loop.drift import DriftTest
from ..loop.evidence import Evidence, LogFailure, OnLogFailure, check_log
from ..loop.metrics import Metrics
from .generating import guarded_generate
from .judging import RAISED, OnFault, fault, raised, sentences, text_of, verdicts_or_faults
from .processors import Then, tokenizer_of
from .refusals import Refusals

if TYPE_CHECKING:
    from typing_extensions import Self

    from ...monitor.heads import HeadCalibration, HeadGuard
    from ..log.log import EventLog

DIGITS = 16
"""Of a prompt's digest, in a reason of the log."""
_UNFIT = "expected a prompt that "
"""How `Chat` begins where a processor raised; its message may quote the prompt."""


@dataclass(frozen=True)
class Reply:
    """What became of one prompt. text: the model's answer or the refusal. refused: which of the two."""

    text: str
    verdict: Verdict
    refused: bool


@strict
class ChatGuard:
    """Wraps a calibrated HeadGuard or Cascade: ``replies = chat.answer(prompts)``, a reply and a verdict for each.

    A prompt is a str, a `Prompt` or a mapping as in `as_prompt`. One that cannot be judged is a FAULT and refused, and
    the others go on; one whose evidence cannot be kept is a FAULT too. refusals, on_fault, then: as in
    `guarded_generate`. log: gets an event for every change of status and every alarm, of one guard at a time; close it
    yourself, after the guard. log_failure: "fault", or "warn": while the log does not write, prompts are answered all
    the same, and at least WARN. drift: tests whether prompts alarm more often than calibrated; by default one for the
    calibration, which tests every prompt, as prompts do not resemble their neighbours as frames do.

    A prompt itself is never written to the log: a reason there begins with the first 16 digits of its `prompt_digest`,
    by which who has the prompt finds its events. A short prompt can be found from its digest by trying. `metrics`
    counts prompts where a camera's counts frames, so `outrider report` makes the same page of the log. Scores and
    thresholds count there from the lowest score of the calibration, as the confidence does: those of heads may be
    negative, and a share of the threshold would then mean nothing.
    Raises NotReadyError for a guard that is not calibrated, ValueError and TypeError as `Guard` does.
    """

    def __init__(
        self, guard: HeadGuard | Cascade, *, refusals: Refusals | None = None, on_fault: OnFault = "refuse",
        then: Then = "stop", log: EventLog | None = None, drift: DriftTest | None = None,
        log_failure: OnLogFailure = "fault",
    ) -> None:  # fmt: skip
        calibration = _calibration_of(guard)
        check_log(log, log_failure)
        sentences((), (), Refusals(), on_fault)
        self.guard, self.refusals, self.on_fault, self.then = guard, refusals or Refusals(), on_fault, then
        self.metrics = Metrics(false_alarm_rate=calibration.false_alarm_rate, drift=drift or _drift_test(calibration))
        self.evidence = Evidence(self.metrics, log, warns=log_failure == "warn")
        self.status, self._left = Status.OK, ""
        left_by_forks(self, ChatGuard._leave)
        if log is not None:
            log.attach(
                self.metrics, network=guard.decoder.fingerprint, false_alarm_rate=calibration.false_alarm_rate,
            )  # fmt: skip

    def check(self, prompts: Sequence[Any]) -> list[Verdict]:
        """The verdict on each prompt, counted and logged, without an answer."""
        began = time.monotonic_ns()
        if self._left:
            return self._keep(prompts, [fault(self._left) for _ in prompts], 0)
        verdicts = verdicts_or_faults(lambda: self.guard.check(prompts), len(prompts))
        return self._keep(prompts, verdicts, time.monotonic_ns() - began)

    def answer(self, prompts: Sequence[Any], **generate_kwargs: Any) -> list[Reply]:
        """Answer or refuse each prompt, in one batch where they fit into one.

        generate_kwargs: of `generate`, such as max_new_tokens; a `streamer` takes one prompt at a time. Raises what
        `generate` raises, and what `guarded_generate` raises for arguments that it refuses. Raises ValueError for more
        than one answer to a prompt.
        """
        if (generate_kwargs.get("num_return_sequences") or 1) != 1:
            raise ValueError("expected one answer to a prompt, got num_return_sequences; take guarded_generate")
        began = time.monotonic_ns()
        if self._left:
            return [self._refusal(*one) for one in zip(prompts, self.check(prompts), strict=True)]
        batches, unfit = self._encoded(prompts)
        replies: dict[int, Reply] = {}
        kept = self._keep([prompts[i] for i in unfit], list(unfit.values()), time.monotonic_ns() - began)
        for index, verdict in zip(unfit, kept, strict=True):  # no model can answer these, whatever `on_fault` says
            replies[index] = self._refusal(prompts[index], verdict)
        for indices, inputs in batches:
            some = [prompts[index] for index in indices]
            replies |= zip(indices, self._answered(some, inputs, began, generate_kwargs), strict=True)
        return [replies[index] for index in range(len(prompts))]

    def close(self) -> None:
        """Leave the log, with a last summary in it. Guard and model stay open."""
        if self.evidence.log is not None:
            self.evidence.log.detach(self.metrics)
            self.evidence.log = None

    def _leave(self) -> None:
        """In the child of a fork, where the model's threads are not: every prompt is a FAULT and refused."""
        self._left, self.evidence.log = forked("the guard"), None
        self.metrics.status = self.status = Status.FAULT

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ChatGuard({self.guard!r}, {self.metrics.counters!r})"

    def _answered(
        self, prompts: list[Any], inputs: dict[str, Any], began: int, generate_kwargs: dict[str, Any]
    ) -> list[Reply]:
        """The replies to one batch."""
        decoder = self.guard.decoder
        answer = guarded_generate(
            decoder.model, inputs, self.guard, refusals=self.refusals, prompts=prompts, on_fault=self.on_fault,
            then=self.then, **generate_kwargs,
        )  # fmt: skip
        kept = self._keep(prompts, answer.verdicts, answer.judged_ns - began)
        said = tokenizer_of(decoder.processor).batch_decode(answer.answers, skip_special_tokens=True)
        replies = []
        rows = zip(prompts, said, answer.verdicts, kept, answer.refused, strict=True)
        for prompt, text, verdict, final, refused in rows:
            unkept = final.status > max(verdict.status, Status.WARN) and not refused and self.on_fault == "refuse"
            replies.append(self._refusal(prompt, final) if unkept else Reply(text.strip(), final, refused))
        return replies

    def _encoded(self, prompts: Sequence[Any]) -> tuple[list[tuple[list[int], dict[str, Any]]], dict[int, Verdict]]:
        """Batches of prompts, by index, with the model's inputs; and a FAULT for each prompt that has none."""
        encode, every = self.guard.decoder.encode, list(range(len(prompts)))
        try:
            return ([(every, encode(prompts))] if every else []), {}
        except Exception:  # noqa: BLE001 (one by one it shows which prompt it is)
            alone: list[tuple[list[int], dict[str, Any]]] = []
            unfit: dict[int, Verdict] = {}
        for index in every:
            try:
                alone.append(([index], encode([prompts[index]])))
            except ValueError as error:
                unfit[index] = fault(str(error))
            except Exception as error:  # noqa: BLE001 (whatever broke, this prompt cannot be judged)
                unfit[index] = fault(f"{RAISED}{raised(error)}")
        fit = [index for (index,), _ in alone]
        try:
            return ([(fit, encode([prompts[index] for index in fit]))] if fit else []), unfit
        except ValueError:  # pictures of several shapes make no batch
            return alone, unfit

    def _refusal(self, prompt: Any, verdict: Verdict) -> Reply:
        return Reply(self.refusals.sentence(text_of(prompt), verdict), verdict, refused=True)

    def _keep(self, prompts: Sequence[Any], verdicts: Sequence[Verdict], spent_ns: int) -> list[Verdict]:
        """Count each prompt, and write down what changed the status or alarmed; a FAULT where that fails."""
        kept = []
        for prompt, own in zip(prompts, verdicts, strict=True):
            verdict, microseconds = own, spent_ns / 1e3
            trouble = self.evidence.trouble() if self.evidence.warns else ""
            if trouble:
                verdict = self.evidence.warned(own, trouble)
            before, self.status = self.status, verdict.status
            try:
                noted = self._noted(verdict, prompt)
                self.evidence.count(noted._replace(status=own.status), noted, before, microseconds)
                if self.evidence.log is not None and (verdict.status is not before or verdict.alarm):
                    self.evidence.write_down(verdict.status, noted, before, microseconds, (), None)
            except Exception as error:  # noqa: BLE001 (a prompt without evidence counts as not checked)
                if self.evidence.warns and isinstance(error, LogFailure):
                    verdict = verdict if trouble else self.evidence.warned(verdict, str(error))
                else:
                    verdict = own._replace(status=Status.FAULT, reason=f"the evidence was not kept: {raised(error)}")
                    self.metrics.counters.log_failures += isinstance(error, LogFailure)
                    self.metrics.counters.faults += own.status < Status.FAULT
                    self.metrics.status = Status.FAULT
                self.status = verdict.status
            kept.append(verdict)
        return kept

    def _noted(self, verdict: Verdict, prompt: Any) -> Verdict:
        """The verdict as log and counters have it: scores from 0 on, no word of the prompt, but its digest."""
        reason = _without(prompt, verdict.reason)
        digest = f"prompt {prompt_digest(prompt)[:DIGITS] or 'of another kind'}"
        floor = _calibration_of(self.guard).floor
        score, threshold = max(verdict.score - floor, 0.0), verdict.threshold - floor
        return verdict._replace(
            score=score, threshold=threshold, reason=f"{digest}: {reason}" if reason else digest
        )  # fmt: skip


def _without(prompt: Any, reason: str) -> str:
    """A reason without text and file names of the prompt; of an exception that is not ours the kind alone."""
    if reason.startswith((RAISED, _UNFIT)):
        return reason.partition(": ")[0]
    images = (
        (prompt.get("images") or [prompt.get("image")]) if isinstance(prompt, dict) else getattr(prompt, "images", ())
    )
    parts = [text_of(prompt).strip(), *(str(image) for image in images if isinstance(image, str | PathLike))]
    for part in sorted(parts, key=len, reverse=True):
        reason = reason.replace(part, "…") if len(part) > 1 else reason
    return reason


def _calibration_of(guard: HeadGuard | Cascade) -> HeadCalibration:
    """What the threshold of a guard rests on, of a cascade that of the whole. Raises NotReadyError for none."""
    if guard.calibration is None:
        raise NotReadyError("expected a calibrated guard, got one without a threshold; call calibrate(safe)")
    return guard.calibration.whole if isinstance(guard, Cascade) else guard.calibration


def _drift_test(calibration: HeadCalibration) -> DriftTest:
    """The test of every prompt: `DriftTest.for_calibration`, for one threshold."""
    one = SimpleNamespace(n=calibration.n, realised=calibration.realised, own=np.ones(1, bool))
    return DriftTest.for_calibration(one, stride=1)  # type: ignore[arg-type]
