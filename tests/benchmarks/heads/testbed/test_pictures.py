from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from benchmarks.heads.testbed import pictures
from benchmarks.heads.testbed.concepts import CONCEPTS, Concept

DIGITS = [concept for concept in CONCEPTS if concept.source == "digits"][:2]


def test_parts_have_no_picture_in_common_and_lose_none():
    pytest.importorskip("sklearn")
    parts = pictures.split(DIGITS, seed=4)
    for concept in DIGITS:
        found = {part: [thing.tobytes() for thing in things[concept.word]] for part, things in parts.items()}
        whole = [thing.tobytes() for thing in pictures.objects(concept)]
        assert sorted(thing for part in found.values() for thing in part) == sorted(whole)
        for part, share in pictures.SHARES.items():
            assert abs(len(found[part]) - share * len(whole)) <= 1


def test_an_object_stands_in_the_middle():
    thing = np.arange(28 * 28, dtype=np.uint16).reshape(28, 28).astype(np.uint8)
    picture = pictures.draw(thing)
    assert picture.shape == (32, 32, 3)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[2:30, 2:30], np.repeat(thing[..., None], 3, 2))
    picture[2:30, 2:30] = 0
    assert not picture.any()


def test_text_stands_below_a_smaller_object():
    picture = pictures.draw(np.full((28, 28), 255, np.uint8), "dog")[..., 0]
    assert (picture[:21, 5:26] == 255).all()
    assert not picture[:21, :5].any()
    np.testing.assert_array_equal(picture[22:], pictures.printed("dog"))


def test_text_lies_across_an_object_of_full_size():
    picture = pictures.draw(np.full((28, 28), 90, np.uint8), "dog", across=True)[..., 0]
    assert (picture[2:22, 2:30] == 90).all()
    expected = pictures.printed("dog").copy()
    expected[:8, 2:30] = np.maximum(expected[:8, 2:30], 90)
    np.testing.assert_array_equal(picture[22:], expected)


@pytest.mark.parametrize("word", [concept.word for concept in CONCEPTS])
def test_every_word_fits_in_its_line(word):
    line = pictures.printed(word)
    assert line.shape == (10, 32)
    columns = np.flatnonzero(line.max(0))
    assert abs(columns[0] - (31 - columns[-1])) <= 2  # centred, so neither end is cut
    assert line.max() > 150


def test_sketches_are_read_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    concept = Concept("apple", "quickdraw", "apple", dangerous=False)
    with pytest.raises(FileNotFoundError, match=r"apple\.ndjson\.gz, got none: run `make data`"):
        pictures.objects(concept)
    rows = [[0.5, *[0] * 783], [*[0] * 783, 1]]
    pictures.sketches_folder().mkdir(parents=True)
    with gzip.open(pictures.sketches_folder() / "apple.ndjson.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(map(json.dumps, rows)))
    found = pictures.objects(concept)
    assert found.shape == (2, 28, 28)
    assert found[0, 0, 0] == 128
    assert found[1, 27, 27] == 255
    assert found.sum() == 128 + 255
