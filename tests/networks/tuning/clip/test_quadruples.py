from __future__ import annotations

import json

import pytest

from outrider.networks.tuning.clip.quadruples import KEYS, read_quadruples

GOOD = dict(zip(KEYS, ("a.png", "an apple", "deep/b.png", "a rifle"), strict=True))


@pytest.fixture
def file(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("a.png", "deep/b.png"):
        (tmp_path / name).touch()

    def write(*lines):
        path = tmp_path / "pairs.jsonl"
        path.write_text("\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines))
        return path

    return write


def test_paths_start_at_the_files_folder(file, tmp_path):
    whole = {**GOOD, "unsafe_image": str(tmp_path / "deep" / "b.png"), "note": "of no use"}
    found, left_out = read_quadruples(file(GOOD, "", whole))
    assert found[0] == (tmp_path / "a.png", "an apple", tmp_path / "deep" / "b.png", "a rifle")
    assert found[1] == found[0]
    assert left_out == []


def test_lines_without_their_pictures_are_left_out_and_told_of(file, tmp_path):
    one = {**GOOD, "safe_image": "none.png"}
    both = {**one, "unsafe_image": "deep"}
    found, left_out = read_quadruples(file(one, GOOD, both))
    assert len(found) == 1
    assert left_out == [
        f"line 1: expected a picture, got no file {tmp_path / 'none.png'}",
        f"line 3: expected a picture, got no file {tmp_path / 'none.png'} and none {tmp_path / 'deep'}",
    ]


@pytest.mark.parametrize("key", KEYS)
def test_a_line_without_a_key_is_refused_by_its_number(file, key):
    short = {name: value for name, value in GOOD.items() if name != key}
    with pytest.raises(ValueError, match=rf"pairs\.jsonl, line 2: expected the keys .*, got none named {key}$"):
        read_quadruples(file(GOOD, short))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 1: expected JSON, got "),
        ("[1]", "line 1: expected an object with safe_image, .*, got list$"),
        ({**GOOD, "safe_caption": " "}, "line 1: expected safe_caption to be a text, got ' '$"),
        ({**GOOD, "unsafe_image": 3}, "line 1: expected unsafe_image to be a text, got 3$"),
        ("\n", "expected at least one quadruple, got an empty file$"),
        ({**GOOD, "unsafe_image": "x"}, "expected at least one quadruple, got 1 whose pictures are not there, such as"),
    ],
)
def test_other_lines_are_refused(file, line, said):
    with pytest.raises(ValueError, match=said):
        read_quadruples(file(line))


def test_no_file_and_a_file_of_another_kind(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_quadruples(tmp_path / "none.jsonl")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"binary: expected JSON lines in UTF-8, got "):
        read_quadruples(tmp_path / "binary")
