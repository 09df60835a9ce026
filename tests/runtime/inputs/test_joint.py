"""Frames of several inputs from archives and from folders side by side."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import OutriderWarning
from outrider.networks import Input, Preprocessing
from outrider.runtime.inputs.joint import open_frames

NAMES = ["camera", "speed"]
TAKERS = Input("camera", (2, 3)), Input("speed", (4,), "int16")


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {"camera": rng.normal(size=(5, 2, 3)).astype(np.float32), "speed": rng.integers(-9, 9, (5, 4))}


def opened(path, rows=slice(None)):
    return open_frames(str(path), rows, NAMES)


def whole(source, takers=TAKERS, preprocessing=None, size=2):
    """The arrays by name and the labels of all batches, and how many frames each had."""
    batches = [
        batch if isinstance(batch, tuple) else (batch, None) for batch in source.batches(preprocessing, size, takers)
    ]
    named = {name: np.concatenate([frames[name] for frames, _ in batches]) for name in NAMES}
    labels = None if batches[0][1] is None else np.concatenate([labels for _, labels in batches])
    return named, labels, [len(frames["camera"]) for frames, _ in batches]


def test_an_archive_holds_an_array_for_each_input(tmp_path, arrays):
    np.savez(tmp_path / "drive.npz", **arrays, labels=np.arange(5))
    source = opened(tmp_path / "drive.npz")
    assert (len(source), source.ready, source.names[3]) == (5, True, f"{tmp_path}/drive.npz[3]")
    named, labels, sizes = whole(source)
    assert (named["camera"].dtype, named["speed"].dtype, sizes) == (np.float32, np.int16, [2, 2, 1])
    for name in NAMES:
        np.testing.assert_array_equal(named[name], arrays[name])
    np.testing.assert_array_equal(labels, np.arange(5))
    named, labels, _ = whole(opened(tmp_path / "drive.npz", slice(1, 4)), (TAKERS[0], Input("speed", (4,))))
    np.testing.assert_array_equal(named["speed"], arrays["speed"][1:4].astype(np.float32))
    np.testing.assert_array_equal(labels, [1, 2, 3])


def test_archives_in_a_folder_are_a_drive_each(tmp_path, arrays):
    np.savez(tmp_path / "b.npz", **{name: array[3:] for name, array in arrays.items()})
    np.savez(tmp_path / "a.npz", **{name: array[:3] for name, array in arrays.items()})
    source, began = opened(tmp_path), []
    named, labels, sizes = whole(source)
    assert sizes == [2, 1, 2]
    assert labels is None
    np.testing.assert_array_equal(named["speed"], arrays["speed"])
    counts = [len(batch["camera"]) for batch in source[1:].batches(None, 9, TAKERS, lambda: began.append(True))]
    assert (counts, began) == ([2, 2], [True, True])
    assert whole(source[3:])[2] == [2]


@pytest.fixture
def side_by_side(tmp_path, arrays):
    pillow = pytest.importorskip("PIL.Image")
    pictures = np.random.default_rng(1).integers(0, 256, (5, 2, 3), np.uint8)
    for name in NAMES:
        (tmp_path / name).mkdir()
    for row in range(5):
        pillow.fromarray(pictures[row]).save(tmp_path / "camera" / f"{row:04}.png")
        np.save(tmp_path / "speed" / f"{row:04}.npy", arrays["speed"][row])
    return tmp_path, pictures


def test_folders_side_by_side_match_by_name(side_by_side, arrays):
    folder, pictures = side_by_side
    source = opened(folder)
    assert (len(source), source.ready, source.names[4]) == (5, False, f"{folder}/0004")
    np.testing.assert_array_equal(source.read(2), pictures[2][None])
    named, labels, _ = whole(source, (Input("camera", (1, 2, 3)), TAKERS[1]), Preprocessing(order="L"))
    np.testing.assert_allclose(named["camera"][:, 0], pictures / 255, rtol=1e-6)
    np.testing.assert_array_equal(named["speed"], arrays["speed"])
    assert labels is None
    raw = whole(source, (Input("camera", (2, 3, 1), "uint8"), TAKERS[1]))[0]["camera"]
    np.testing.assert_array_equal(raw[..., 0], pictures)


def test_files_without_a_counterpart_are_counted_and_named(side_by_side):
    folder, _ = side_by_side
    (folder / "speed" / "0001.npy").unlink()
    np.save(folder / "speed" / "0009.npy", np.zeros(4))
    with pytest.warns(
        OutriderWarning, match=r"left out 2 files that .* in every folder: .*camera/0001.png, .*0009.npy"
    ):
        source = opened(folder)
    assert [name[-4:] for name in source.names] == ["0000", "0002", "0003", "0004"]


def test_labels_come_from_a_folder_or_from_class_folders(side_by_side, arrays):
    folder, _ = side_by_side
    (folder / "labels").mkdir()
    for row in range(5):
        np.save(folder / "labels" / f"{row:04}.npy", np.int8(row % 3))
    np.testing.assert_array_equal(opened(folder).labels, [0, 1, 2, 0, 1])
    np.save(folder / "labels" / "0002.npy", 0.5)
    with pytest.raises(ValueError, match=r"expected one integer in each file, .* got float64"):
        opened(folder)
    other = folder / "classes"
    for kind in ("stop", "go"):
        for name in NAMES:
            (other / name / kind).mkdir(parents=True)
            np.save(other / name / kind / "1.npy", arrays[name][0])
    source = opened(other)
    assert (source.labels.tolist(), source.classes) == ([0, 1], ("go", "stop"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda f, a: np.savez(f / "d.npz", camera=a["camera"]),
            "arrays named camera and speed, got camera; missing: speed",
        ),
        (lambda f, a: np.savez(f / "d.npz", camera=a["camera"], speed=a["speed"][:3]), "got 5 of camera, 3 of speed"),
        (lambda f, a: np.savez(f / "d.npz", **a, labels=np.zeros(5)), "expected 5 integer labels, got float64"),
        (lambda f, a: (f / "camera").mkdir(), "a folder for each of camera and speed, or .npz .*; missing: speed"),
        (lambda f, a: None, "expected a folder for each of camera and speed, or .npz files, got no folder"),
        (lambda f, a: [(f / name).mkdir() for name in NAMES], "got 0 of camera, 0 of speed and none that match"),
    ],
)
def test_what_is_missing_is_named(tmp_path, arrays, make, message):
    make(tmp_path, arrays)
    with pytest.raises(ValueError, match=message):
        opened(tmp_path)


def test_what_is_no_source_of_several_inputs_is_refused(tmp_path, arrays):
    with pytest.raises(FileNotFoundError, match=r"expected a \.npz file or a folder with samples of camera and speed"):
        opened(tmp_path / "none")
    np.save(tmp_path / "one.npy", arrays["camera"])
    with pytest.raises(ValueError, match=r"expected a \.npz file with arrays named camera and speed, a folder of such"):
        opened(tmp_path / "one.npy")
    (tmp_path / "drives").mkdir()
    np.savez(tmp_path / "drives" / "a.npz", **arrays)
    np.savez(tmp_path / "drives" / "b.npz", **arrays, labels=np.arange(5))
    with pytest.raises(ValueError, match="expected labels in every file or in none"):
        opened(tmp_path / "drives")


def test_arrays_that_are_no_inputs_are_named(tmp_path, arrays):
    np.savez(tmp_path / "d.npz", **arrays, time=np.arange(5), gps=np.arange(5))
    with pytest.warns(OutriderWarning, match="left out 2 arrays that are no inputs: time, gps"):
        opened(tmp_path / "d.npz")


def test_one_number_a_frame(tmp_path, arrays):
    word = np.array([3, 1, 4, 1, 5])
    np.savez(tmp_path / "d.npz", camera=arrays["camera"], speed=word)
    for dtype in ("int64", "float32"):
        found = whole(opened(tmp_path / "d.npz"), (TAKERS[0], Input("speed", (), dtype)))[0]["speed"]
        np.testing.assert_array_equal(found, word)
        assert found.dtype == dtype


def test_numbers_that_an_input_cannot_hold_are_refused(tmp_path, arrays):
    arrays["speed"] = arrays["speed"] + 0.5
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(ValueError, match=r"d.npz\[0\]: expected numbers of int16 for speed, got float64"):
        whole(opened(tmp_path / "d.npz"))
    np.testing.assert_array_equal(
        whole(opened(tmp_path / "d.npz"), (TAKERS[0], Input("speed", (4,), "float64")))[0]["speed"], arrays["speed"]
    )


def test_a_part_without_frames_is_refused(tmp_path, arrays):
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(ValueError, match=r"d.npz: expected rows= within 5 samples, got 7:"):
        opened(tmp_path / "d.npz", slice(7, None))


def test_one_input_may_have_a_name_of_its_own_and_a_folder_of_archives(tmp_path, arrays):
    for drive in range(2):
        np.savez(tmp_path / f"{drive}.npz", lidar=arrays["camera"] + drive, labels=np.arange(5))
    source = open_frames(str(tmp_path), inputs=["lidar"])
    frames, labels = zip(*source.batches(None, 5), strict=True)
    np.testing.assert_array_equal(np.concatenate(frames), np.concatenate([arrays["camera"], arrays["camera"] + 1]))
    np.testing.assert_array_equal(np.concatenate(labels), [*range(5)] * 2)
    assert source[2:].starts == (3,)


def test_what_lies_beside_the_folders_is_counted(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for row in range(3):
            np.save(tmp_path / name / f"{row}.npy", np.ones(2, np.float32))
    for name in ("a/notes.txt", "b/9.npy", "readme.md", "extra.npz"):
        (tmp_path / name).touch()
    (tmp_path / "spare").mkdir()
    with pytest.warns(OutriderWarning, match="left out 1 files that have no counterpart"):
        source = open_frames(str(tmp_path), slice(None), ["a", "b"])
    assert source.skipped == {"folder": 1, ".txt": 1, ".md": 1, ".npz": 1, "file without a counterpart": 1}
    assert len(source) == 3
