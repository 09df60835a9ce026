"""Image messages of ROS as pictures: every encoding, sizes that do not fit, and which topic is watched."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.runtime.inputs.streams import image_message

from .recordings import HEIGHT, LIGHT, RGB, WIDTH, compressed, drive, image, pictures_of, write_bag, write_mcap

ALPHA = np.full((HEIGHT, WIDTH, 1), 99, np.uint8)


@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("rgb8", RGB, RGB),
        ("bgr8", RGB[:, :, ::-1], RGB),
        ("rgba8", np.concatenate([RGB, ALPHA], axis=2), RGB),
        ("bgra8", np.concatenate([RGB[:, :, ::-1], ALPHA], axis=2), RGB),
        ("8UC3", RGB[:, :, ::-1], RGB),
        ("mono8", LIGHT, LIGHT[:, :, None]),
        ("8UC1", LIGHT, LIGHT[:, :, None]),
        ("mono16", LIGHT.astype("<u2") * 257, LIGHT[:, :, None]),
        ("rgb16", RGB.astype("<u2") * 257 + 128, RGB),
        ("bgr16", (RGB[:, :, ::-1] * 257.0 - 128).clip(0).astype("<u2"), RGB),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_every_encoding_gives_the_pixels_that_went_in(ros, encoding, pixels, expected, padding):
    padding *= pixels.dtype.itemsize
    picture = image_message.to_picture(image(ros, pixels, encoding, padding=padding))
    assert (picture.dtype, picture.shape) == (np.uint8, (expected.shape[2], HEIGHT, WIDTH))
    assert np.array_equal(picture.transpose(1, 2, 0), expected)


def test_numbers_of_16_bits_in_either_order_of_their_bytes(ros):
    values = np.random.default_rng(1).integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    little = image_message.to_picture(image(ros, values.astype("<u2"), "mono16", padding=3))
    big = image_message.to_picture(image(ros, values.astype(">u2"), "mono16", padding=3, big=True))
    assert np.array_equal(little, big)
    assert np.abs(little[0] - values * (255 / 65535)).max() <= 0.5


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"])
def test_yuv_agrees_with_ffmpeg(ros, encoding):
    av = pytest.importorskip("av")
    packed = np.random.default_rng(2).integers(16, 236, (HEIGHT, WIDTH, 2), np.uint8)
    message = image(ros, packed[..., ::-1] if encoding in ("yuv422", "uyvy") else packed, encoding, padding=4)
    reference = av.VideoFrame.from_ndarray(packed, "yuyv422").to_ndarray(format="rgb24").astype(int)
    difference = np.abs(image_message.to_picture(message).transpose(1, 2, 0) - reference)
    assert difference.max() <= 3  # FFmpeg rounds down
    assert difference.mean() < 1.5


def test_the_last_row_may_lack_its_padding(ros):
    message = image(ros, RGB, padding=5)
    message.data = message.data[:-5]
    assert np.array_equal(image_message.to_picture(message).transpose(1, 2, 0), RGB)


@pytest.mark.parametrize(
    "changes",
    [{"height": HEIGHT + 1}, {"width": WIDTH + 1}, {"step": 3 * WIDTH - 1}, {"data": np.zeros(0, np.uint8)},
     {"height": 0, "data": np.zeros(0, np.uint8)}, {"width": 0, "step": 0}, {"height": 2**32 - 1, "width": 2**31}],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(ros, changes):
    with pytest.raises(ValueError, match="bytes in rows of"):
        image_message.to_picture(image(ros, RGB, **changes))


def test_an_unknown_encoding_is_named_with_those_that_are_known(opened, ros, tmp_path):
    path = write_mcap(ros, tmp_path / "a.mcap", [("/camera", 1.0, image(ros, LIGHT, "bayer_rggb8"))])
    with pytest.raises(image_message.EncodingError, match=r"encoded as mono8, .*, got 'bayer_rggb8'"):
        list(opened(path))


@pytest.mark.parametrize(("kind", "error"), [("PNG", 0), ("JPEG", 60)])
def test_compressed_images(ros, kind, error):
    smooth = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8)[:, None], (HEIGHT, 1, 3))
    picture = image_message.to_picture(compressed(ros, smooth, kind))
    assert np.abs(picture.transpose(1, 2, 0).astype(int) - smooth).max() <= error
    assert np.array_equal(image_message.to_picture(compressed(ros, LIGHT))[0], LIGHT)


def two_cameras(ros, path):
    return write_mcap(ros, path, [("/left", 1.0, image(ros, RGB)), ("/right", 1.0, compressed(ros, RGB[::-1]))])


def test_topics_are_chosen_by_name(opened, ros, tmp_path):
    path = str(two_cameras(ros, tmp_path / "a.mcap"))
    assert np.array_equal(pictures_of(opened(path, topic="/left")), [RGB])
    assert np.array_equal(pictures_of(opened(path, topic="/right")), [RGB[::-1]])
    with pytest.raises(ValueError, match=r"expected one topic of pictures, got /left, /right; topic= says which"):
        opened(path)
    with pytest.raises(ValueError, match=r"in topic /up, got none of that name; there are /left, /right"):
        opened(path, topic="/up")


def test_a_topic_without_pictures(opened, ros, tmp_path):
    _, messages = drive(ros)
    with pytest.raises(ValueError, match=r"got one of std_msgs/msg/String; there are /camera"):
        opened(write_bag(ros, tmp_path / "bag", messages), topic="/odometry")
    path = write_mcap(ros, tmp_path / "a.mcap", messages[1::2])
    with pytest.raises(ValueError, match=r"got /odometry \(std_msgs/msg/String\)"):
        opened(path)
    with pytest.raises(ValueError, match=r"expected a topic of sensor_msgs/Image or CompressedImage, got none"):
        opened(write_mcap(ros, tmp_path / "b.mcap", []))
