"""Prompts from JSON lines: what is right, what is wrong and where, and the pictures beside the file."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest

from outrider.runtime.inputs import prompts
from outrider.runtime.inputs.prompts import of_kind, parse_lines, read_prompts


def write(path, *lines):
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines))
    return path


def test_lines_are_read_with_their_numbers(tmp_path):
    path = write(
        tmp_path / "p.jsonl", {"prompt": "a", "label": "safe"}, b"", {"prompt": "b", "image": "x/y.png", "more": 1},
        {"prompt": "c", "label": None, "images": ["/abs.png", "z.png"]},
    )  # fmt: skip
    assert [tuple(line) for line in read_prompts(path)] == [
        (1, {"prompt": "a"}, "safe", ""),
        (3, {"prompt": "b", "images": [str(tmp_path / "x/y.png")]}, None, ""),
        (4, {"prompt": "c", "images": ["/abs.png", str(tmp_path / "z.png")]}, None, ""),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{oops", "expected an object in JSON, got expecting property name"),
        (b"\xff\xfe", "UTF-8"),
        (b"[1]", "expected an object in JSON, got list"),
        (b"[" * 100_000, "recursion"),
        (b'"' + b"x" * (1 << 20) + b'"', "at most 1,048,576 bytes"),
        ({"text": "a"}, 'a text under "prompt", got none'),
        ({"prompt": 7}, 'a text under "prompt", got int'),
        ({"prompt": " \n"}, "got an empty one"),
        ({"prompt": "a", "label": "harmful"}, 'label "safe" or "unsafe", got \'harmful\''),
        ({"prompt": "a", "image": 7}, "a path under"),
        ({"prompt": "a", "images": "x.png"}, "a path under"),
        ({"prompt": "a", "image": "x.png", "images": []}, "got both"),
    ],
)
def test_a_wrong_line_says_so_and_the_rest_goes_on(tmp_path, line, message):
    lines = read_prompts(write(tmp_path / "p.jsonl", {"prompt": "a"}, line, {"prompt": "b"}))
    assert [found.number for found in lines] == [1, 2, 3]
    assert message in lines[1].error
    assert (lines[1].prompt, lines[1].label) == (None, None)
    assert [lines[0].prompt, lines[2].prompt] == [{"prompt": "a"}, {"prompt": "b"}]


def test_the_standard_input_is_a_file_too(monkeypatch):
    monkeypatch.setattr(prompts.sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"prompt": "a"}\n')))
    assert read_prompts(prompts.Path("-"))[0].prompt == {"prompt": "a"}


def test_a_file_without_lines_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="got none"):
        read_prompts(write(tmp_path / "p.jsonl", b"", b"  "))
    with pytest.raises(FileNotFoundError):
        read_prompts(tmp_path / "other.jsonl")


def test_the_lines_of_a_label_and_a_part_of_them(tmp_path):
    said = [("a", "safe"), ("b", "unsafe"), ("c", None), ("d", "safe")]
    content = [json.dumps({"prompt": text, "label": label}).encode() for text, label in said]
    lines = list(parse_lines([*content[:2], b"{", *content[2:]], tmp_path))
    safe, wrong = of_kind(lines, "safe")
    assert [prompt["prompt"] for prompt in safe] == ["a", "c", "d"]
    assert wrong == [f"line 3: {lines[2].error}"]
    assert [prompt["prompt"] for prompt in of_kind(lines, "unsafe")[0]] == ["b", "c"]
    assert of_kind(lines, "safe", slice(2, 3)) == ([{"prompt": "c"}], [])
