"""Frames of CamVid are read in the order of the drive, and made inputs of ESPNet."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from benchmarks.places.camvid import espnet_inputs, read_frames


def test_frames_are_read_with_their_labels_by_name(tmp_path):
    for folder in ("val", "valannot"):
        (tmp_path / folder).mkdir()
    for i, name in enumerate(["b_2", "a_10", "b_1", "a_09"]):
        Image.new("RGB", (8, 16), (i, 2, 3)).save(tmp_path / "val" / f"{name}.webp", lossless=True)
        Image.new("L", (8, 16), i).save(tmp_path / "valannot" / f"{name}.png")
    frames = read_frames(tmp_path, "val")
    assert frames.names == ("a_09", "a_10", "b_1", "b_2")
    assert frames.images.shape == (4, 16, 8, 3)
    assert frames.images[:, 0, 0].tolist() == [[3, 2, 3], [1, 2, 3], [2, 2, 3], [0, 2, 3]]
    assert frames.labels[:, 5, 5].tolist() == [3, 1, 2, 0]
    assert frames.drives.tolist() == ["a", "a", "b", "b"]
    assert frames.take(frames.drives == "b").names == ("b_1", "b_2")
    assert frames.take([3, 0]).labels[:, 0, 0].tolist() == [0, 3]
    assert read_frames(tmp_path, "val", every=3).names == ("a_09", "b_2")
    with pytest.raises(FileNotFoundError, match="train"):
        read_frames(tmp_path, "train")


def test_inputs_are_blue_first_and_normal():
    images = np.zeros((1, 2, 3, 3), np.uint8)
    images[0, 1, 2] = 200, 100, 50  # red, green, blue
    inputs = espnet_inputs(images)
    assert inputs.shape == (1, 3, 2, 3)
    assert inputs.dtype == np.float32
    assert inputs.flags.c_contiguous
    expected = [(50 - 109.78) / 72.19 / 255, (100 - 107.81) / 72.79 / 255, (200 - 104.42) / 70.01 / 255]
    np.testing.assert_allclose(inputs[0, :, 1, 2], expected, rtol=1e-5)
