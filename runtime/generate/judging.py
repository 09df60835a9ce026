"""Verdicts whatever breaks: a guard that raises makes a FAULT for every prompt in hand, never an OK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...monitor import Status, Verdict
from ...monitor.heads import Cascade

if TYPE_CHECKING:
    from ...monitor.heads import HeadGuard
    from ...networks.transformers import Prefill
    from .refusals import Refusals

OnFault = Literal["refuse", "answer"]
RAISED = "the guard raised "
"""How the reason of a FAULT begins where an exception made it."""
_MESSAGE = 300
_NOTHING = np.empty(0, np.float32)
_NOTHING.flags.writeable = False


def fault(reason: str) -> Verdict:
    """The verdict on a prompt that could not be judged."""
    return Verdict(Status.FAULT, np.inf, np.nan, 0.0, -1, _NOTHING, (), reason)


def judge_prefill(guard: HeadGuard | Cascade, prefill: Prefill, prompts: Sequence[Any] | None = None) -> list[Verdict]:
    """What the guard says of a pass. prompts: those of the pass, for a cascade whose second judge reads them."""
    return guard.judge(prefill, prompts) if isinstance(guard, Cascade) else guard.judge(prefill)


def verdicts_or_faults(judge: Callable[[], Sequence[Verdict]], count: int) -> list[Verdict]:
    """The verdicts on `count` prompts, or a FAULT for each where the judge raises or returns anything else."""
    try:
        verdicts = list(judge())
        if len(verdicts) == count and all(isinstance(verdict, Verdict) for verdict in verdicts):
            return verdicts
        reason = f"expected {count} verdicts of the guard, got {len(verdicts)} things"
    except Exception as error:  # noqa: BLE001 (whatever broke, the prompts were not judged)
        reason = f"{RAISED}{raised(error)}"
    return [fault(reason) for _ in range(count)]


def raised(error: Exception) -> str:
    """The kind and message of an exception; a long message is cut, and one that cannot be had is left out."""
    try:
        return f"{type(error).__name__}: {str(error)[:_MESSAGE]}"
    except Exception:  # noqa: BLE001 (its own __str__ may be what is broken)
        return f"{type(error).__name__}, whose message cannot be read"


def sentences(
    verdicts: Sequence[Verdict], prompts: Sequence[Any], refusals: Refusals, on_fault: OnFault = "refuse"
) -> list[str | None]:
    """The refusal of each prompt, None where it is answered: OK, WARN, and with on_fault="answer" a FAULT too.

    Raises ValueError for another word than "refuse" or "answer".
    """
    if on_fault not in ("refuse", "answer"):
        raise ValueError(f'expected on_fault="refuse" or "answer", got {on_fault!r}')
    return [
        refusals.sentence(text_of(prompt), verdict)
        if verdict.status is Status.ALARM or (verdict.alarm and on_fault == "refuse")
        else None
        for verdict, prompt in zip(verdicts, prompts, strict=True)
    ]


def text_of(prompt: Any) -> str:
    """The text of what is taken for a prompt; empty where it has none."""
    found = prompt.get("prompt") if isinstance(prompt, dict) else getattr(prompt, "text", prompt)
    return found if isinstance(found, str) else ""
