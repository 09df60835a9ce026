"""Pairs from JSON lines: what each line may say, what is wrong with others, and shares of the unsafe."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from outrider.networks.tuning import AnswerPair, read_pairs, shared_out
from outrider.networks.tuning.pairs import REFUSAL


def lines(path, *things):
    path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in things) + "\n")
    return path


def test_what_a_line_says_and_what_it_leaves_out(tmp_path):
    path = lines(
        tmp_path / "p.jsonl",
        {"prompt": "a", "label": "unsafe", "preferred": "no", "dispreferred": "yes"},
        {"prompt": "b", "label": "unsafe"},
        "",
        {"prompt": "c", "label": "safe", "preferred": "sure", "image": "c.png"},
        {"prompt": "d", "label": "safe", "preferred": "sure", "dispreferred": "never", "images": ["d.png", "e/f.png"]},
    )
    pairs, wrong = read_pairs(path)
    assert wrong == []
    assert pairs == [
        AnswerPair("a", "no", "yes", True),
        AnswerPair("b", REFUSAL, "", True),
        AnswerPair("c", "sure", REFUSAL, False, (str(tmp_path / "c.png"),)),
        AnswerPair("d", "sure", "never", False, (str(tmp_path / "d.png"), str(tmp_path / "e/f.png"))),
    ]
    pairs, wrong = read_pairs(path, refusal="No way.", both=True)
    assert [pair.prompt for pair in pairs] == ["a", "c", "d"]
    assert pairs[1].dispreferred == "No way."
    assert wrong == ['line 2: expected a text under "dispreferred", which this method needs, got none']


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "expected an object in JSON, got expecting"),
        ("[]", "expected an object in JSON, got list"),
        ({"label": "safe", "preferred": "b"}, 'expected a text under "prompt", got none'),
        ({"label": "safe", "prompt": "a"}, 'expected a text under "preferred", got none'),
        ({"label": "safe", "prompt": "a", "preferred": 3}, 'under "preferred", got int'),
        ({"label": "safe", "prompt": " ", "preferred": "b"}, "under 'prompt', got an empty one"),
        ({"label": "safe", "prompt": "a", "preferred": ""}, "under 'preferred', got an empty one"),
        ({"label": "safe", "prompt": "a", "preferred": "b", "dispreferred": "b"}, "two different answers, got one"),
        ({"prompt": "a", "preferred": "b"}, 'expected a text under "label", got none'),
        ({"label": "bad", "prompt": "a", "preferred": "b"}, "label \"safe\" or \"unsafe\", got 'bad'"),
        ({"label": ["safe"], "prompt": "a", "preferred": "b"}, 'under "label", got list'),
        ({"label": "safe", "prompt": "a", "preferred": "b", "image": "x", "images": ["y"]}, "got both"),
        ({"label": "safe", "prompt": "a", "preferred": "b", "images": "y"}, "a list of paths"),
        ({"label": "safe", "prompt": "a", "preferred": "b", "image": 3}, "expected a path"),
        ('{"prompt": "' + "a" * (1 << 20) + '"}', "at most 1,048,576 bytes"),
        ("[" * 100_000, "line 2: "),
    ],
)  # fmt: skip
def test_a_wrong_line_is_named_and_left_out(tmp_path, line, words):
    good = {"label": "safe", "prompt": "a", "preferred": "b"}
    pairs, wrong = read_pairs(lines(tmp_path / "p.jsonl", good, line), both=True)
    assert len(pairs) == 1
    assert len(wrong) == 1
    assert wrong[0].startswith("line 2: ")
    assert words in wrong[0]
    with pytest.raises(ValueError, match="got none; line 1: "):
        read_pairs(lines(tmp_path / "q.jsonl", line), both=True)


def test_other_bytes_an_empty_file_and_none(tmp_path):
    (tmp_path / "p.jsonl").write_bytes(b'{"prompt": "\xff"}\n')
    with pytest.raises(ValueError, match="got other bytes"):
        read_pairs(tmp_path / "p.jsonl")
    (tmp_path / "p.jsonl").write_text("\n \n")
    with pytest.raises(ValueError, match=r"p\.jsonl: expected lines such as .*, got none$"):
        read_pairs(tmp_path / "p.jsonl")
    with pytest.raises(FileNotFoundError):
        read_pairs(tmp_path / "none.jsonl")


def kinds(unsafe, safe):
    return [AnswerPair(f"u{i}", "no", unsafe=True) for i in range(unsafe)] + [
        AnswerPair(f"s{i}", "yes") for i in range(safe)
    ]


@pytest.mark.parametrize(
    ("unsafe", "safe", "share", "expected"),
    [
        (20, 80, 0.2, (20, 80)),
        (100, 100, 0.2, (100, 400)),
        (1, 10, 0.5, (10, 10)),
        (10, 10, 0.5, (10, 10)),
        (3, 7, 0.25, (3, 9)),
        (1, 2, 0.9, (18, 2)),
    ],
)
def test_all_pairs_come_and_the_rare_kind_is_repeated_evenly(unsafe, safe, share, expected):
    pairs = kinds(unsafe, safe)
    found = shared_out(pairs, share)
    assert (sum(pair.unsafe for pair in found), sum(not pair.unsafe for pair in found)) == expected
    counts = Counter(found)
    assert set(counts) == set(pairs)
    for unsafe_kind in (True, False):
        times = [count for pair, count in counts.items() if pair.unsafe is unsafe_kind]
        assert max(times) - min(times) <= 1


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5, float("nan")])
def test_a_share_out_of_its_range_is_refused(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        shared_out(kinds(1, 1), share)


@pytest.mark.parametrize(("unsafe", "safe"), [(0, 3), (3, 0)])
def test_a_missing_kind_is_refused(unsafe, safe):
    with pytest.raises(ValueError, match=f"got {unsafe} unsafe and {safe} safe"):
        shared_out(kinds(unsafe, safe), 0.5)
