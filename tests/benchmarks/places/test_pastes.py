"""Pastes change the pixels they say, and controls bring the labels of what they show."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("skimage")

from benchmarks.places.camvid import ANIMAL, Frames
from benchmarks.places.pastes import SHARES, control, exchanged, feathered, paste, textures


def drive(n: int, value: int) -> Frames:
    images = np.full((n, 96, 128, 3), value, np.uint8)
    return Frames(images, np.full((n, 96, 128), value % 11, np.uint8), tuple(f"d_{i}" for i in range(n)))


RED = [np.full((20, 20, 3), (250, 0, 0), np.uint8)]


def test_a_hard_paste_is_the_object_within_its_outline_alone():
    frames = drive(8, 40)
    pasted = paste(frames, RED, seed=1)
    there = pasted.labels == ANIMAL
    assert (pasted.images[there] == (250, 0, 0)).all()
    assert (pasted.images[~there] == 40).all()
    assert (pasted.labels[~there] == frames.labels[~there]).all()
    shares = there.mean((1, 2))
    assert SHARES[0] * 0.6 < shares.min() < shares.max() < SHARES[1] * 1.4
    assert (frames.images == 40).all()
    assert np.array_equal(paste(frames, RED, seed=1).images, pasted.images)
    assert not np.array_equal(paste(frames, RED, seed=2).images, pasted.images)


def test_a_feathered_border_lies_between():
    hard, soft = (paste(drive(4, 40), RED, seed=3, feather=feather) for feather in (0.0, 3.0))
    assert np.array_equal(hard.labels, soft.labels)
    there = hard.labels == ANIMAL
    assert (soft.images[~there] == 40).all()
    between = (soft.images[..., 0] > 45) & (soft.images[..., 0] < 245)
    assert between[there].mean() > 0.2


def test_a_control_shows_another_frame_with_its_labels():
    changed, where = control(drive(5, 40), drive(3, 90), seed=4)
    assert (changed.images[where] == 90).all()
    assert (changed.images[~where] == 40).all()
    assert (changed.labels[where] == 90 % 11).all()
    assert (changed.labels[~where] == 40 % 11).all()
    assert where.any((1, 2)).all()


def test_textures_differ_and_are_not_flat():
    made = textures(6, 32)
    assert {texture.shape for texture in made} == {(32, 32, 3)}
    assert len({texture.tobytes() for texture in made}) == 6
    assert min(texture.std() for texture in made) > 1


def test_a_fading_border_keeps_what_is_around_it():
    clean = np.full((1, 40, 40, 3), 100, np.uint8)
    where = np.zeros((1, 40, 40), bool)
    where[0, 10:30, 10:30] = True
    pasted = np.where(where[..., None], 200, clean).astype(np.uint8)
    soft = feathered(clean, pasted, where, feather=2.0)
    assert (soft[~where] == 100).all()
    assert soft[0, 20, 20].tolist() == [200] * 3
    assert soft[0, 20, 10, 0] == pytest.approx(160, abs=3)  # the middle of a pixel just inside
    assert (np.diff(soft[0, 20, 10:20, 0].astype(int)) >= 0).all()


def test_content_is_exchanged_within_the_frames():
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    where = np.zeros((5, 4, 4), bool)
    where[:, :2] = True
    found = exchanged(images, where)
    assert found[:, 0, 0, 0].tolist() == [2, 3, 4, 0, 1]
    assert found[:, 3, 0, 0].tolist() == [0, 1, 2, 3, 4]
