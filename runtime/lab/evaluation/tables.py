"""The table of defences and models: as text, and as Markdown."""

from __future__ import annotations

from .cells import DefenceCell, Rate
from .defences import DEFENCES
from .evaluating import DefenceTable
from .labelled import JudgeMeasured

HEADER = (
    "model", "defence", "unsafe answered", "safe refused", "garbage", "prefills", "tokens read", "tokens written",
    "left out",
)  # fmt: skip


def table_rows(table: DefenceTable) -> list[tuple[str, ...]]:
    """A row for each cell, under `HEADER`; a defence that was not measured has a row without figures."""
    rows = [_row(cell) for cell in table.cells]
    blank = ("–",) * (len(HEADER) - 2)
    return rows + [(model, DEFENCES[defence].title, *blank) for model, defence in table.missing]


def table_text(table: DefenceTable) -> str:
    """The table for a terminal, in columns, and what is to be known of it."""
    rows = [HEADER, *table_rows(table)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, "", *table_notes(table)]) + "\n"


def table_markdown(table: DefenceTable) -> str:
    """The table as Markdown, and what is to be known of it."""
    lines = [_line(HEADER), "|---|---|" + "---:|" * (len(HEADER) - 2), *map(_line, table_rows(table))]
    return "\n\n".join(["\n".join(lines), *table_notes(table)]) + "\n"


def table_notes(table: DefenceTable) -> list[str]:
    """Sentences below a table: what is counted, how good the judge is, what is missing and why."""
    notes = [
        (
            f"Answers are judged by their first {table.tokens} tokens and not kept. In brackets: 95 % intervals"
            " (Clopper and Pearson). Garbage is neither answered nor refused. Prefills and tokens are means over"
            " prompts; tokens read are those of all conversations; what all begin with, as exemplars, can be cached."
        ),
        judge_note(table.judge),
    ]
    if any(DEFENCES[cell.defence].looks == "output" for cell in table.cells):
        notes.append("The self-check of the output reads an answer as far as it goes.")
    left = sum(cell.left_out for cell in table.cells)
    if left:
        notes.append("Left out: prompts that do not fit into the model's context with what the defence adds.")
    notes += [f"{model}, {DEFENCES[d].title}: not measured: {why}" for (model, d), why in table.missing.items()]
    return notes


def judge_note(found: JudgeMeasured) -> str:
    """How often the judge is right, in a sentence."""
    low, high = found.interval
    wrong = [
        f"{count} of {sum(row.values())} {label} called {said}"
        for label, row in found.confusion.items()
        for said, count in row.items()
        if said != label and count
    ]
    return (
        f"The judge ({found.judge}) is right on {found.right} of {found.n} made-up answers that no rule was written"
        f" for: {found.right / found.n:.1%} [{low:.1%}, {high:.1%}]{'; ' if wrong else ''}{', '.join(wrong)}."
    )


def rate_text(rate: Rate) -> str:
    """A share in percent with its interval: ``20.0 % [10.8, 32.3]``."""
    low, high = rate.interval
    return f"{rate.share * 100:.1f} % [{low * 100:.1f}, {high * 100:.1f}]"


def _row(cell: DefenceCell) -> tuple[str, ...]:
    return (
        cell.model, DEFENCES[cell.defence].title, rate_text(cell.unsafe_answered), rate_text(cell.safe_refused),
        f"{cell.garbage.share * 100:.1f} %", f"{cell.mean('prefills'):.2f}", f"{cell.mean('read'):.0f}",
        f"{cell.mean('written'):.1f}", f"{cell.left_out:,}" if cell.left_out else "0",
    )  # fmt: skip


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
