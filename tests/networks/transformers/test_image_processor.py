"""Our preprocessing against the image processors of transformers."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.networks import NetworkWarning, Preprocessing
from outrider.networks.transformers import import_transformers
from outrider.networks.transformers.image_processor import preprocessing_of

transformers = import_transformers()


def picture(*size):
    return np.random.default_rng(0).integers(0, 255, (3, *size)).astype(np.uint8)


def test_a_processor_that_resizes_and_normalises_is_our_preprocessing():
    processor = transformers.ViTImageProcessor(
        size={"height": 16, "width": 16}, image_mean=[0.5, 0.4, 0.3], image_std=[0.2, 0.3, 0.4]
    )
    found = preprocessing_of(processor)
    assert found.size == (16, 16)
    whole = picture(16, 16)
    expected = np.asarray(processor(whole, return_tensors="np")["pixel_values"][0])
    np.testing.assert_allclose(found(whole), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(16, 16), (40, 60), (61, 40)])
def test_a_processor_that_cuts_out_the_middle_is_followed(size):
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 20}, crop_size={"height": 16, "width": 16})
    found = preprocessing_of(processor)
    assert (found.fit, found.shorter, found.size, found.interpolation) == ("crop", 20, (16, 16), "bicubic")
    whole = picture(*size)
    expected = np.asarray(processor(whole, return_tensors="np")["pixel_values"][0])
    np.testing.assert_allclose(found(whole), expected, atol=2.1 / 255 / min(found.std))


def test_a_cut_of_another_kind_is_warned_of():
    for size in ({"shortest_edge": 12}, {"height": 30, "width": 20}):
        processor = transformers.CLIPImageProcessor(size=size, crop_size={"height": 16, "width": 16})
        with pytest.warns(NetworkWarning, match="cuts out the middle of a picture in a way of its own"):
            found = preprocessing_of(processor)
        assert (found.fit, found.size) == ("stretch", (16, 16))


def test_what_a_processor_does_not_do_is_left_out():
    processor = transformers.ViTImageProcessor(do_resize=False, do_rescale=False, do_normalize=False)
    assert preprocessing_of(processor) == Preprocessing(size=None, scale=1.0)


def test_a_processor_that_turns_the_channels_round_is_followed():
    processor = transformers.MobileViTImageProcessor(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}, do_center_crop=True
    )
    found = preprocessing_of(processor)
    whole = picture(16, 16)
    expected = np.asarray(processor(whole, return_tensors="np")["pixel_values"][0])
    np.testing.assert_allclose(found(whole), expected, atol=1e-5)


def test_a_processor_that_shifts_is_refused():
    with pytest.raises(ValueError, match="expected an image processor that scales alone, got Efficient"):
        preprocessing_of(transformers.EfficientNetImageProcessor(rescale_offset=True))


def test_what_fixes_no_size_or_is_no_processor_is_refused():
    with pytest.raises(TypeError, match="expected a Preprocessing or an image processor, got dict"):
        preprocessing_of({})
    processor = transformers.CLIPImageProcessor(size={"shortest_edge": 16}, do_center_crop=False)
    with pytest.raises(ValueError, match="expected an image processor that fixes height and width"):
        preprocessing_of(processor)
