"""Words for a reader."""

from __future__ import annotations

import pytest
import yaml

from outrider.runtime.printable import counted, printable, told, without_credentials


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:secret@host:554/1: refused", "rtsp://***@host:554/1: refused"),
        ("rtsp://me:se/cr@et@host/1", "rtsp://***@host/1"),
        ("http://me@host/a?channel=1&password=secret&b=2", "http://***@host/a?channel=1&password=***&b=2"),
        ("https://host/a?access_token=secret#x", "https://host/a?access_token=***#x"),
        ("srt://host:9000?passphrase=secret&mode=caller", "srt://host:9000?passphrase=***&mode=caller"),
        ("rtspsrc location=rtsp://a:secret@b/1 user-id=me user-pw='secret 2' ! x", None),
        ("udp://@239.0.0.1:5000", "udp://@239.0.0.1:5000"),
        ("/data/monkey=3/frame.png and a@b.c", "/data/monkey=3/frame.png and a@b.c"),
    ],
)
def test_secrets_of_urls_and_pipelines_are_left_out(text, shown):
    got = without_credentials(text)
    assert got == (shown or "rtspsrc location=rtsp://***@b/1 user-id=*** user-pw=*** ! x")
    assert "secret" not in got


def test_an_error_of_yaml_names_the_place_and_no_string():
    with pytest.raises(yaml.YAMLError) as raised:
        yaml.safe_load("a: [1,\nb: 2")
    assert "<unicode string>" in str(raised.value)
    assert "at line 1, column 4" in told(raised.value)
    assert "<unicode" not in told(raised.value)
