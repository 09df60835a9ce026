"""The defences by name: what each adds to a conversation, and what else looks at it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from .wordings import EXEMPLARS, INSTRUCTIONS, with_passage, with_unrelated

Looks = Literal["", "input", "output", "probe", "heads"]


@dataclass(frozen=True)
class Defence:
    """A defence, or an attack that is measured like one.

    title: for a reader. system: an instruction. turns: exemplars. rewrite: makes the prompt that the model gets. looks:
    what else judges: the model itself, asked about the "input" or the "output", or a guard, "probe" or "heads".
    """

    name: str
    title: str
    system: str | None = None
    turns: tuple[tuple[str, str], ...] = ()
    rewrite: Callable[[str], str] | None = None
    looks: Looks = ""

    @property
    def needs(self) -> str:
        """What of it needs a chat template, in words; empty where nothing does."""
        if self.system is not None:
            return "an instruction"
        if self.turns:
            return "exemplars"
        if self.looks in ("input", "output"):
            return f"a self-check of the {self.looks}"
        return "a guard, which reads the prompt by it" if self.looks else ""


_EVERY = (
    Defence("none", "none"),
    Defence("instruction", "safety instruction", INSTRUCTIONS["instruction"]),
    Defence("instruction_reasoned", "instruction, with reasons", INSTRUCTIONS["instruction_reasoned"]),
    Defence("instruction_balanced", "instruction, not over-defensive", INSTRUCTIONS["instruction_balanced"]),
    Defence("exemplars", "exemplars", turns=EXEMPLARS),
    Defence("exemplars_reversed", "exemplars, in reverse", turns=EXEMPLARS[::-1]),
    Defence("both", "instruction and exemplars", INSTRUCTIONS["instruction"], EXEMPLARS),
    Defence("self_check_input", "self-check of the input", looks="input"),
    Defence("self_check_output", "self-check of the output", looks="output"),
    Defence("context", "contextual knowledge (attack)", rewrite=with_passage),
    Defence("context_unrelated", "unrelated passage (control)", rewrite=with_unrelated),
    Defence(
        "instruction_context", "instruction, contextual knowledge (attack)", INSTRUCTIONS["instruction"],
        rewrite=with_passage,
    ),
    Defence("probe", "linear probe", looks="probe"),
    Defence("heads", "critical heads", looks="heads"),
)  # fmt: skip
DEFENCES = {defence.name: defence for defence in _EVERY}
"""In the order of the table. Tuned models are models: each is measured with any of these."""
GUARDS = ("probe", "heads")
"""Those that need prompts to learn from, or a file."""


def chosen_defences(names: Sequence[str]) -> list[Defence]:
    """The defences of these names, each once. Raises ValueError that names an unknown one and those that are known."""
    unknown = [name for name in names if name not in DEFENCES]
    if unknown:
        raise ValueError(f"expected defences among {', '.join(DEFENCES)}, got {', '.join(map(repr, unknown))}")
    if not names:
        raise ValueError("expected at least one defence, got none")
    return [DEFENCES[name] for name in dict.fromkeys(names)]
