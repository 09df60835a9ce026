"""Pictures to samples, against the formula and Pillow."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.networks import Preprocessing, import_torchvision
from outrider.networks.packages import install_hint

RGB = np.random.default_rng(0).integers(0, 256, (3, 6, 8), np.uint8)
GREY = RGB[:1]


def test_scale_mean_and_std_work_channel_by_channel():
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    sample = Preprocessing(mean=mean, std=std)(RGB)
    for channel in range(3):
        expected = (RGB[channel] / 255 - mean[channel]) / std[channel]
        np.testing.assert_allclose(sample[channel], expected, rtol=1e-5, atol=1e-6)
    assert sample.dtype == np.float32
    assert sample.flags.c_contiguous


def test_layout_and_order():
    plain = RGB / np.float32(255)
    np.testing.assert_allclose(Preprocessing(layout="NHWC")(RGB), plain.transpose(1, 2, 0), rtol=1e-6)
    np.testing.assert_allclose(Preprocessing(order="BGR")(RGB), plain[::-1], rtol=1e-6)
    np.testing.assert_allclose(Preprocessing()(GREY), plain[[0, 0, 0]], rtol=1e-6)
    np.testing.assert_allclose(Preprocessing(order="L")(GREY), plain[:1], rtol=1e-6)


def test_luminance_and_size_are_those_of_pillow():
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray(RGB.transpose(1, 2, 0))
    sample = Preprocessing(scale=1, order="L")(RGB)[0]
    np.testing.assert_allclose(sample, np.asarray(picture.convert("L")), atol=1)
    resized = np.asarray(picture.resize((5, 4), image.Resampling.BILINEAR)).transpose(2, 0, 1)
    np.testing.assert_array_equal(Preprocessing(size=(4, 5), scale=1)(RGB), resized)


def test_integers_are_the_pixels():
    np.testing.assert_array_equal(Preprocessing(scale=1, order="BGR")(RGB, "uint8"), RGB[::-1])
    grey = Preprocessing(scale=1, order="L")(RGB, "uint8")
    np.testing.assert_array_equal(grey, np.rint(np.tensordot([0.299, 0.587, 0.114], RGB, 1))[None])
    centred = Preprocessing(scale=1, mean=(128, 128, 128))(RGB, "int8")
    np.testing.assert_array_equal(centred, RGB.astype(int) - 128)
    assert (grey.dtype, centred.dtype) == (np.uint8, np.int8)


@pytest.mark.parametrize(("scale", "dtype"), [(1 / 255, "uint8"), (1, "int8")])
def test_integers_that_cannot_hold_a_picture_are_refused(scale, dtype):
    with pytest.raises(ValueError, match=f"numbers of {dtype}.*needs scale 1"):
        Preprocessing(scale=scale)(RGB, dtype)


def test_the_size_it_has_needs_no_pillow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    assert Preprocessing(size=(6, 8))(RGB).shape == (3, 6, 8)
    with pytest.raises(ImportError, match=re.escape(install_hint("pictures"))):
        Preprocessing(size=(3, 4))(RGB)


def test_json_and_back():
    whole = Preprocessing(
        (32, 48), 0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "NHWC", "BGR", "crop", 64, 0, "bicubic", 4095
    )
    assert Preprocessing.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    assert Preprocessing.from_dict(Preprocessing().to_dict()) == Preprocessing()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"colour": 1}, "got 'colour' too"),
        ({"size": 3}, "expected a preprocessing"),
        ({"size": [3, 0]}, r"expected size \(height, width\) in pixels, got \(3, 0\)"),
        ({"size": ["3", "4"]}, "expected size"),
        ({"size": [1, 2, 3]}, "expected size"),
        ({"scale": "1"}, "expected finite numbers"),
        ({"mean": [1, 2]}, "expected 3 numbers in mean for RGB"),
        ({"std": [1, 0, 1]}, "expected positive numbers in std"),
        ({"std": [1, float("nan"), 1]}, "expected finite numbers"),
        ({"dtype": "uint8"}, "got 'dtype' too"),
        ({"fit": "pad"}, "expected fit 'stretch', 'letterbox' or 'crop', got 'pad'"),
        ({"fit": "letterbox"}, "expected a size for fit 'letterbox'"),
        ({"fit": "crop", "size": [4, 9], "shorter": 8}, r"expected shorter of at least the size \(4, 9\)"),
        ({"size": [4, 9], "shorter": 10}, "expected shorter with fit 'crop' alone"),
        ({"fit": "letterbox", "size": [4, 9], "fill": 256}, "expected fill from 0 to 255"),
        ({"size": [4, 9], "fill": 1}, "expected fill from 0 to 255 with fit 'letterbox'"),
        ({"white": 0}, "expected white above 0"),
        ({"interpolation": "area"}, "expected interpolation 'nearest', "),
        ({"layout": "CHW"}, "expected layout 'NCHW' or 'NHWC', got 'CHW'"),
        ({"order": "RGBA"}, "expected order of channels"),
    ],
)
def test_nonsense_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict(values)


def test_only_pictures_are_taken():
    told = r"expected a picture of shape \(1 or 3, height, width\), got \(6, 8, 3\); outrider\.networks\.picture_of"
    with pytest.raises(ValueError, match=told):
        Preprocessing()(RGB.transpose(1, 2, 0))
    with pytest.raises(TypeError, match=r"expected a picture as an array, got str; .*read_picture reads a file"):
        Preprocessing()("a.png")
    with pytest.raises(TypeError, match="expected a picture of dtype uint8, uint16, int32, float32, got float64"):
        Preprocessing()(RGB.astype(np.float64))


def torchvisions(picture, *steps):
    """What torchvision makes of a PIL image: (channels, height, width) floats in [0, 1]."""
    import_torchvision()
    transforms = pytest.importorskip("torchvision.transforms")
    image = pytest.importorskip("PIL.Image").fromarray(picture.transpose(1, 2, 0))
    made = [getattr(transforms, name)(*options) for name, *options in steps]
    return transforms.Compose([*made, transforms.ToTensor()])(image).numpy()


@pytest.mark.parametrize("shape", [(40, 60), (61, 40), (33, 35), (48, 48), (20, 90)])
@pytest.mark.parametrize(("shorter", "size"), [(32, (28, 28)), (33, (28, 24)), (45, (45, 44))])
def test_crop_is_torchvisions_resize_and_center_crop(shape, shorter, size):
    picture = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    expected = torchvisions(picture, ("Resize", shorter), ("CenterCrop", size))
    sample = Preprocessing(size=size, fit="crop", shorter=shorter, scale=1)(picture, "uint8")
    np.testing.assert_array_equal(sample, np.rint(expected * 255))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_interpolations_are_those_of_pillow(interpolation):
    image = pytest.importorskip("PIL.Image")
    way = image.Resampling[interpolation.upper()]
    picture = np.random.default_rng(0).integers(0, 256, (3, 50, 40), np.uint8)
    for size in ((20, 30), (60, 50)):
        resized = np.asarray(image.fromarray(picture.transpose(1, 2, 0)).resize(size[::-1], way)).transpose(2, 0, 1)
        preprocessing = Preprocessing(size=size, scale=1, interpolation=interpolation)
        np.testing.assert_array_equal(preprocessing(picture), resized)
        # 16 bits are resized as floats: nothing is rounded to 8.
        deep = np.random.default_rng(1).integers(0, 65536, (1, 50, 40)).astype(np.uint16)
        exact = np.asarray(image.fromarray(deep[0].astype(np.float32)).resize(size[::-1], way)) / 257
        np.testing.assert_allclose(
            Preprocessing(size, 1, order="L", interpolation=interpolation)(deep)[0], exact.clip(0, 255), atol=1e-3
        )


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 40), st.integers(1, 40), st.floats(0, 255, width=16))
@settings(max_examples=60, deadline=None)
def test_letterbox_shows_the_whole_picture_in_the_middle(height, width, tall, wide, fill):
    picture = np.random.default_rng(0).integers(1, 256, (1, height, width), np.uint8)
    sample = Preprocessing((tall, wide), 1, order="L", fit="letterbox", fill=fill, interpolation="nearest")(picture)[0]
    factor = min(tall / height, wide / width)
    inner = max(1, round(height * factor)), max(1, round(width * factor))
    top, left = (tall - inner[0]) // 2, (wide - inner[1]) // 2
    shown = np.zeros((tall, wide), bool)
    shown[top : top + inner[0], left : left + inner[1]] = True
    assert sample.shape == (tall, wide)
    assert (sample[~shown] == np.float32(fill)).all()
    assert inner[0] == tall or inner[1] == wide
    stretched = Preprocessing(inner, 1, order="L", interpolation="nearest")(picture)[0]
    np.testing.assert_array_equal(sample[shown].reshape(inner), stretched)


def test_a_crop_without_shorter_covers_the_size():
    picture = np.arange(4 * 8, dtype=np.uint8).reshape(1, 4, 8)
    cut = Preprocessing((4, 4), 1, order="L", fit="crop")(picture)
    np.testing.assert_array_equal(cut, picture[:, :, 2:6])
    ramp = np.broadcast_to(np.linspace(0, 255, 64, dtype=np.uint8), (1, 32, 64))
    cut = Preprocessing((16, 16), 1, order="L", fit="crop")(ramp)
    np.testing.assert_allclose([cut.min(), cut.max()], [255 * 16.5 / 63, 255 * 46.5 / 63], atol=2)


@given(
    st.sampled_from(["uint8", "uint16", "int32", "float32"]),
    st.sampled_from([1, 3]),
    st.sampled_from(["RGB", "BGR", "L"]),
    st.sampled_from(["NCHW", "NHWC"]),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_every_depth_is_the_formula(depth, channels, order, layout, seed):
    draw = np.random.default_rng(seed)
    white = {"uint8": 255, "uint16": 4095, "int32": 1 << 20, "float32": 1.5}[depth]
    picture = (draw.random((channels, 5, 4)) * white).astype(depth)
    count = 1 if order == "L" else 3
    mean, std = tuple(draw.random(count)), tuple(draw.random(count) + 0.5)
    made = Preprocessing(None, 1 / 255, mean, std, layout, order, white=white)
    sample = made(picture)
    shown = picture.astype(np.float64) / white
    if order == "L":
        shown = shown if channels == 1 else np.tensordot([0.299, 0.587, 0.114], shown, 1)[None]
    else:
        shown = np.broadcast_to(shown, (3, 5, 4))[:: -1 if order == "BGR" else 1]
    expected = (shown - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    np.testing.assert_allclose(
        sample, expected if layout == "NCHW" else expected.transpose(1, 2, 0), rtol=1e-5, atol=1e-6
    )
    assert (sample.dtype, sample.flags.c_contiguous) == (np.float32, True)


def test_white_is_white_to_the_last_bit():
    assert Preprocessing(scale=1)(np.full((1, 2, 2), 65535, np.uint16)).max() == 255
    assert Preprocessing(scale=1, white=1)(np.ones((1, 2, 2), np.float32)).max() == 255
    assert Preprocessing(scale=1)(np.full((1, 2, 2), 65535, np.uint16), "uint8").max() == 255


@pytest.mark.parametrize(
    ("picture", "white", "message"),
    [
        (np.ones((1, 2, 2), np.float32), None, "which number is white in a picture of float32; .* --white in"),
        (np.ones((1, 2, 2), np.int32), None, "which number is white in a picture of int32"),
        (np.full((1, 2, 2), 4096, np.uint16), 4095, "numbers from 0 to 4095, which is white, got 4096 to 4096"),
        (np.full((1, 2, 2), -1, np.int32), 9, "numbers from 0 to 9, which is white, got -1 to -1"),
        (np.ones((1, 2, 2), np.uint8), 4095, "pictures whose white is 4095, got one of uint8"),
    ],
)
def test_numbers_without_a_meaning_are_refused(picture, white, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(white=white)(picture)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
def test_numbers_that_are_none_are_never_hidden(bad, interpolation):
    picture = np.ones((1, 6, 6), np.float32)
    picture[0, 3, 3] = bad
    for size in (None, (6, 6), (12, 12)):
        assert not np.isfinite(Preprocessing(size, white=1, interpolation=interpolation)(picture)).all()


def test_a_sample_is_never_the_picture():
    for picture in (RGB, np.ascontiguousarray(RGB.transpose(1, 2, 0)).transpose(2, 0, 1)):
        for layout in ("NCHW", "NHWC"):
            sample = Preprocessing(scale=1, layout=layout)(picture, "uint8")
            assert not np.shares_memory(sample, picture)
            assert sample.flags.c_contiguous


def test_a_network_says_the_dtype_of_samples():
    plain = Preprocessing(scale=1)
    assert plain.giving("uint8")(RGB).dtype == np.uint8
    assert plain.giving("uint8") == plain
    assert "dtype" not in plain.giving("uint8").to_dict()


def test_old_profiles_say_less():
    old = {"size": [4, 5], "scale": 1.0, "mean": [], "std": [], "layout": "NCHW", "order": "RGB"}
    assert Preprocessing.from_dict(old) == Preprocessing((4, 5), 1.0)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            Preprocessing((224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            (
                "stretched to 224 x 224 (bilinear, antialiased), RGB, times 1/255, minus 0.485 0.456 0.406,"
                " divided by 0.229 0.224 0.225, NCHW"
            ),
        ),
        (
            Preprocessing((32, 48), 0.75, fit="letterbox", fill=114, order="L", white=4095, interpolation="nearest"),
            (
                "numbers times 255/4095, scaled into 32 x 48 (nearest) in the middle, the rest filled with 114,"
                " luminance, times 0.75, NCHW"
            ),
        ),
        (
            Preprocessing((224, 224), 1, fit="crop", shorter=256, layout="NHWC", order="BGR"),
            (
                "scaled to 256 on the shorter side (bilinear, antialiased), the middle 224 x 224 cut out, BGR,"
                " numbers as they are, NHWC"
            ),
        ),
        (Preprocessing(scale=2 / 255, order="L"), "in its own size, luminance, times 0.00784314, NCHW"),
    ],
)
def test_the_steps_in_words(made, words):
    assert ", ".join(made.steps()) == words
