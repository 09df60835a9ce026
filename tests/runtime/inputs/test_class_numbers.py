from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from outrider.runtime.inputs.class_numbers import (
    numbered,
    numbered_as,
    ordered,
    read_class_map,
    with_labels_for,
)
from outrider.runtime.inputs.sources import Source


def folders(names, labels):
    return Source(lambda _index: np.zeros((1, 2, 2), np.uint8), list("abcdef")[: len(labels)], np.array(labels), names)


@pytest.mark.parametrize(
    "content",
    ["stop=2\ngo = 0\n\nslow down=1\n", '{"stop": 2, "go": 0, "slow down": 1}', "stop: 2\ngo: 0\nslow down: 1"],
)
def test_a_map_is_read_from_text_or_from_a_file(tmp_path, content):
    expected = {"stop": 2, "go": 0, "slow down": 1}
    assert read_class_map("stop=2, go=0,slow down=1") == expected
    (tmp_path / "map.txt").write_text(content)
    assert read_class_map(str(tmp_path / "map.txt")) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stop=2,stop=3", "each name once, got 'stop=3'"),
        ("stop=-1", "expected NAME=NUMBER"),
        ("=3", "expected NAME=NUMBER"),
        ("stop=x", "expected NAME=NUMBER"),
        ("map.txt", "got 'map.txt', which is no file"),
    ],
)
def test_what_is_no_map_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        read_class_map(text)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"just words", b"[1, 2]", b"a: [1]", b"a: 1\nb: 0\na: 2"])
def test_files_that_are_no_map_are_refused(tmp_path, content):
    (tmp_path / "map").write_bytes(content)
    with pytest.raises(ValueError, match="expected"):
        read_class_map(str(tmp_path / "map"))


def test_names_become_the_numbers_of_the_network():
    source = folders(("go", "stop", "yield"), [0, 1, 2, 1])
    found = numbered(source, ordered(["stop", "yield", "go"]), 3)
    assert found.labels.tolist() == [2, 0, 1, 0]
    assert found.classes == ("stop", "yield", "go")
    found = numbered(source, {"go": 4, "stop": 0, "yield": 0}, 6)
    assert found.labels.tolist() == [4, 0, 0, 0]
    assert found.classes == ("stop/yield", "", "", "", "go", "")
    assert numbered(folders(None, [1, 0]), {"0": 1, "1": 0}, 2).labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("source", "numbers", "classes", "said"),
    [
        (folders(("go", "stop"), [0, 1]), {"go": 0}, 2, "got none for stop; known are go; --no-labels"),
        (folders(("go", "stop"), [0, 1]), {"go": 0, "stop": 2}, 2, "numbers of 2 classes, as the network has, got 2"),
        (folders(("go", "stop"), [0, 1]), {"go": 0, "stop": 1}, None, "numbers of no classes"),
        (Source(lambda _index: None, ["a"]), {"go": 0}, 2, "samples with a label each"),
    ],
)
def test_maps_that_do_not_fit_are_refused(source, numbers, classes, said):
    with pytest.raises(ValueError, match=said):
        numbered(source, numbers, classes)


def test_an_order_names_each_class_once():
    with pytest.raises(ValueError, match="expected each class once, got a, b, a"):
        ordered(["a", "b", "a"])


def of(classes, map_classes=None):
    return SimpleNamespace(classes=classes, map_classes=map_classes)


def test_flags_win_over_the_names_of_a_profile():
    source, known = folders(("go", "stop"), [0, 1]), ("stop", "wait", "go")
    assert numbered_as(source, of(3), known=known).labels.tolist() == [2, 0]
    assert numbered_as(source, of(3), known=known, order=("wait", "go", "stop")).labels.tolist() == [1, 2]
    assert numbered_as(source, of(3), known=known, class_map="go=0,stop=0").labels.tolist() == [0, 0]
    assert numbered_as(source, of(3)).labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="--classes-order or --class-map, got both"):
        numbered_as(source, of(3), order=("a",), class_map="a=0")
    with pytest.raises(ValueError, match="names of 3 classes, as the network has, got 1"):
        numbered_as(source, of(3), order=("a",))


def test_labels_must_be_of_the_networks_classes():
    source = folders(None, [0, 4])
    assert with_labels_for(of(5), source) is source
    assert with_labels_for(of(None, 3), source) is source
    with pytest.raises(ValueError, match="labels of 4 classes, as the network has, got 5"):
        with_labels_for(of(4), source)
    with pytest.raises(ValueError, match="without labels for a network without classes"):
        with_labels_for(of(None), source)
