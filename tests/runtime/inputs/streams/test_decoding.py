"""Frames of FFmpeg as pictures, against the definition of each format; and damage that its decoders notice."""

from __future__ import annotations

import types

import numpy as np
import pytest

from outrider.runtime.inputs.streams.decoding import Soundness, frame_of, to_picture, upright

from .videos import DAMAGES, drive, write_video

av = pytest.importorskip("av")
HEIGHT, WIDTH = 32, 64


def frame(kind, *planes, color_range=0, colorspace=1):
    """A frame of a format whose planes are each of one number, or a row of numbers."""
    made = av.VideoFrame(WIDTH, HEIGHT, kind)
    made.color_range, made.colorspace = color_range, colorspace
    for plane, values in zip(made.planes, planes, strict=True):
        wide = np.uint8 if plane.line_size < 2 * plane.width or kind in ("rgba", "ya8") else np.uint16
        rows = np.zeros((plane.height, plane.line_size // np.dtype(wide).itemsize), wide)
        rows[:, : np.size(values) if np.ndim(values) else None] = values
        plane.update(rows.tobytes())
    return made


@pytest.mark.parametrize(("kind", "bits"), [("yuv420p10le", 10), ("yuv422p12le", 12), ("yuv444p16le", 16)])
def test_white_is_white_and_black_black_in_10_12_and_16_bits(kind, bits):
    step = 1 << (bits - 8)
    for color_range, black, white in ((1, 16 * step, 235 * step), (2, 0, (1 << bits) - 1)):
        for level, due in ((black, 0), (white, 65535), ((black + white) // 2, 32767)):
            picture = to_picture(frame(kind, level, 128 * step, 128 * step, color_range=color_range))
            assert (picture.dtype, picture.shape) == (np.uint16, (3, HEIGHT, WIDTH))
            assert picture.flags.c_contiguous
            assert np.abs(picture.astype(int) - due).max() <= 40 + 65535 // (1 << bits)


def test_12_bits_tell_more_than_255_levels():
    levels = 256 + 55 * np.arange(WIDTH)
    picture = to_picture(frame("yuv444p12le", levels, 2048, 2048, color_range=1))
    due = (levels - 256) / (3760 - 256) * 65535
    assert np.abs(picture[1, 0] - due).max() < 40
    assert len(np.unique(picture)) == WIDTH


@pytest.mark.parametrize(("kind", "bits"), [("gray", 8), ("gray10le", 10), ("gray12le", 12), ("gray16le", 16)])
def test_luminance_of_any_depth(kind, bits):
    most = (1 << bits) - 1
    levels = np.linspace(0, most, WIDTH).astype(int)
    white = 255 if bits == 8 else 65535
    full = to_picture(frame(kind, levels))
    assert full.shape == (1, HEIGHT, WIDTH)
    assert np.abs(full[0, 0] - levels / most * white).max() <= 1
    limited = to_picture(frame(kind, levels, color_range=1))
    step = 1 << (bits - 8)
    due = np.clip((levels - 16 * step) / (219 * step), 0, 1) * white
    assert np.abs(limited[0, 0] - due).max() <= 1.5


def test_float_numbers_are_as_stored():
    planes = frame("gbrpf32le", *(np.zeros(1, np.uint16),) * 3)
    numbers = np.array([np.nan, 3.5], np.float32)
    for plane in planes.planes:
        rows = np.zeros((HEIGHT, plane.line_size // 4), np.float32)
        rows[:, :2] = numbers
        plane.update(rows.tobytes())
    picture = to_picture(planes)
    assert (picture.dtype, picture.shape) == (np.float32, (3, HEIGHT, WIDTH))
    np.testing.assert_array_equal(picture[:, 0, :2], [numbers] * 3)


def test_opaque_alpha_is_left_out_and_transparency_refused():
    opaque = frame("ya8", np.tile([77, 255], WIDTH).astype(np.uint8))
    assert np.array_equal(to_picture(opaque), np.full((1, HEIGHT, WIDTH), 77))
    clear = frame("ya8", np.tile([77, 254], WIDTH).astype(np.uint8))
    with pytest.raises(ValueError, match="expected frames without transparency, got some in ya8"):
        to_picture(clear)
    assert frame_of(clear, 1.0, "a[3]", "").problem.startswith("a[3]: expected frames without transparency")


SQUARE = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40


@pytest.mark.parametrize(
    ("matrix", "due"),
    [
        ((1, 0, 0, 1), SQUARE),
        ((-1, 0, 0, -1), SQUARE[::-1, ::-1]),
        ((0, 1, -1, 0), np.rot90(SQUARE, -1)),  # a telephone held upright
        ((0, -1, 1, 0), np.rot90(SQUARE)),
        ((-1, 0, 0, 1), SQUARE[:, ::-1]),  # mirrored, as a telephone's front camera may be
        ((0, 1, 1, 0), SQUARE.T),
    ],
)
def test_every_turn_and_mirror_of_a_file(matrix, due):
    a, b, c, d = (number << 16 for number in matrix)
    data = np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32).tobytes()

    class Side(bytes):
        type = types.SimpleNamespace(name="DISPLAYMATRIX")

    made = av.VideoFrame.from_ndarray(SQUARE, "gray")
    assert np.array_equal(upright(made.to_ndarray(), [Side(data)]), due)


def seen(pts, key, kind=1, corrupt=False):
    return types.SimpleNamespace(pts=pts, key_frame=key, pict_type=kind, is_corrupt=corrupt)


def fed(soundness, *times, corrupt=False):
    for pts in times:
        soundness.packet(types.SimpleNamespace(pts=pts, is_corrupt=corrupt))


def test_damage_lasts_to_the_next_key_frame():
    soundness = Soundness()
    assert soundness.problem(seen(0, key=True)) == ""
    assert "painted over" in soundness.problem(seen(1, key=False, kind=2, corrupt=True))
    assert "after damage" in soundness.problem(seen(2, key=False, kind=2))
    assert soundness.problem(seen(3, key=True)) == ""
    assert "got broken" in soundness.failed("broken")
    assert "after damage (broken)" in soundness.problem(seen(4, key=False, kind=2))
    assert soundness.problem(seen(5, key=True)) == ""


def test_a_key_frame_from_before_the_damage_clears_nothing():
    soundness = Soundness()
    fed(soundness, 7, corrupt=True)
    assert soundness.problem(seen(6, key=True))
    assert soundness.problem(seen(8, key=True)) == ""


def test_a_decoder_with_threads_tells_late_and_may_mean_a_key_frame():
    soundness = Soundness()
    fed(soundness, 9, 13, 11)  # with pictures that are predicted from a later one
    soundness.failed("broken")
    assert soundness.problem(seen(13, key=True))
    assert soundness.problem(seen(14, key=True)) == ""
    assert "after damage" in soundness.problem(seen(12, key=False, kind=3))  # late, from before the key frame
    assert soundness.problem(seen(15, key=False, kind=2)) == ""


def test_a_stream_without_times_is_sound_from_the_next_key_frame():
    soundness = Soundness()
    fed(soundness, None)
    soundness.failed("broken")
    assert soundness.problem(seen(None, key=False, kind=2))
    assert [soundness.problem(seen(None, key=key)) for key in (True, False)] == ["", ""]


def test_pictures_that_are_refreshed_piece_by_piece_are_whole_after_a_round():
    soundness = Soundness()
    soundness.failed("broken")
    assert [bool(soundness.problem(seen(n, key=n % 4 == 0, kind=2))) for n in range(10)] == [True] * 4 + [False] * 6


@pytest.mark.parametrize(
    ("codec", "damage", "share"),
    [("libx264", "noise", 0.1), ("libx264", "flip", 0.2), ("mpeg4", "noise", 0.1), ("mjpeg", "noise", 0.4)],
)
def test_most_damaged_pictures_are_noticed_and_whole_videos_never_blamed(opened, tmp_path, codec, damage, share):
    """What passes as whole must be as it was, but for what the codec itself cannot notice."""
    path = write_video(tmp_path / "a.mkv", drive(40, 240, 320), codec, gop=8)
    clean = {frame.picture.tobytes() for frame in opened(path)}
    assert len(clean) == 40
    wrong = passed = 0
    for seed in range(8):
        damaged = tmp_path / f"{seed}.mkv"
        damaged.write_bytes(DAMAGES[damage](path.read_bytes(), np.random.default_rng(seed)))
        frames = list(opened(damaged))
        good = [frame for frame in frames if frame.picture is not None and frame.picture.tobytes() in clean]
        passed += sum(frame.picture is not None for frame in frames) - len(good)
        wrong += 40 - len(good)
        assert all(bool(frame.problem) == (frame.picture is None) for frame in frames)
    assert wrong >= 8
    assert passed <= share * wrong, (passed, wrong)
