"""Words for a reader."""

from __future__ import annotations

import pytest

from outrider.runtime.printable import counted, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;pwned\x07\x1b[31m\u202ered\n\udce4", r"\x1b]0;pwned\x07\x1b[31m\u202ered\n\udce4"),
        ("straße [red] 道路.png", "straße [red] 道路.png"),
        ("", ""),
    ],
)
def test_what_does_not_print_is_shown_as_its_code(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(("count", "words"), [(0, "0 frames"), (1, "1 frame"), (1200, "1,200 frames")])
def test_counts_have_their_noun(count, words):
    assert counted(count, "frame") == words
