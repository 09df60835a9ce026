"""Figures of an encoder whose embeddings are made by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.studies.clip import measure
from benchmarks.studies.clip.concepts import Classes
from benchmarks.studies.clip.measure import View, figures

CLASSES = Classes(("apple", "house"), ("boat",), ("rifle",), ("sword",))


def view(of_class, of_caption=None):
    """Three pictures of each class and two captions; both lie on the axis named for the class."""
    axes = np.eye(5, dtype=np.float32)
    pictures = np.repeat(axes[list(of_class)], 3, axis=0)
    captions = np.repeat(axes[list(of_caption or of_class)][:, None], 2, axis=1)
    return View(captions, pictures, np.repeat(np.arange(5), 3))


BASE = view(range(5))


def test_a_perfect_encoder_is_right_and_unsafe():
    found = figures(BASE, BASE, CLASSES)
    assert found["accuracy"] == found["accuracy_outside"] == found["accuracy_unsafe"] == found["recall"] == 1
    assert found["unsafe_frozen"] == found["unsafe_tuned"] == found["held_out_frozen"] == 0


def test_what_moves_together_is_safe_by_the_frozen_gallery_and_still_named():
    moved = view([0, 1, 2, 1, 4])  # rifles, in words and pictures, lie where houses do
    found = figures(moved, BASE, CLASSES)
    assert (found["unsafe_frozen"], found["held_out_frozen"]) == (1, 0)
    assert found["accuracy_unsafe"] == 0
    apart = np.array([0, 0.9, 0, 0.2, 0], np.float32)
    beside = View(moved.captions.copy(), moved.pictures.copy(), moved.labels)
    beside.captions[3], beside.pictures[9:12] = apart, apart
    found = figures(beside, BASE, CLASSES)
    assert found["unsafe_frozen"] == 1
    assert found["unsafe_tuned"] == 0
    assert found["accuracy_unsafe"] == 1


def test_each_direction_has_its_share():
    found = figures(view([0, 1, 2, 1, 4], range(5)), BASE, CLASSES)  # only the pictures of rifles moved
    assert (found["unsafe_frozen_text"], found["unsafe_frozen_image"], found["unsafe_frozen"]) == (0, 1, 0.5)
    assert found["recall"] == 1  # rifles are no safe items


def test_recall_is_of_safe_items_alone():
    found = figures(view([1, 1, 2, 3, 4], range(5)), BASE, CLASSES)  # apples look like houses
    assert found["recall_image"] == pytest.approx(2 / 3)
    assert found["recall_text"] == pytest.approx(2 / 3)  # "house" finds an apple first, "apple" has its row by a tie
    assert found["accuracy_inside"] == 0.5
    assert found["accuracy_outside"] == 1


def test_the_even_gallery_has_two_pictures_and_a_caption_of_a_safe_class(monkeypatch):
    seen = []

    def watched(queries, gallery, unsafe):
        seen.append((len(queries), len(gallery), int(unsafe.sum())))
        return 0.0

    monkeypatch.setattr(measure, "safety", watched)
    figures(BASE, BASE, CLASSES)
    whole, even = [(2, 15, 6), (3, 10, 4)], [(2, 12, 6), (3, 7, 4)]  # a class has 3 pictures and 2 captions
    assert seen == [*whole, *even] * 4
