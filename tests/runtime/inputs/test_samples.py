"""A DATA argument, in every form it can take."""

from __future__ import annotations

import gzip
import struct
from importlib.util import find_spec

import numpy as np
import pytest

from outrider.networks import Preprocessing
from outrider.runtime.inputs.samples import open_source

needs_torchvision = pytest.mark.skipif(find_spec("torchvision") is None, reason="needs torchvision")


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (5, 4, 6), np.uint8)


def batches(source, preprocessing=None, size=2):
    return list(source.batches(preprocessing, size))


def test_a_named_data_set():
    pytest.importorskip("sklearn")
    source = open_source("digits:test")
    assert len(source) == 360
    assert source.names[7] == "digits:test[7]"
    frames, labels = batches(source[:3], Preprocessing(order="L"))[1]
    assert frames.shape == (1, 1, 8, 8)
    assert labels.tolist() == source.labels[2:3].tolist()


def test_floats_are_samples_as_they_are(tmp_path):
    samples = np.random.default_rng(0).normal(size=(5, 3, 2))
    np.save(tmp_path / "samples.npy", samples)
    source = open_source(str(tmp_path / "samples.npy"))
    assert source.ready
    joined = np.concatenate(batches(source, Preprocessing()))
    assert joined.dtype == np.float32
    np.testing.assert_array_equal(joined, samples.astype(np.float32))


@pytest.mark.parametrize("shape", ["nhw", "nchw", "nhwc"])
def test_bytes_are_pictures(tmp_path, pictures, shape):
    array = {"nhw": pictures, "nchw": pictures[:, None], "nhwc": pictures[..., None]}[shape]
    np.savez(tmp_path / "pictures.npz", images=array, labels=np.arange(5))
    source = open_source(str(tmp_path / "pictures.npz"))
    np.testing.assert_array_equal(source.labels, np.arange(5))
    np.testing.assert_array_equal(source.read(3), pictures[3][None])


def test_an_idx_file_finds_its_labels(tmp_path, pictures):
    header = b"\0\0\x08\x03" + struct.pack(">3I", *pictures.shape)
    (tmp_path / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pictures.tobytes()))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"")
    source = open_source(str(tmp_path / "t10k-images-idx3-ubyte.gz"))
    assert source.labels is None
    labels = b"\0\0\x08\x01" + struct.pack(">I", 5) + bytes(range(5))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    source = open_source(str(tmp_path / "t10k-images-idx3-ubyte.gz"))
    assert source.labels.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(source.read(4), pictures[4][None])


def save(path, pixels):
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.fromarray(pixels).save(path)


def test_a_picture(tmp_path, pictures):
    save(tmp_path / "one.png", pictures[0])
    source = open_source(str(tmp_path / "one.png"))
    assert source.names == [str(tmp_path / "one.png")]
    np.testing.assert_array_equal(source.read(0), pictures[0][None])


def test_class_folders_give_labels(tmp_path, pictures):
    save(tmp_path / "dog" / "a.png", pictures[0])
    save(tmp_path / "cat" / "near" / "b.png", pictures[1])
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    source = open_source(str(tmp_path))
    assert source.classes == ("cat", "dog")
    assert source.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(source.read(0), pictures[1][None])


def test_numbered_class_folders_are_the_numbers(tmp_path, pictures):
    for number in ("10", "9"):
        save(tmp_path / number / "a.png", pictures[0])
    source = open_source(str(tmp_path))
    assert source.labels.tolist() == [10, 9]
    assert source.classes is None


def test_a_flat_folder_has_no_labels(tmp_path, pictures):
    for index, picture in enumerate(pictures):
        save(tmp_path / f"{index}.png", picture)
    save(tmp_path / "more" / "a.png", pictures[0])
    source = open_source(str(tmp_path))
    assert source.labels is None
    assert [batch.shape for batch in batches(source, Preprocessing(order="L"))] == [(2, 1, 4, 6)] * 3


def test_pictures_of_two_sizes_need_a_size(tmp_path, pictures):
    save(tmp_path / "a.png", pictures[0])
    save(tmp_path / "b.png", pictures[1][:, :3])
    source = open_source(str(tmp_path))
    with pytest.raises(
        ValueError, match=r"b\.png: expected shape \(1, 4, 6\) like the first sample, got \(1, 4, 3\); size= "
    ):
        batches(source, Preprocessing(order="L"))
    assert batches(source, Preprocessing(order="L", size=(2, 2)))[0].shape == (2, 1, 2, 2)


def test_pictures_for_a_profile_of_floats_are_refused(tmp_path, pictures):
    save(tmp_path / "a.png", pictures[0])
    with pytest.raises(
        ValueError, match="float samples, as the profile was made from, got a picture; give preprocessing= to say"
    ):
        batches(open_source(str(tmp_path)))


@needs_torchvision
def test_a_torchvision_data_set(tmp_path, pictures):
    for index, picture in enumerate(pictures):
        folder = tmp_path / "gtsrb" / "GTSRB" / "Training" / f"{index % 2:05}"
        save(folder / f"{index}.ppm", np.stack([picture] * 3, -1))
    source = open_source(f"torchvision:GTSRB:train:{tmp_path}")
    assert source.labels.tolist() == [0, 0, 0, 1, 1]
    assert source.read(0).shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("torchvision:CIFAR10:test", "expected torchvision:CLASS:train|test|val:FOLDER"),
        ("torchvision:Nothing:test:.", "expected a data set of torchvision such as CIFAR10, got 'Nothing'"),
        ("torchvision:CIFAR10:test:none", "expected CIFAR10 as torchvision stores it in none, got none"),
    ],
)
@needs_torchvision
def test_errors_of_torchvision(data, message):
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        open_source(data)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", np.array([{}]), "expected a NumPy file of numbers"),
        (
            "a.npy",
            np.zeros((2, 3), np.complex64),
            "expected uint8, uint16, int16 or int32 pictures (n, height, width), ",
        ),
        ("a.npy", np.zeros((0, 3), np.float32), "expected at least one sample, got none"),
        ("a.npy", b"\x93NUMPY and no more", "expected a NumPy file of numbers"),
        ("a.npz", b"", "expected a NumPy file of numbers"),
        ("a.npz", {"pixels": np.zeros(3)}, "expected an array named images, x or arr_0, got pixels"),
        ("a.npz", {"x": np.zeros((2, 3)), "y": np.zeros(3, int)}, "expected 2 integer labels, got int64 of shape (3,)"),
        ("a-idx3-ubyte", b"1234", "expected an IDX file of unsigned bytes"),
        ("a.mp4", b"", r"IDX file; `outrider watch` reads videos and streams"),
    ],
)
def test_errors(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the message is checked below)
        open_source(str(path))
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("place", [45, 60, -60])
def test_an_archive_that_is_damaged_within_is_named(tmp_path, place):
    path = tmp_path / "pictures.npz"
    np.savez_compressed(path, images=np.arange(4 * 64, dtype=np.float32).reshape(4, 64), labels=np.arange(4))
    data = bytearray(path.read_bytes())
    data[place : place + 20] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"pictures\.npz: expected a NumPy file of numbers, got "):
        open_source(str(path))


def test_objects_in_an_archive_are_refused_by_name(tmp_path):
    np.savez(tmp_path / "objects.npz", images=np.array([{}]))
    with pytest.raises(ValueError, match=r"objects\.npz: expected a NumPy file of numbers, got Object arrays"):
        open_source(str(tmp_path / "objects.npz"))


def test_labels_of_places(tmp_path):
    labels = np.arange(2 * 3 * 3).reshape(2, 3, 3)
    np.savez(tmp_path / "maps.npz", x=np.zeros((2, 1, 3, 3), np.float32), y=labels)
    np.testing.assert_array_equal(open_source(str(tmp_path / "maps.npz"))[1:].labels, labels[1:])


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="expected at least one sample, got none"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(("rows", "got"), [(slice(5, None), "5:"), (slice(2, 2), "2:2"), (slice(None, 0), ":0")])
def test_rows_that_hold_no_sample(tmp_path, rows, got):
    np.save(tmp_path / "five.npy", np.zeros((5, 2), np.float32))
    assert len(open_source(str(tmp_path / "five.npy"), slice(4, None))) == 1
    with pytest.raises(ValueError, match=rf"five\.npy: expected rows= within 5 samples, got {got}$"):
        open_source(str(tmp_path / "five.npy"), rows)


def test_what_lies_beside_pictures_is_counted(tmp_path, pictures):
    for index, picture in enumerate(pictures):
        save(tmp_path / "set" / f"{index}.png", picture)
    for name in ("labels.txt", "more.npz", ".hidden.png", "below/even.npz"):
        (tmp_path / "set" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "set" / name).touch()
    save(tmp_path / "elsewhere" / "5.png", pictures[0])
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "elsewhere")
    source = open_source(str(tmp_path / "set"), slice(1, None))
    assert len(source) == 5
    assert source.names[-1] == str(tmp_path / "set" / "linked" / "5.png")
    assert source.skipped == {"hidden file": 1, ".npz": 2, ".txt": 1}
    assert source.followed == 1


def test_archives_below_the_folder_are_left_out_and_said(tmp_path):
    for name in ("1.npz", "2.npz", "._2.npz", "below/3.npz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.savez(tmp_path / name, x=np.zeros((2, 3), np.float32))
    source = open_source(str(tmp_path))
    assert len(source) == 4
    assert source.skipped == {"hidden file": 1, ".npz": 1}


def test_a_folder_with_nothing_to_read_says_what_it_holds(tmp_path):
    (tmp_path / "a.heic").touch()
    with pytest.raises(ValueError, match=r"expected at least one sample, got none; left out 1 file .*\(\.heic 1\)"):
        open_source(str(tmp_path))
