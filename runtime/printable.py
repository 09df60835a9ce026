"""Words for a reader: texts of others that no terminal obeys, counts with their nouns."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with a code such as \\x1b for every character that does not print, so that a terminal obeys none."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def counted(count: int, noun: str) -> str:
    """``1 frame``, ``1,200 frames``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
