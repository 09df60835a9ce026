"""What is handed to the library and what is made of its answer; the library itself where it is installed."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.runtime.evaluation.corruptions import COMMON, CORRUPTIONS, corrupted

installed = pytest.mark.skipif(importlib.util.find_spec("imagecorruptions") is None, reason="extra `corruptions`")
PICTURE = np.random.default_rng(2).integers(20, 200, (3, 40, 36), np.uint8)


@pytest.fixture
def library(monkeypatch):
    """A stand-in that adds the severity and a draw from numpy's global state, and keeps what it was given."""
    calls = []

    def corrupt(image, severity, name, **options):
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert min(image.shape[:2]) >= 32
        calls.append((image, severity, name, options))
        return image + np.uint8(severity) + np.random.randint(0, 9, image.shape).astype(np.uint8)  # noqa: NPY002

    monkeypatch.setitem(sys.modules, "imagecorruptions", SimpleNamespace(corrupt=corrupt))
    return calls


def test_the_library_gets_the_picture_and_the_severity(library):
    found = corrupted(PICTURE, "fog", 4)
    ((image, severity, name, options),) = library
    assert (image == PICTURE.transpose(1, 2, 0)).all()
    assert (severity, name, options) == (4, "fog", {})
    added = found.astype(int) - PICTURE
    assert (added.min(), added.max()) == (4, 12)


def test_a_frame_draws_the_same_and_the_global_state_is_left_alone(library):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (corrupted(PICTURE, "fog", 1, frame) for frame in (3, 3, 4))
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert (first == again).all()
    assert (first != other).any()
    corrupted(PICTURE, "glass_blur", 1, 3)
    corrupted(PICTURE, "glass_blur", 1, 3)
    assert library[-1][3] == library[-2][3] != {}


def test_gray_small_and_deep_pictures_come_back_as_they_were(library):
    gray = PICTURE[:1, :28, :28]
    found = corrupted(gray, "fog", 2)
    assert (found.shape, found.dtype) == (gray.shape, np.uint8)
    image = library[-1][0]
    assert image.shape == (32, 32, 3)
    assert (image[28:, :28] == image[27:28, :28]).all()
    assert (image[..., 0] == image[..., 2]).all()
    deep = PICTURE.astype(np.uint16) * 16
    found = corrupted(deep, "fog", 1, white=255 * 16)
    assert found.dtype == np.uint16
    assert (library[-1][0] == PICTURE.transpose(1, 2, 0)).all()
    assert 1 <= (found.astype(int) - deep).min() / 16 <= (found.astype(int) - deep).max() / 16 <= 9


def test_other_names_and_severities_are_refused():
    with pytest.raises(ValueError, match="among gaussian_noise"):
        corrupted(PICTURE, "rain", 1)
    with pytest.raises(ValueError, match="severity from 1 to 5, got 6"):
        corrupted(PICTURE, "fog", 6)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagecorruptions", None)
    with pytest.raises(ImportError, match=r"corruptions need imagecorruptions: pip install.*corruptions"):
        corrupted(PICTURE, "fog", 1)


@installed
def test_the_names_are_the_librarys():
    import imagecorruptions

    assert tuple(imagecorruptions.get_corruption_names("common")) == COMMON
    assert tuple(imagecorruptions.get_corruption_names("all")) == CORRUPTIONS


@installed
def test_impulses_are_the_librarys():
    import imagecorruptions

    flat = np.full((3, 400, 400), 100, np.uint8)
    ours = corrupted(flat, "impulse_noise", 4)
    theirs = imagecorruptions.corrupt(flat.transpose(1, 2, 0), 4, "impulse_noise")
    for value in (0, 99, 100, 255):
        assert (ours == value).mean() == pytest.approx((theirs == value).mean(), abs=0.005)


@installed
@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_works_and_is_the_same_again(name):
    first, again = (corrupted(PICTURE, name, 3, 1) for _ in range(2))
    assert (first.shape, first.dtype) == (PICTURE.shape, np.uint8)
    assert (first != PICTURE).any()
    assert (first == again).all()
