"""Numbers that a document quotes from the results, held to them.

A quote stands between `<!-- results: NAME -->` and `<!-- end -->`. Each of its numbers must stand in the tables or
sentences of NAME. The numbers of a row of a table must stand in one row there, in the same order; rows and columns may
be left out, and labels may be others. A number that is part of a name, as in `ResNet-18` or `p99.9`, is no quote.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

_MARK = re.compile(r"<!--\s*(results:\s*(?P<names>[^>]*?)|end)\s*-->")
_NUMBER = re.compile(r"(?<![\w.,=/-])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]\d+)?(?![\w/])")


def misquoted(text: str, figures: Callable[[str], str]) -> list[str]:
    """What is wrong with the quotes of a document, in words. figures: the Markdown of a result, by its name."""
    wrong = []
    for names, quote in quotes(text):
        try:
            found = "\n".join(figures(name) for name in names)
        except KeyError as error:
            wrong.append(f"expected the name of a result, got {error}")
            continue
        rows = [numbers(line) for line in found.splitlines()]
        known = {number for row in rows for number in row}
        for line in quote.splitlines():
            quoted = numbers(line)
            if line.lstrip().startswith("|"):
                if not any(_in_order(quoted, row) for row in rows):
                    wrong.append(f"expected a row of {', '.join(names)}, got {line.strip()}")
            else:
                wrong += [f"expected a number of {', '.join(names)}, got {n}" for n in quoted if n not in known]
    return wrong


def quotes(text: str) -> Iterator[tuple[list[str], str]]:
    """The names and the text of each quote. Raises ValueError where marks do not come in pairs."""
    opened: re.Match[str] | None = None
    for mark in _MARK.finditer(text):
        if (mark["names"] is None) != (opened is not None):
            raise ValueError(f"expected marks in pairs, got a lone {mark[0]}")
        if opened is not None:
            yield opened["names"].split(), text[opened.end() : mark.start()]
        opened = mark if opened is None else None
    if opened is not None:
        raise ValueError(f"expected <!-- end --> after {opened[0]}, got none")


def numbers(line: str) -> list[str]:
    """The numbers of a line, as they are written there."""
    return _NUMBER.findall(line.replace("−", "-"))


def _in_order(part: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether the items of `part` stand in `whole`, in this order."""
    rest = iter(whole)
    return all(item in rest for item in part)
