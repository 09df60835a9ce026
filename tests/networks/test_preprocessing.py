"""Pictures to samples, against the formula and Pillow."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from outrider.networks import Preprocessing
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
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    assert Preprocessing(size=(6, 8))(RGB).shape == (3, 6, 8)
    with pytest.raises(ImportError, match=re.escape(install_hint("pictures"))):
        Preprocessing(size=(3, 4))(RGB)


def test_json_and_back():
    whole = Preprocessing((32, 48), 0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "NHWC", "BGR")
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
        ({"scale": "1"}, "expected numbers"),
        ({"mean": [1, 2]}, "expected 3 numbers in mean for RGB"),
        ({"std": [1, 0, 1]}, "expected positive numbers in std"),
        ({"std": [1, float("nan"), 1]}, "expected positive numbers in std"),
        ({"layout": "CHW"}, "expected layout 'NCHW' or 'NHWC', got 'CHW'"),
        ({"order": "RGBA"}, "expected channel order"),
    ],
)
def test_nonsense_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict(values)


def test_only_pictures_are_taken():
    with pytest.raises(ValueError, match=r"expected a picture of shape \(1 or 3, height, width\), got \(6, 8, 3\)"):
        Preprocessing()(RGB.transpose(1, 2, 0))
    with pytest.raises(TypeError, match="expected a picture of dtype uint8, got float32"):
        Preprocessing()(RGB.astype(np.float32))
