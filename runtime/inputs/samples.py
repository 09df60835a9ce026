"""Samples by the text that names them: folders, pictures, arrays, IDX files and data sets, read when needed."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ...networks import Preprocessing, dataset_names, load_dataset
from ...networks.zoo.datasets import IMAGE_SUFFIXES, read_idx, read_image


@dataclass(frozen=True)
class Source:
    """Samples in order.

    read: index -> one picture, (channels, height, width) uint8; where `ready`, one float32 sample as the network takes
    it. names: of each sample in a report. labels: (n,) int64, or (n, height, width) for a label at every place, or
    None. classes: the names behind the labels, where they are known.
    """

    read: Callable[[int], np.ndarray]
    names: Sequence[str]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    ready: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def sample(self, index: int, preprocessing: Preprocessing | None) -> np.ndarray:
        """One sample as the network takes it, float32."""
        value = self.read(index)
        if self.ready:
            return value
        if preprocessing is None:
            raise ValueError(
                f"{self.names[index]}: expected float samples, as the profile was made from, got a picture;"
                " give preprocessing= to say how pictures are read"
            )
        return preprocessing(value)

    def batches(
        self, preprocessing: Preprocessing | None, batch_size: int
    ) -> Iterator[np.ndarray | tuple[np.ndarray, np.ndarray]]:
        """Arrays (n, *sample shape) float32, with their labels where there are any.

        Raises ValueError naming the sample whose shape differs from the first one's.
        """
        shape = None
        for start in range(0, len(self), batch_size):
            rows = range(start, min(start + batch_size, len(self)))
            samples = [self.sample(row, preprocessing) for row in rows]
            for row, sample in zip(rows, samples, strict=True):
                shape = shape or sample.shape
                if sample.shape != shape:
                    raise ValueError(
                        f"{self.names[row]}: expected shape {shape} like the first sample, got {sample.shape};"
                        " size= brings pictures to one size"
                    )
            batch = np.stack(samples)
            yield batch if self.labels is None else (batch, self.labels[rows.start : rows.stop])

    def __getitem__(self, rows: slice) -> Source:
        indices = range(len(self))[rows]
        return replace(
            self,
            read=lambda index: self.read(indices[index]),
            names=self.names[rows],
            labels=None if self.labels is None else self.labels[rows],
        )


def open_source(data: str, rows: slice = slice(None)) -> Source:
    """The samples that `data` names, or those of them in `rows`.

    A folder of pictures (class folders inside give labels), a picture, a .npy or .npz file, an IDX file,
    `NAME[:train|test]` for a named data set, `torchvision:CLASS:SPLIT:FOLDER` for one of torchvision's.
    Raises FileNotFoundError or ValueError that say what was expected.
    """
    path = Path(data)
    name, _, split = data.partition(":")
    if name == "torchvision":
        source = _torchvision(data)
    elif name in dataset_names() and not path.exists():
        source = _named(name, split)
    elif path.is_dir():
        source = _folder(path)
    elif not path.exists():
        raise FileNotFoundError(
            f"{data}: no such file or folder, and no data set NAME:train or NAME:test with NAME among"
            f" {', '.join(dataset_names())}"
        )
    elif path.suffix == ".npz":
        source = _npz(path)
    elif path.suffix == ".npy":
        source = _array(path, _load(path, mmap_mode="r"), None)
    elif "-idx" in path.name or ".idx" in path.name:
        source = _idx(path)
    elif path.suffix.lower() in IMAGE_SUFFIXES:
        source = Source(lambda _index: read_image(path), [str(path)])
    else:
        raise ValueError(
            f"{data}: expected a folder, a picture ({', '.join(IMAGE_SUFFIXES)}), .npy, .npz or an IDX file"
        )
    if not len(source):
        raise ValueError(f"{data}: expected at least one sample, got none")
    part = source[rows]
    if not len(part):
        start, stop = ("" if bound is None else bound for bound in (rows.start, rows.stop))
        raise ValueError(f"{data}: expected rows= within {len(source):,} samples, got {start}:{stop}")
    return part


def _named(name: str, split: str) -> Source:
    data = load_dataset(name, split)
    names = [f"{name}:{split}[{row}]" for row in range(len(data))]
    return Source(lambda index: data.images[index], names, data.labels, data.classes)


def _folder(folder: Path) -> Source:
    """Pictures below `folder`, in the order of their paths; every picture in a class folder makes labels."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    labels, classes = None, None
    parents = [path.relative_to(folder).parts[0] for path in paths if path.parent != folder]
    if parents and len(parents) == len(paths):
        classes = tuple(sorted(set(parents)))
        if all(name.isdecimal() for name in classes):
            labels = np.array([int(name) for name in parents], np.int64)
            classes = None
        else:
            labels = np.array([classes.index(name) for name in parents], np.int64)
    return Source(lambda index: read_image(paths[index]), [str(path) for path in paths], labels, classes)


def _load(path: Path, **options: Any) -> Any:
    with _readable(path):
        return np.load(path, allow_pickle=False, **options)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Name the path in whatever error comes up; an archive is read member by member."""
    try:
        yield
    except (ValueError, EOFError, OSError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: expected a NumPy file of numbers, got {error}") from None


def _npz(path: Path) -> Source:
    with _readable(path), path.open("rb") as file:  # np.load leaves a file open that it cannot read
        content = np.load(file, allow_pickle=False)
        names = [] if isinstance(content, np.ndarray) else list(content)
        images, labels = (
            next((content[name] for name in known if name in names), None)
            for known in (("images", "x", "arr_0"), ("labels", "y", "arr_1"))
        )
    if isinstance(content, np.ndarray):
        raise ValueError(f"{path}: expected a .npz archive, got a single array; name it .npy")
    if images is None:
        raise ValueError(f"{path}: expected an array named images, x or arr_0, got {', '.join(names) or 'nothing'}")
    return _array(path, images, labels)


def _idx(path: Path) -> Source:
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return _array(path, read_idx(path), read_idx(labels) if labels != path and labels.exists() else None)


def _array(path: Path, values: np.ndarray, labels: np.ndarray | None) -> Source:
    """uint8 arrays are pictures, (n, h, w), (n, c, h, w) or (n, h, w, c); floats are samples ready for the network."""
    names = [f"{path}[{row}]" for row in range(len(values) if values.ndim else 0)]
    if labels is not None:
        labels = np.asarray(labels)
        if labels.shape[:1] != (len(names),) or labels.ndim not in (1, 3) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{path}: expected {len(names)} integer labels, got {labels.dtype} of shape {labels.shape}"
            )
        labels = labels.astype(np.int64)
    if values.dtype.kind == "f" and values.ndim >= 2:
        return Source(lambda index: np.ascontiguousarray(values[index], np.float32), names, labels, ready=True)
    if values.dtype == np.uint8 and values.ndim in (3, 4):
        return Source(lambda index: _channels_first(values[index]), names, labels)
    raise ValueError(
        f"{path}: expected uint8 pictures (n, height, width[, channels]) or float samples (n, ...),"
        f" got {values.dtype} of shape {values.shape}"
    )


def _channels_first(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return picture[None]
    if picture.shape[0] not in (1, 3) and picture.shape[-1] in (1, 3):
        return np.ascontiguousarray(picture.transpose(2, 0, 1))
    return np.ascontiguousarray(picture)


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
    return Source(lambda index: _pixels(items[index][0]), names, labels)


def _pixels(picture: Any) -> np.ndarray:
    return _channels_first(np.asarray(picture if picture.mode == "L" else picture.convert("RGB")))
