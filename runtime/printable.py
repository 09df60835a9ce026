"""Texts of others on a terminal: names of files, words of decoders."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with a code such as \\x1b for every character that does not print, so that a terminal obeys none."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
