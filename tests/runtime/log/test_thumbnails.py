"""Thumbnails: any layout becomes a small picture, and only so many are kept."""

from __future__ import annotations

import os
import pathlib
import sys

import numpy as np
import pytest

from outrider.monitor.places import Places
from outrider.runtime.log.thumbnails import SIDE, Thumbnails, list_thumbnails, shows, shrink

RUN = "a" * 32


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((20, 30), (20, 30, 1)),
        ((1, 20, 30), (20, 30, 1)),
        ((3, 20, 30), (20, 30, 3)),
        ((20, 30, 3), (20, 30, 3)),
        ((20, 30, 4), (20, 30, 4)),
        ((1, 3, 20, 30), (20, 30, 3)),
        ((1, 20, 30, 1), (20, 30, 1)),
        ((3, 20, 4), (20, 4, 3)),
        ((1, 3, 1080, 1920), (108, 192, 3)),
        ((SIDE + 1, 10, 3), (97, 5, 3)),
    ],
)
def test_every_layout_becomes_height_width_channels(shape, expected):
    frame = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    small = shrink(frame)
    assert small.shape == expected
    assert not np.shares_memory(small, frame)
    assert small[0, 0, 0] == 0


@pytest.mark.parametrize(
    "shape", [(5,), (2, 20, 30), (3, 2, 20, 30, 5), (0, 3, 20, 30), (20, 30, 2), (0, 20), (3, 0, 5), ()]
)
def test_what_is_no_picture_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected a picture of 1, 3 or 4 channels, got shape \("):
        shrink(np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("shape", "kept"),
    [
        ((3, 5, 20, 30), lambda clip: clip[:, -1].transpose(1, 2, 0)),  # channels, moments
        ((6, 3, 20, 30), lambda views: views[-1].transpose(1, 2, 0)),
        ((5, 20, 30, 3), lambda clip: clip[-1]),
        ((2, 6, 3, 20, 30), lambda frames: frames[-1, -1].transpose(1, 2, 0)),
    ],
)
def test_of_several_pictures_the_last_is_kept(shape, kept):
    frame = np.random.default_rng(0).random(shape)
    np.testing.assert_array_equal(shrink(frame), kept(frame))


@pytest.mark.parametrize(("shape", "suffix"), [((20, 30, 3), "png"), ((20, 30, 1), "png"), ((100, 150, 3), "jpg")])
def test_a_picture_can_be_opened(tmp_path, shape, suffix):
    image = pytest.importorskip("PIL.Image")
    path = Thumbnails(tmp_path / "new", 3).save(RUN, 12, np.full(shape, 200, np.uint8))
    assert path.name == f"{RUN}-0000000012.{suffix}"
    with image.open(path) as opened:
        assert opened.size == (shape[1], shape[0])
        assert abs(int(np.asarray(opened).mean()) - 200) < 3


def test_without_pillow_arrays_are_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    path = Thumbnails(tmp_path, 3).save(RUN, 0, np.full((4, 5, 3), 0.5))
    assert path.suffix == ".npy"
    assert np.load(path, allow_pickle=False).tolist() == np.full((4, 5, 3), 128).tolist()


def test_what_a_verdict_says_of_places_is_drawn_over_the_picture(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    values = np.zeros((4, 6), np.float32)
    values[1:3, 2:5] = 8
    image = np.full((40, 60, 1), 100, np.uint8)
    path = Thumbnails(tmp_path / "frames", 3).save("0" * 32, 1, image, Places(values, 1.0, (40, 60)))
    pixels = np.asarray(pillow.open(path)).astype(int)
    assert pixels.shape == (40, 60, 3)
    assert pixels[20, 35, 0] > pixels[20, 35, 2] + 40
    path = Thumbnails(tmp_path / "frames", 3).save("0" * 32, 2, image)
    assert np.asarray(pillow.open(path)).ndim == 2


def test_the_newest_are_kept_whatever_the_clock_says(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"")
    ring = Thumbnails(tmp_path, 3)
    for frame in range(6):
        path = ring.save(RUN, frame, np.zeros((4, 4, 3), np.uint8))
        os.utime(path, (1000 - frame, 1000 - frame))
    assert {path.name[-8:-4] for path in list_thumbnails(tmp_path)} == {"0003", "0004", "0005"}
    assert (tmp_path / "holiday.jpg").exists()
    Thumbnails(tmp_path, 2).save("b" * 32, 0, np.zeros((4, 4, 3), np.uint8))
    assert len(list_thumbnails(tmp_path)) == 2


def test_the_same_frame_twice_is_one_picture(tmp_path):
    ring = Thumbnails(tmp_path, 2)
    for frame in (1, 1, 2):
        ring.save(RUN, frame, np.zeros((4, 4, 3), np.uint8))
    assert len(list_thumbnails(tmp_path)) == 2


def test_a_picture_that_cannot_be_removed_takes_the_place_of_another(tmp_path):
    ring = Thumbnails(tmp_path, 3)
    black = np.zeros((4, 4, 3), np.uint8)
    stays = ring.save(RUN, 0, black)
    stays.unlink()
    stays.mkdir()
    for frame in range(1, 20):
        ring.save(RUN, frame, black)
    assert {path.name[-8:-4] for path in tmp_path.iterdir()} == {"0000", "0018", "0019"}


def test_where_no_picture_can_be_removed_none_is_added(tmp_path):
    ring = Thumbnails(tmp_path, 2)
    for frame in range(2):
        stays = ring.save(RUN, frame, np.zeros((4, 4, 3), np.uint8))
        stays.unlink()
        stays.mkdir()
    for frame in range(2, 9):
        with pytest.raises(OSError, match=stays.name[:32]):
            ring.save(RUN, frame, np.zeros((4, 4, 3), np.uint8))
    assert len(list(tmp_path.iterdir())) == 2


def test_pictures_that_could_not_be_written_take_a_place_too(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    ring = Thumbnails(tmp_path, 3)

    def half(path, _):
        path.touch()
        raise OSError("No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_bytes", half)
    for frame in range(9):
        with pytest.raises(OSError, match="No space"):
            ring.save(RUN, frame, np.zeros((4, 4, 3), np.uint8))
    assert len(list(tmp_path.iterdir())) == 3


def test_a_picture_removed_while_they_are_listed_is_left_out(tmp_path, monkeypatch):
    ring = Thumbnails(tmp_path, 3)
    gone, kept = (ring.save(RUN, frame, np.zeros((4, 4, 3), np.uint8)) for frame in range(2))
    stat = pathlib.Path.stat

    def vanish(path, **options):
        if path == gone:
            gone.unlink(missing_ok=True)
        return stat(path, **options)

    monkeypatch.setattr(pathlib.Path, "stat", vanish)
    assert list_thumbnails(tmp_path) == [kept]


def test_no_folder_has_no_pictures(tmp_path):
    assert list_thumbnails(tmp_path / "nothing") == []


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((3, 8, 6), True), ((8, 6), True), ((1, 8, 6, 3), True), ((6,), False), ((1, 4), False), ((7, 8, 9), False)],
)
def test_what_shows_something_is_a_picture_with_rows_and_columns(shape, expected):
    assert shows(np.zeros(shape, np.float32)) == expected
