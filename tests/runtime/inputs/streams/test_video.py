"""Video files, whole, turned and broken."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from outrider.monitor import OutriderWarning

from .recordings import colours
from .videos import write_video


def test_a_video_without_loss_gives_its_pixels_and_times(opened, tmp_path):
    pixels = colours(7)
    stream = opened(write_video(tmp_path / "a.mkv", pixels))
    frames = list(stream)
    assert np.array_equal([frame.picture.transpose(1, 2, 0) for frame in frames], pixels)
    assert [frame.time for frame in frames] == pytest.approx([row / 25 for row in range(7)], abs=1e-3)
    assert frames[6].name == f"{tmp_path / 'a.mkv'}[6]"
    stream.close()


def test_a_grey_video_has_one_channel(opened, tmp_path):
    pixels = colours(3)[..., 0]
    frames = list(opened(write_video(tmp_path / "a.mkv", pixels, pixel_format="gray")))
    assert np.array_equal([frame.picture for frame in frames], pixels[:, None])


def gradients(n):
    """Pictures that a lossy codec keeps nearly as they are, each of another brightness."""
    return np.stack([np.full((48, 64, 3), 20 * row + 20, np.uint8) for row in range(n)])


def test_a_video_of_a_telephone_is_turned_upright(opened, tmp_path):
    pixels = gradients(3)
    pixels[:, :, :16] = 255  # white at the left
    path = write_video(tmp_path / "a.mp4", pixels, "mpeg4", pixel_format="yuv420p")
    data = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)  # 90 degrees clockwise
    track = data.index(b"tkhd")
    path.write_bytes(data[:track] + data[track:].replace(identity, quarter, 1))
    frames = list(opened(path))
    assert [frame.picture.shape for frame in frames] == [(3, 64, 48)] * 3
    assert all(frame.picture[:, :12].mean() > 240 for frame in frames)
    assert all(frame.picture[:, 20:].mean() < 120 for frame in frames)


def test_pictures_with_exif_in_a_video_are_turned_too(opened, tmp_path):
    av, image_module = pytest.importorskip("av"), pytest.importorskip("PIL.Image")
    turned = image_module.Exif()
    turned[0x112] = 6  # to be turned clockwise by a quarter
    pixels = np.zeros((48, 64), np.uint8)
    pixels[:, :16] = 255  # white at the left
    file = io.BytesIO()
    image_module.fromarray(pixels).save(file, "JPEG", exif=turned)
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        packet = av.Packet(file.getvalue())
        packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, 0, 0, True
        container.mux(packet)
    (frame,) = opened(tmp_path / "a.avi")
    assert frame.picture.shape == (1, 64, 48)
    assert frame.picture[:, :12].min() > 200 > frame.picture[:, 20:].max()


def test_a_video_cut_off_gives_its_beginning(opened, tmp_path):
    pixels = np.repeat(colours(30), 4, axis=1)
    path = write_video(tmp_path / "a.mkv", pixels)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read = [frame.picture.transpose(1, 2, 0) for frame in opened(path) if frame.picture is not None]
    assert 5 < len(read) < 25
    assert np.array_equal(read, pixels[: len(read)])


@pytest.mark.parametrize(("kind", "seconds"), [("mkv", "6.0"), ("avi", "3.0")])  # AVI says how large, FFmpeg how long
def test_a_video_that_ends_long_before_it_says_is_not_called_whole(kind, seconds, opened, tmp_path):
    path = write_video(tmp_path / f"a.{kind}", np.repeat(colours(30), 4, axis=1), "ffv1", rate=5)
    assert len(list(opened(path))) == 30
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(OutriderWarning, match=rf"not whole \(it says {seconds} s, its frames end after \d.\d s\); 1"):
        assert 5 < len(list(opened(path))) < 25


def test_broken_packets_are_frames_with_a_problem(opened, tmp_path):
    pixels = gradients(10)
    path = write_video(tmp_path / "a.avi", pixels, "mjpeg", pixel_format="yuvj420p")
    data = path.read_bytes()
    starts = [place for place in range(len(data)) if data.startswith(b"\xff\xd8\xff", place)]
    assert len(starts) == 10
    broken = data[: starts[4]] + bytes(starts[5] - starts[4] - 8) + data[starts[5] - 8 :]
    path.write_bytes(broken)
    frames = list(opened(path))
    bad = [row for row, frame in enumerate(frames) if frame.picture is None]
    assert bad == [4]
    assert "expected a frame of a video" in frames[4].problem
    levels = [round(frame.picture.mean() / 20) - 1 for frame in frames if frame.picture is not None]
    assert levels == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert [frame.time for frame in frames] == pytest.approx([row / 25 for row in range(10)], abs=1e-3)


def test_sound_is_no_video(opened, tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=r"a.wav: expected a video, got a file without pictures"):
        opened(path)
