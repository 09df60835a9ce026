"""Words for a reader: texts of others that no terminal obeys, counts with their nouns."""

from __future__ import annotations

import re

_USER = re.compile(r"(?<=://)[^\s?@][^\s?]*@")
_SECRET = re.compile(
    r"""(?i)([?&\s][\w.-]*(?:pass|pwd|pw|token|secret|key|auth|credential|signature|sig|login|user)[\w.-]*=)"""
    r"""("[^"]*"|'[^']*'|[^\s&"'!#]+)"""
)


def printable(text: str) -> str:
    """The text with a code such as \\x1b for every character that does not print, so that a terminal obeys none."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def counted(count: int, noun: str) -> str:
    """``1 frame``, ``1,200 frames``."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def told(error: Exception) -> str:
    """The words of an error about a text, in one line and without PyYAML's name for a text that is no file."""
    return " ".join(str(error).split()).replace(' in "<unicode string>",', " at")


def without_credentials(text: str) -> str:
    """A URL, a pipeline or a message about one, with *** for the user, the password and every value named like one."""
    return _SECRET.sub(r"\1***", _USER.sub("***@", text))
