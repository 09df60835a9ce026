"""Files of requests and of lessons."""

from __future__ import annotations

import json

import pytest

from outrider.networks.tuning.reasons import Request, TaughtAnswer, read_lessons, read_requests, write_lessons

LINE = '{"prompt": "a", "label": "safe"}'


def test_requests_come_once_with_the_category_that_was_said(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text(
        f'{LINE}\n\n{{"prompt": " b ", "label": "unsafe", "category": "fire"}}\n{LINE}\n'
        '{"prompt": "c", "label": "safe", "category": null, "id": 4}\n'
    )
    assert read_requests(path) == [Request("a", False), Request("b", True, "fire"), Request("c", False)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "expected lines of JSON"),
        ("{", "line 1: expected an object in JSON"),
        ("[1]", "line 1: expected an object in JSON, got list"),
        ('{"prompt": " ", "label": "safe"}', 'line 1: expected words under "prompt"'),
        ('{"prompt": "a"}', 'line 1: expected the label "safe" or "unsafe", got None'),
        ('{"prompt": "a", "label": "safe", "category": 1}', 'line 1: expected words under "category"'),
        (LINE + '\n{"prompt": "a", "label": "unsafe"}', "line 2: expected a prompt under one label"),
    ],
)
def test_a_wrong_line_is_named(line, message, tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text(line)
    with pytest.raises(ValueError, match=message):
        read_requests(path)


def test_lessons_are_read_as_they_were_written(tmp_path):
    lessons = [TaughtAnswer("a", "Ja, gern – „so“.", unsafe=False, whole=False), TaughtAnswer("b", "No.", True, "fire")]
    path = tmp_path / "new" / "lessons.jsonl"
    write_lessons(path, lessons)
    assert [json.loads(line)["prompt"] for line in path.read_text(encoding="utf-8").splitlines()] == ["a", "b"]
    assert read_lessons(path) == lessons
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "line", ['{"prompt": "a"}', '{"prompt": "a", "answer": "", "unsafe": true}',
             '{"prompt": "a", "answer": "b", "unsafe": 1}', '{"prompt": "a", "answer": "b", "unsafe": true, "x": 1}'],
)  # fmt: skip
def test_a_wrong_lesson_is_named(line, tmp_path):
    path = tmp_path / "lessons.jsonl"
    path.write_text(line)
    with pytest.raises(ValueError, match="line 1: expected a lesson"):
        read_lessons(path)
