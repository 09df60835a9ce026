"""Samples by the text that names them: folders, pictures, arrays, IDX files and data sets, read when needed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...networks import dataset_names, load_dataset, picture_of
from ...networks.pictures.reading import IMAGE_SUFFIXES, read_picture
from ...networks.zoo.datasets import read_idx
from .arrays import array_source, load, readable
from .sources import Source, refuse_none
from .walking import left_out, walk

LABELS = ("labels", "y", "arr_1")
"""Names of the array with the labels in a .npz file."""
DRIVES = "drives"
"""The name of the array that says of which drive each sample in it is."""


def open_source(data: str, rows: slice = slice(None), inputs: Sequence[str] = ()) -> Source:
    """The samples that `data` names, or those of them in `rows`.

    inputs: what an array in a .npz file may be called too, the name of the network's input.

    A folder of pictures (class folders inside give labels) or of .npz files, a drive each; a picture, a .npy or .npz
    file, an IDX file, `NAME[:train|test]` for a named data set, `torchvision:CLASS:SPLIT:FOLDER` for one of
    torchvision's.
    Raises FileNotFoundError or ValueError that say what was expected.
    """
    path = Path(data)
    name, _, split = data.partition(":")
    if name == "torchvision":
        source = _torchvision(data)
    elif name in dataset_names() and not path.exists():
        source = _named(name, split)
    elif path.is_dir():
        source = _folder(path, inputs)
    elif not path.exists():
        raise FileNotFoundError(
            f"{data}: no such file or folder, and no data set NAME:train or NAME:test with NAME among"
            f" {', '.join(dataset_names())}"
        )
    elif path.suffix == ".npz":
        source = _npz(path, inputs)
    elif path.suffix == ".npy":
        source = array_source(path, load(path, mmap_mode="r"), None)
    elif "-idx" in path.name or ".idx" in path.name:
        source = _idx(path)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        source = Source(lambda _index: read_picture(path), [str(path)])
    else:
        raise ValueError(
            f"{data}: expected a folder, a picture ({', '.join(IMAGE_SUFFIXES)}), .npy, .npz or an IDX file;"
            " `outrider watch` reads videos and streams"
        )
    if not len(source):
        raise ValueError(f"{data}: expected at least one sample, got none")
    part = source[rows]
    refuse_none(data, rows, len(part), len(source))
    return part


def _named(name: str, split: str) -> Source:
    data = load_dataset(name, split)
    names = [f"{name}:{split}[{row}]" for row in range(len(data))]
    return Source(lambda index: data.images[index], names, data.labels, data.classes)


def _folder(folder: Path, inputs: Sequence[str]) -> Source:
    """Pictures below `folder`, in the order of their paths; every picture in a class folder makes labels.

    Without a picture there, the .npz files in it, one behind the other.
    """
    found = walk(folder, (*IMAGE_SUFFIXES, ".npz"))
    archives = [path for path in found.files if path.suffix.lower() == ".npz"]
    paths = [path for path in found.files if path.suffix.lower() != ".npz"]
    beside = [path for path in archives if path.parent == folder and not paths]
    skipped = dict(found.skipped)
    if len(archives) > len(beside):
        skipped[".npz"] = len(archives) - len(beside)
    if beside:
        source = chained([_npz(path, inputs) for path in beside])
    elif paths:
        labels, classes = class_labels([path.relative_to(folder).parts for path in paths])
        source = Source(lambda index: read_picture(paths[index]), [str(path) for path in paths], labels, classes)
    else:
        beyond = left_out(skipped, found.followed)
        raise ValueError(f"{folder}: expected at least one sample, got none{'; ' * bool(beyond)}{beyond}")
    return replace(source, skipped=skipped, followed=found.followed)


def class_labels(paths: Sequence[tuple[str, ...]]) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    """The labels that class folders give, and their names unless these are numbers; None where a file is in none."""
    parents = [parts[0] for parts in paths if len(parts) > 1]
    if not parents or len(parents) < len(paths):
        return None, None
    classes = tuple(sorted(set(parents)))
    if all(name.isdecimal() for name in classes):
        return np.array([int(name) for name in parents], np.int64), None
    return np.array([classes.index(name) for name in parents], np.int64), classes


def chained(sources: Sequence[Source]) -> Source:
    """Sources one behind the other, a drive each.

    Raises ValueError where some have labels and others none, or some hold pictures and others float samples.
    """
    if len(sources) == 1:
        return sources[0]
    ends = np.cumsum([len(source) for source in sources])
    if len({(source.ready, source.deep, source.labels is None) for source in sources}) > 1:
        raise ValueError(
            f"{sources[0].names[0]}: expected files that hold the same, got others with and without labels"
        )

    def of(index: int, take: str) -> np.ndarray:
        place = int(np.searchsorted(ends, index, "right"))
        source = sources[place]
        value: np.ndarray = (source.raw or source.read if take == "raw" else source.read)(
            index - int(ends[place]) + len(source)
        )
        return value

    labels = [source.labels for source in sources if source.labels is not None]
    return Source(
        lambda index: of(index, "read"),
        [name for source in sources for name in source.names],
        np.concatenate(labels) if labels else None,
        ready=sources[0].ready,
        raw=lambda index: of(index, "raw"),
        starts=tuple(int(end) for end in ends[:-1]),
        deep=sources[0].deep,
    )


def _npz(path: Path, inputs: Sequence[str] = ()) -> Source:
    with readable(path), path.open("rb") as file:  # np.load leaves a file open that it cannot read
        content = np.load(file, allow_pickle=False)
        names = [] if isinstance(content, np.ndarray) else list(content)
        images, labels, drives = (
            next((content[name] for name in known if name in names), None)
            for known in ((*inputs, "images", "x", "arr_0"), LABELS, (DRIVES,))
        )
    if isinstance(content, np.ndarray):
        raise ValueError(f"{path}: expected a .npz archive, got a single array; name it .npy")
    if images is None:
        raise ValueError(f"{path}: expected an array named images, x or arr_0, got {', '.join(names) or 'nothing'}")
    source = array_source(path, images, labels)
    return replace(source, drives=checked_drives(path, drives, len(source)))


def checked_drives(path: Path, drives: np.ndarray | None, n: int) -> np.ndarray | None:
    """The drives of n samples as a file has them. Raises ValueError for others than numbers or names, one a sample."""
    if drives is not None and (drives.shape != (n,) or drives.dtype.kind not in "iuUS"):
        raise ValueError(f"{path}: expected {n} numbers or names of drives, got {drives.dtype} of shape {drives.shape}")
    return drives


def _idx(path: Path) -> Source:
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return array_source(path, read_idx(path), read_idx(labels) if labels != path and labels.exists() else None)


def _torchvision(data: str) -> Source:
    """One of torchvision's data sets, read from `FOLDER` and never downloaded."""
    parts = data.split(":", 3)
    if len(parts) != 4 or parts[2] not in ("train", "test", "val"):
        raise ValueError(f"expected torchvision:CLASS:train|test|val:FOLDER, got {data!r}")
    _, name, split, folder = parts
    from ...networks.pytorch.torchvision_import import import_torchvision

    datasets = import_torchvision().datasets
    if not inspect.isclass(getattr(datasets, name, None)):
        raise ValueError(f"expected a data set of torchvision such as CIFAR10, got {name!r}")
    maker: Any = getattr(datasets, name)
    takes = inspect.signature(maker).parameters
    options: dict[str, Any]
    if "train" in takes:
        options = {"train": split == "train"}
    elif "split" in takes:
        options = {"split": split}
    else:
        raise ValueError(f"expected a data set of torchvision with a train and a test part, got {name}")
    if "download" in takes:
        options["download"] = False
    try:
        items = maker(folder, **options)
    except RuntimeError:
        raise FileNotFoundError(f"{data}: expected {name} as torchvision stores it in {folder}, got none") from None
    targets = getattr(items, "targets", getattr(items, "labels", None))
    if targets is None and isinstance(items[0][1], int):
        targets = [items[row][1] for row in range(len(items))]
    labels = None if targets is None else np.asarray(targets, np.int64)
    names = [f"{name}:{split}[{row}]" for row in range(len(items))]

    def read(index: int) -> np.ndarray:
        try:
            return picture_of(items[index][0])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{names[index]}: {error}") from None

    return Source(read, names, labels)
