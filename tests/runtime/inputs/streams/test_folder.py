"""Folders of pictures, some of which cannot be read."""

from __future__ import annotations

import struct
import zlib

import pytest


def test_pictures_of_a_folder_come_by_the_numbers_in_their_names(opened, photos):
    frames = list(opened(photos, rate=4.0))
    assert [frame.picture[0, 0, 0] for frame in frames] == [1, 2, 10, 11]
    assert [frame.time for frame in frames] == [0, 0.25, 0.5, 0.75]
    assert frames[0].name == str(photos / "frame_1.png")


def test_a_picture_that_cannot_be_read_is_a_frame_with_a_problem(opened, photos):
    (photos / "frame_2.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    stream = opened(photos)
    (photos / "frame_10.png").unlink()
    frames = list(stream)
    assert [frame.picture is None for frame in frames] == [False, True, True, False]
    assert "frame_2.png: expected a picture, got" in frames[1].problem
    assert "frame_10.png" in frames[2].problem


def png(width, height):
    """A picture of that many pixels, by its header alone."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_picture_with_a_wild_header_is_a_frame_with_a_problem(opened, photos):
    (photos / "frame_2.png").write_bytes(png(30_000, 30_000))
    (photos / "frame_10.png").write_bytes(png(2**31 - 1, 2**31 - 1))
    frames = list(opened(photos))
    assert [frame.picture is None for frame in frames] == [False, True, True, False]
    assert "frame_2.png: expected a picture, got Image size (900000000 pixels)" in frames[1].problem


@pytest.mark.parametrize("error", [KeyError(3), MemoryError(), struct.error("unpack"), RuntimeError("decoder")])
def test_whatever_a_decoder_raises_is_a_problem_of_its_picture(opened, photos, monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr("PIL.Image.Image.load", broken)
    assert [frame.picture for frame in opened(photos)] == [None] * 4
    assert next(iter(opened(photos))).problem.endswith(f": expected a picture, got {str(error) or 'MemoryError'}")


def test_links_are_followed_and_what_is_left_out_is_counted(opened, photos, tmp_path):
    (photos / "linked").symlink_to(photos.parent)
    (photos / ".frame_0.png").touch()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (photos / "frame_1.png").rename(elsewhere / "frame_1.png")
    (photos / "a").symlink_to(elsewhere)
    stream = opened(photos)
    assert [frame.picture[0, 0, 0] for frame in stream] == [1, 2, 10, 11]
    assert stream.skipped == {"hidden file": 1, "repeated folder": 1, ".txt": 1}
    assert stream.followed == 1


def test_an_empty_folder(opened, tmp_path):
    with pytest.raises(ValueError, match=r"expected pictures \(.*\), a ROS 2 bag or .mcap files, got none"):
        opened(tmp_path)
