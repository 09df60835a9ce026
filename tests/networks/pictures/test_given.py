"""Frames of cameras, OpenCV and Pillow as pictures."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.networks import Preprocessing, picture_of

FRAME = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)


@given(
    st.sampled_from(["uint8", "uint16", "int32", "float32"]),
    st.sampled_from([None, 1, 3]),
    st.booleans(),
    st.integers(1, 6),
    st.integers(1, 6),
)
@settings(max_examples=40, deadline=None)
def test_channels_come_first_and_numbers_stay(dtype, channels, bgr, height, width):
    shape = (height, width) if channels is None else (height, width, channels)
    frame = (np.random.default_rng(0).random(shape) * 200).astype(dtype)
    found = picture_of(frame, order="BGR" if bgr else "RGB")
    assert (found.shape, found.dtype, found.flags.c_contiguous) == ((channels or 1, height, width), dtype, True)
    for channel in range(len(found)):
        own = len(found) - 1 - channel if bgr else channel
        np.testing.assert_array_equal(found[channel], frame if channels is None else frame[..., own])


def test_alpha_goes_only_where_it_hides_nothing():
    for dtype, opaque in (("uint8", 255), ("uint16", 65535), ("float32", 1)):
        frame = np.full((2, 3, 4), opaque, dtype)
        frame[..., :3] = [1, 2, 3]
        assert picture_of(frame, "BGR")[:, 0, 0].tolist() == [3, 2, 1]
        frame[1, 1, 3] = 0
        with pytest.raises(ValueError, match="transparent pixels; lay it over a background"):
            picture_of(frame)


def test_images_of_pillow_follow_the_rules_of_files():
    image = pytest.importorskip("PIL.Image")
    np.testing.assert_array_equal(picture_of(image.fromarray(FRAME)), FRAME.transpose(2, 0, 1))
    deep = np.array([[1, 40_000]], np.uint16)
    for order in "<>":
        np.testing.assert_array_equal(picture_of(image.fromarray(deep.astype(f"{order}u2"))), deep[None])
    assert picture_of(image.new("1", (1, 1), 1)).tolist() == [[[255]]]
    turned = image.new("L", (3, 2))
    turned.getexif()[0x0112] = 6
    assert picture_of(turned).shape == (1, 3, 2)
    with pytest.raises(ValueError, match="transparent"):
        picture_of(image.new("RGBA", (2, 2), (1, 2, 3, 4)))
    cv2 = pytest.importorskip("cv2")
    wide = image.open(io.BytesIO(cv2.imencode(".png", np.full((2, 2, 3), 300, np.uint16))[1].tobytes()))
    with pytest.raises(ValueError, match="one of 16 bits, of which Pillow keeps 8; read_picture reads its file"):
        picture_of(wide)


@pytest.mark.parametrize(
    ("frame", "kind", "message"),
    [
        (FRAME.transpose(2, 0, 1), ValueError, r"got \(3, 4, 5\); with its channels first it is a picture already"),
        (FRAME[None], ValueError, r"got \(1, 4, 5, 3\)"),
        (FRAME[:0], ValueError, r"got \(0, 5, 3\)"),
        (FRAME.astype(float), TypeError, "expected a picture of dtype uint8, uint16, int32, float32, got float64"),
        (FRAME.astype(">u2"), TypeError, "got >u2"),
        ("frame.png", TypeError, "got str; read_picture reads files"),
    ],
)
def test_other_things_are_refused(frame, kind, message):
    with pytest.raises(kind, match=message):
        picture_of(frame)


def test_an_unknown_order_is_refused():
    with pytest.raises(ValueError, match="expected order 'RGB' or 'BGR', got 'GBR'"):
        picture_of(FRAME, "GBR")


def test_a_camera_frame_becomes_a_sample():
    sample = Preprocessing(scale=1)(picture_of(FRAME, order="BGR"))
    np.testing.assert_array_equal(sample, FRAME[..., ::-1].transpose(2, 0, 1))
    assert picture_of(FRAME[..., 0] > 100).tolist() == np.where(FRAME[None, ..., 0] > 100, 255, 0).tolist()
