"""What a worker makes of a block is what `profile_part` makes of the same rows."""

from __future__ import annotations

import io

import numpy as np
import pytest

from outrider.monitor import Monitor
from outrider.monitor.shards import Part
from outrider.networks import OnnxNetwork, Preprocessing, load_dataset
from outrider.runtime.cluster.worker import Worker

PICTURES = Preprocessing(size=(8, 8), order="L")


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits", "train")[:64]


def network(model):
    return OnnxNetwork(model, preprocessing=PICTURES)


@pytest.fixture(scope="module")
def blank(model):
    return bytes(Monitor(network(model)).profile_part(np.zeros((64, 1, 8, 8), np.float32), (0, 2**31)))


@pytest.fixture(scope="module")
def expected(model, digits):
    frames = np.stack([PICTURES(picture) for picture in digits.images])
    return Monitor(network(model)).profile_part((frames, digits.labels), (0, 1))


def same(state, expected):
    part = Part.of(state["state"][0])
    assert part.profile.trusted.frames == 64
    assert part.digest == expected.digest
    for mine, theirs in zip(part.profile.signatures, expected.profile.signatures, strict=True):
        assert all(np.array_equal(array, theirs.arrays[name]) for name, array in mine.arrays.items())


def test_pictures_their_files_and_frames_are_the_same(model, digits, blank, expected):
    pillow = pytest.importorskip("PIL.Image")
    files = []
    for picture in digits.images[:, 0]:
        buffer = io.BytesIO()
        pillow.fromarray(picture).save(buffer, "PNG")
        files.append(buffer.getvalue())
    worker = Worker(lambda: network(model), blank, "one", "label")
    for values in (
        np.array(files, object),
        digits.images[:, 0],
        digits.images.transpose(0, 2, 3, 1),
        np.stack([PICTURES(picture) for picture in digits.images]),
    ):
        same(worker({"one": values, "label": digits.labels}), expected)


def test_it_keeps_nothing_from_block_to_block(model, digits, blank):
    worker = Worker(lambda: network(model), blank, "one", "label")
    block = {"one": digits.images[:, 0], "label": digits.labels}
    assert worker(block)["state"][0] == worker(block)["state"][0]


def test_a_column_that_is_not_there_is_told(model, digits, blank):
    worker = Worker(lambda: network(model), blank, "image", None)
    with pytest.raises(ValueError, match="expected a column 'image' of frames, got one, label"):
        worker({"one": digits.images, "label": digits.labels})


def test_pictures_want_a_preprocessing(model, digits):
    bare = bytes(Monitor(OnnxNetwork(model)).profile_part(np.zeros((64, 1, 8, 8), np.float32), (0, 2**31)))
    with pytest.raises(ValueError, match="a row: expected a picture"):
        Worker(lambda: OnnxNetwork(model), bare, "one", None)({"one": np.array([b"torn"], object)})
