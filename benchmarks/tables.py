"""A table of a benchmark: printed in a terminal, or written as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable


@dataclass(frozen=True)
class Table:
    """A title, the headings of the columns, and rows of as many cells."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(f"expected {len(self.header)} cells in each row, got {len(row)}: {list(row)}")

    def show(self) -> None:
        """Print the table, the first column to the left and the others to the right."""
        table = RichTable(title=self.title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for i, name in enumerate(self.header):
            table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
        for row in self.rows:
            table.add_row(*row)
        Console(width=220, markup=False).print(table)

    def markdown(self) -> str:
        """The table as Markdown, its title a line above it."""
        lines = [f"**{self.title}**", "", _line(self.header), f"|{'---|' * len(self.header)}"]
        return "\n".join([*lines, *map(_line, self.rows)])


Part = Table | str
"""A report of figures is a list of tables and of sentences."""


def show(parts: Sequence[Part]) -> None:
    """Print tables and sentences."""
    for part in parts:
        if isinstance(part, Table):
            part.show()
        else:
            print(part)


def markdown(parts: Sequence[Part]) -> str:
    """Tables and sentences as Markdown, each a paragraph."""
    return "\n\n".join(part.markdown() if isinstance(part, Table) else part for part in parts)


def percent(share: float, digits: int = 1) -> str:
    return f"{share * 100:.{digits}f} %"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
