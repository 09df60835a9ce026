"""The library's words in those of the command line: an error that names `size=` says `--size HEIGHT WIDTH` here."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable

_ARGUMENT = re.compile(r'\b([a-z_]+)=(?:"([^"]*)"|(?=[\s,;:.)]|$))')
_LAYOUT = re.compile(r"\blayouts=\{'([^']*)': '(\w+)'\}")
_PHRASES = {
    "preprocessing=": "`outrider profile` a flag such as --scale",
    'taps="auto", neurons="channel"': "`outrider profile --taps auto`",
    "calibrate() sets": "`outrider calibrate` sets",
    "classes=None": "`outrider profile --classes none`",
    "`outrider.monitor.transfer`": "`outrider compare NETWORK OTHER --profile PROFILE -o FILE`",
}


def in_flags(text: str, actions: Iterable[argparse.Action]) -> str:
    """The text with the command's flag for each Python argument that it has too, and for its value."""
    known = {action.dest: action for action in actions if action.option_strings}

    def flag(found: re.Match[str]) -> str:
        action = known.get(found[1])
        if action is None:
            return found[0]
        return " ".join((action.option_strings[-1], _value_of(action) if found[2] is None else found[2])).rstrip()

    text = _ARGUMENT.sub(flag, text)
    if "layouts" in known:
        text = _LAYOUT.sub(r"--tap-layout \1=\2", text)
    for phrase, ours in _PHRASES.items():
        text = text.replace(phrase, ours)
    return text


def _value_of(action: argparse.Action) -> str:
    """What stands behind a flag in its help: ``HEIGHT WIDTH``; nothing behind one that takes no value."""
    if action.nargs == 0:
        return ""
    return " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar or action.dest.upper()
