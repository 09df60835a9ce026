"""Files of data sets, written here byte by byte."""

from __future__ import annotations

import gzip
import json
import struct

import numpy as np
import pytest

from outrider.networks import dataset_names, load_dataset, read_idx, read_image


def idx(values):
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.astype(np.uint8).tobytes()


@pytest.fixture(autouse=True)
def _nothing_installed(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OUTRIDER_DATA", raising=False)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files(tmp_path, pack):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "file").write_bytes(pack(idx(values)))
    np.testing.assert_array_equal(read_idx(tmp_path / "file"), values)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "expected an IDX file of unsigned bytes, got header ''"),
        (b"\0\0\x0d\x01\0\0\0\x01\0", "got header '00000d01'"),
        (b"\0\0\x08\x02\0\0\0\x01", "expected 2 dimensions in the header, got a truncated file"),
        (b"\0\0\x08\x01\0\0\0\x03ab", r"expected \(3,\) = 3 bytes, got 2"),
        (b"\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xffab", "= 18446744065119617025 bytes, got 2"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x01a")[:-3], "expected a whole gzip file"),
    ],
)
def test_idx_files_that_are_none(tmp_path, data, message):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("where", ["folder", "folder/mnist", "environment", "cache"])
def test_a_set_is_found_in_its_folders(tmp_path, monkeypatch, where):
    folder = {"environment": "elsewhere/mnist", "cache": "cache/outrider/mnist"}.get(where, where)
    (tmp_path / folder).mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28), np.uint8)
    (tmp_path / folder / "t10k-images-idx3-ubyte").write_bytes(idx(images))
    (tmp_path / folder / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([3, 1, 4, 1, 5])))
    if where == "environment":
        monkeypatch.setenv("OUTRIDER_DATA", str(tmp_path / "elsewhere"))
    found = load_dataset("mnist", "test", tmp_path / "folder" if where.startswith("folder") else None)
    np.testing.assert_array_equal(found.images, images[:, None])
    assert found.labels.tolist() == [3, 1, 4, 1, 5]
    assert len(found[1:3]) == 2
    assert found.floats().dtype == np.float32
    assert found.floats().max() <= 1


def test_cifar10_is_read_from_rows_of_pixels(tmp_path):
    image = pytest.importorskip("PIL.Image")
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    image.fromarray(images.reshape(4, 1024, 3)).save(tmp_path / "test_batch.png")
    (tmp_path / "test_lables.json").write_text(json.dumps([0, 9, 5, 2]))
    found = load_dataset("cifar10", "test", tmp_path)
    np.testing.assert_array_equal(found.images, images.transpose(0, 3, 1, 2))
    assert [found.classes[label] for label in found.labels] == ["airplane", "truck", "dog", "bird"]


def test_the_old_name_of_the_reader_warns(tmp_path):
    image = pytest.importorskip("PIL.Image")
    picture = np.random.default_rng(0).integers(0, 256, (4, 5), np.uint8)
    image.fromarray(picture).save(tmp_path / "grey.png")
    with pytest.warns(DeprecationWarning, match="read_image is now read_picture"):
        np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), picture[None])


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=f"expected a data set among {', '.join(dataset_names())}, got 'imagenet'"):
        load_dataset("imagenet")
    with pytest.raises(ValueError, match="expected split 'train' or 'test', got 'val'"):
        load_dataset("mnist", "val")


def test_a_set_that_is_not_there_names_the_folders_looked_in(tmp_path):
    with pytest.raises(FileNotFoundError, match="run `make data` or name its folder") as error:
        load_dataset("cifar10", folder=tmp_path)
    assert str(tmp_path / "cifar10") in str(error.value)
    assert str(tmp_path / "cache" / "outrider" / "cifar10") in str(error.value)


def test_digits_have_two_splits():
    pytest.importorskip("sklearn")
    train, test = load_dataset("digits"), load_dataset("digits", "test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.images.shape[1:] == (1, 8, 8)
    assert train.images.dtype == np.uint8
    assert train.images.max() == 255
