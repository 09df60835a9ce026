from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.studies.clip.concepts import HELD_OUT, TEMPLATES, UNSAFE, Classes, choose
from benchmarks.studies.clip.names import DRAWN
from benchmarks.studies.clip.sketches import PARTS, Sketches, read

CLASSES = Classes(("apple", "house"), ("boat",), ("rifle",), ("sword",))


def drawings():
    """A hundred drawings of each of the five classes: class c, drawing i has a pixel of c + 1 and one of i."""
    found = np.zeros((5, 100, 28, 28), np.uint8)
    found[:, :, 0, 0] = np.arange(1, 6)[:, None]
    found[:, :, 0, 1] = np.arange(100)
    return found


def test_classes_are_drawn_once_and_apart():
    for safe in (28, 108, 333):
        classes = choose(safe)
        assert (len(classes.inside), len(classes.outside)) == (safe // 2, safe - safe // 2)
        assert len(set(classes.every)) == safe + len(UNSAFE) + len(HELD_OUT)
        assert set(classes.every) <= set(DRAWN)
        assert choose(safe) == classes
    with pytest.raises(ValueError, match=r"^expected from 2 to 333 safe classes, got 334$"):
        choose(334)


def test_there_are_as_many_names_as_in_the_package():
    assert len(DRAWN) == len(set(DRAWN)) == 345


def test_parts_have_no_picture_in_common_and_lose_none():
    rows = [i for part in PARTS.values() for i in range(100)[part]]
    assert sorted(rows) == list(range(100))
    sketches = Sketches(CLASSES, drawings())
    for part, cut in PARTS.items():
        pixels, labels = sketches.pixels(part)
        assert pixels.shape == (5 * (cut.stop - cut.start), 3, 28, 28)
        np.testing.assert_allclose((pixels[:, 0, 0, 0].numpy() + 1) * 127.5, labels + 1, atol=1e-4)
        seen = np.round((pixels[labels == 0, 2, 0, 1].numpy() + 1) * 127.5)
        np.testing.assert_array_equal(seen, range(cut.start, cut.stop))
        assert pixels.min() == -1


def test_each_unsafe_training_picture_has_a_safe_one_of_inside():
    sketches = Sketches(CLASSES, drawings())
    pixels, labels = sketches.pixels("train")
    found = sketches.quadruples(3)
    assert [one.unsafe_image for one in found] == [i for i, label in enumerate(labels) if label == 3]
    assert {labels[one.safe_image] for one in found} == {0, 1}
    for one in found:
        name = CLASSES.every[labels[one.safe_image]]
        template = next(t for t in TEMPLATES if t.format("rifle") == one.unsafe_caption)
        assert one.safe_caption == template.format(name)
    assert len(pixels) == 400
    assert sketches.quadruples(3) == found != sketches.quadruples(4)


def test_reading_is_that_of_the_files(tmp_path):
    for name in CLASSES.every:
        rows = np.full((100, 784), 0.5) if name == "boat" else np.zeros((100, 784))
        with gzip.open(tmp_path / f"{name}.ndjson.gz", "wt") as file:
            file.writelines(f"{json.dumps(list(row))}\n" for row in rows)
    found = read(CLASSES, tmp_path)
    assert found.drawings.shape == (5, 100, 28, 28)
    assert (found.drawings[2] == 128).all()
    assert not found.drawings[[0, 1, 3, 4]].any()
    (tmp_path / "house.ndjson.gz").write_bytes(gzip.compress(b"[0, 1]\n"))
    with pytest.raises(ValueError, match=r"expected 100 drawings of 28 x 28, got an array of \(1, 2\)$"):
        read(CLASSES, tmp_path)
    (tmp_path / "house.ndjson.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"expected sketches in .*house\.ndjson\.gz, got none: run `python -m "):
        read(CLASSES, tmp_path)
