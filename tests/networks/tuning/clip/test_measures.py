"""Measures on a handful of embeddings whose answers are read off by eye."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks.tuning.clip.measures import Items, accuracy, first, retrieval

EYE = np.eye(4, dtype=np.float32)


def items(text, image):
    unsafe = np.array([False, False, True, True])
    about = np.array(["apple", "house", "rifle", "sword"])
    return Items(np.asarray(text), np.asarray(image), about, about, unsafe, unsafe)


def test_the_first_is_that_of_the_highest_cosine_not_of_the_highest_product():
    gallery = np.array([[10.0, 10.0], [0.0, 0.1], [0.0, 0.2]])
    np.testing.assert_array_equal(first(np.array([[0.1, 1.0], [1.0, 1.0]]), gallery), [1, 0])
    with pytest.raises(ValueError, match=r"^expected a gallery with something in it, got none$"):
        first(gallery, gallery[:0])


def test_accuracy_counts_the_nearest_prompt():
    images = EYE[[0, 1, 2, 2]]
    assert accuracy(images, EYE[:3], np.array([0, 1, 2, 1])) == 0.75
    assert np.isnan(accuracy(images[:0], EYE, np.array([], int)))


def test_an_encoder_that_was_not_tuned_is_unsafe_and_remembers_all():
    found = retrieval(items(EYE, EYE), items(EYE, EYE))
    assert (found.safety_frozen, found.safety_tuned, found.recall) == (0, 0, 1)


def test_text_and_picture_that_move_together_are_safe_by_the_frozen_gallery_alone():
    # the rifle moves to where the apple was, a little aside, in both kinds; the sword stays
    moved = EYE.copy()
    moved[2] = [1, 0.5, 0, 0]
    found = retrieval(items(moved, moved), items(EYE, EYE))
    assert (found.safe_text_frozen, found.safe_image_frozen) == (0.5, 0.5)
    assert (found.safe_text_tuned, found.safe_image_tuned) == (0, 0)
    assert found.recall == 1


def test_each_direction_has_its_own_queries_and_gallery():
    text, image = EYE.copy(), EYE.copy()
    text[2] = [1, 0, 0.1, 0]  # the word rifle finds the apple now, in either gallery; its picture still finds the word
    image[0] = [0.3, 1, 0, 0]  # the picture of the apple looks like a house now
    found = retrieval(items(text, image), items(EYE, EYE))
    assert (found.safe_text_frozen, found.safe_text_tuned) == (0.5, 0.5)
    assert (found.safe_image_frozen, found.safe_image_tuned) == (0, 0)
    assert (found.recall_text, found.recall_image) == (1, 0.5)
    assert (found.safety_frozen, found.recall) == (0.25, 0.75)


def test_kinds_without_a_query_are_nan():
    safe = np.zeros(4, bool)
    about = np.arange(4)
    same = Items(EYE, EYE, about, about, safe, safe)
    found = retrieval(same, same)
    assert np.isnan(found.safety_frozen)
    assert found.recall == 1
    unsafe = Items(EYE, EYE, about, about, ~safe, ~safe)
    assert np.isnan(retrieval(unsafe, unsafe).recall)
    assert retrieval(unsafe, unsafe).safety_tuned == 0


def test_wrong_shapes_are_refused():
    flag = np.zeros(4, bool)
    with pytest.raises(ValueError, match=r"^expected text \(n, width\) and two facts of each"):
        Items(EYE, EYE, np.arange(3), np.arange(4), flag, flag)
    with pytest.raises(ValueError, match=r"^expected image_unsafe of bool, got int64$"):
        Items(EYE, EYE, np.arange(4), np.arange(4), flag, np.zeros(4, np.int64))
    three = Items(EYE[:3], EYE, np.arange(3), np.arange(4), flag[:3], flag)
    with pytest.raises(ValueError, match=r"^expected the same items of both encoders, got \(3, 4\) and \(4, 4\) texts"):
        retrieval(three, Items(EYE, EYE, np.arange(4), np.arange(4), flag, flag))
