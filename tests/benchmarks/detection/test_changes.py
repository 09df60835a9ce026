from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.detection.changes import KINDS, changed

IMAGES = np.random.default_rng(5).random((3, 3, 12, 12)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_stays_within_the_range_and_is_the_same_every_time(kind):
    before = IMAGES.copy()
    made = changed(IMAGES, kind)
    assert made.dtype == np.float32
    assert made.shape == IMAGES.shape
    assert made.min() >= 0
    assert made.max() <= 1
    np.testing.assert_array_equal(made, changed(IMAGES, kind))
    np.testing.assert_array_equal(IMAGES, before)
    assert (made != IMAGES).any(axis=(1, 2, 3)).all()


def test_dark_and_blur_by_hand():
    np.testing.assert_allclose(changed(IMAGES, "dark"), IMAGES * 0.3, rtol=1e-6)
    blurred = changed(IMAGES, "blur")
    assert blurred[1, 2, 5, 6] == pytest.approx(IMAGES[1, 2, 3:8, 4:9].mean(), rel=1e-5)
    assert blurred[1, 2, 0, 11] == pytest.approx(IMAGES[1, 2, :3, 9:].mean(), rel=1e-5)


def test_a_sticker_is_one_square_of_one_colour():
    different = (changed(IMAGES, "sticker") != IMAGES).any(axis=1)
    for image, mask in zip(changed(IMAGES, "sticker"), different, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert len(rows) == len(columns) == 4
        assert min(rows[0], columns[0]) >= 2
        assert max(rows[-1], columns[-1]) < 10
        assert (
            len(np.unique(image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].reshape(3, -1), axis=1).T) == 1
        )


def test_fog_pulls_towards_white_by_as_much_as_is_said():
    thick = 1 - (changed(IMAGES, "fog")[0, 0] - 0.9) / (IMAGES[0, 0] - 0.9)
    assert 0.39 < thick.min() < thick.max() < 0.81


def test_pieces_change_places_and_stay_whole():
    made = changed(IMAGES, "shuffled")

    def pieces(image: np.ndarray) -> set[bytes]:
        return {image[:, i : i + 3, j : j + 3].tobytes() for i in range(0, 12, 3) for j in range(0, 12, 3)}

    for before, after in zip(IMAGES, made, strict=True):
        assert pieces(before) == pieces(after)
