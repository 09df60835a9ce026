"""Each fault against what it should do to a picture, done by hand."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.evaluation.faults import FAULTS, FROZEN, faulty

RNG = np.random.default_rng(1)
PICTURE = RNG.integers(1, 120, (3, 32, 40), np.uint8)
NAMES = [name for name in FAULTS if name != FROZEN]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_shape_and_type_stay_and_the_picture_does_not(name, dtype):
    picture = PICTURE.astype(dtype) if dtype != np.float32 else PICTURE.astype(dtype) / 255
    before = picture.copy()
    found = faulty(picture, name)
    assert (found.shape, found.dtype) == (picture.shape, np.dtype(dtype))
    assert (found != picture).any()
    assert (picture == before).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_draws_the_same_whenever_it_comes(name):
    first, again, other = (faulty(PICTURE, name, frame) for frame in (7, 7, 8))
    assert (first == again).all()
    assert (first == other).all() == (FAULTS[name].fixed or name in ("black", "white", "bits-shifted", "over-exposed"))


def test_black_and_white_are_of_the_depth_of_the_picture():
    assert not faulty(PICTURE, "black").any()
    assert (faulty(PICTURE, "white") == 255).all()
    assert (faulty(PICTURE.astype(np.uint16), "white", white=4095) == 4095).all()
    assert (faulty(PICTURE.astype(np.int32), "white", white=1000) == 1000).all()


def test_an_eighth_of_the_rows_and_of_the_columns_is_dead():
    rows, columns = faulty(PICTURE, "dead-rows"), faulty(PICTURE, "dead-columns")
    dead = ~rows.any((0, 2)), ~columns.any((0, 1))
    assert [one.sum() for one in dead] == [4, 5]
    assert (rows[:, ~dead[0]] == PICTURE[:, ~dead[0]]).all()
    assert (columns[:, :, ~dead[1]] == PICTURE[:, :, ~dead[1]]).all()


def test_dead_pixels_are_black_or_white_in_all_channels():
    found = faulty(PICTURE, "dead-pixels")
    hit = (found != PICTURE).any(0)
    assert hit.sum() == 32 * 40 // 50
    values = found[:, hit]
    assert (values == values[0]).all()
    assert set(np.unique(values)) == {0, 255}


def test_a_small_picture_has_one_dead_pixel():
    assert (faulty(PICTURE[:, :3, :3], "dead-pixels") != PICTURE[:, :3, :3]).any(0).sum() == 1


def test_noise_covers_at_most_three_bands():
    rows = (faulty(PICTURE, "noise-bands") != PICTURE).any((0, 2))
    assert 2 <= rows.sum() <= 6


def test_shifted_rows_hold_the_same_values():
    found = faulty(PICTURE, "rows-shifted")
    assert (np.sort(found, axis=2) == np.sort(PICTURE, axis=2)).all()
    assert (found[:, -1] != PICTURE[:, -1]).any()


def test_bits_and_light():
    assert (faulty(PICTURE, "bits-shifted") == PICTURE << 1).all()
    bright = np.full((1, 4, 4), 200, np.uint8)
    assert (faulty(bright, "bits-shifted") == (400 & 255)).all()
    assert (faulty(PICTURE, "over-exposed") == np.minimum(PICTURE * 4.0, 255)).all()
    assert faulty(PICTURE, "under-exposed").mean() == pytest.approx(PICTURE.mean() / 8, abs=0.5)


def test_a_channel_is_lost_of_colours_alone():
    found = faulty(PICTURE, "channel-lost")
    assert sorted((found == 0).all((1, 2)).tolist()) == [False, False, True]
    with pytest.raises(ValueError, match="expected a coloured picture for channel-lost, got 1 channel"):
        faulty(PICTURE[:1], "channel-lost")


def test_unknown_faults_and_an_unknown_white_are_refused():
    with pytest.raises(ValueError, match="among black, white"):
        faulty(PICTURE, "rain")
    with pytest.raises(ValueError, match="expected white= for pictures of int32"):
        faulty(PICTURE.astype(np.int32), "black")
