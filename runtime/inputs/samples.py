"""Samples by the text that names them: folders, pictures, arrays, IDX files and data sets, read when needed."""

from __future__ import annotations

import inspect
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from ...networks import Preprocessing, dataset_names, load_dataset
from ...networks.inputs import Input
from ...networks.network import fits
from ...networks.pictures.reading import IMAGE_SUFFIXES, read_picture
from ...networks.zoo.datasets import read_idx

LABELS = ("labels", "y", "arr_1")
"""Names of the array with the labels in a .npz file."""


@dataclass(frozen=True)
class Source:
    """Samples in order.

    read: index -> one picture, (channels, height, width) uint8; where `ready`, one float32 sample as the network takes
    it. names: of each sample in a report. labels: (n,) int64, or (n, height, width) for a label at every place, or
    None. classes: the names behind the labels, where they are known. raw: index -> the numbers as they are stored, for
    networks that take them so; by default what is read. starts: the rows at which another drive begins.
    """

    read: Callable[[int], np.ndarray]
    names: Sequence[str]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    ready: bool = False
    raw: Callable[[int], np.ndarray] | None = None
    starts: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def sample(self, index: int, preprocessing: Preprocessing | None, taker: Input | None = None) -> np.ndarray:
        """One sample as the network takes it. taker: the input that it is for; by default one of float32.

        A picture comes as `preprocessing` makes it. Without one an input of integers gets the numbers that are stored.
        """
        dtype = np.dtype("float32" if taker is None else taker.dtype)
        if taker is not None and dtype.kind != "f" and (self.ready or preprocessing is None):
            return self._stored(index, taker)
        if self.ready:
            stored = self.raw if self.raw is not None and dtype != np.float32 else self.read
            return np.asarray(stored(index), dtype)
        value = self.read(index)
        if preprocessing is None:
            raise ValueError(
                f"{self.names[index]}: expected float samples, as the profile was made from, got a picture;"
                " give preprocessing= to say how pictures are read"
            )
        return preprocessing(value, dtype.name)

    def _stored(self, index: int, taker: Input) -> np.ndarray:
        """The numbers as they are stored, in the integers that an input takes; a picture in its layout."""
        value = np.asarray((self.raw or self.read)(index))
        turned = (value, *(np.moveaxis(value, *axes) for axes in ((0, -1), (-1, 0)) if value.ndim == 3))
        value = next((one for one in turned if fits(one.shape, taker.shape)), value)
        with np.errstate(invalid="ignore"):
            taken = np.array(value, taker.dtype, order="C")
        if value.dtype.kind not in "iub" or not np.array_equal(taken, value):
            raise ValueError(
                f"{self.names[index]}: expected numbers of {taker.dtype} for {taker.name}, got {value.dtype}"
            )
        return taken

    def batches(
        self,
        preprocessing: Preprocessing | None,
        batch_size: int,
        inputs: Sequence[Input] = (),
        began: Callable[[], object] | None = None,
    ) -> Iterator[np.ndarray | tuple[np.ndarray, np.ndarray]]:
        """Arrays (n, *sample shape), with their labels where there are any; no batch holds frames of two drives.

        inputs: of the network that takes them; by default one of float32. began: is called before each drive.
        Raises ValueError naming the sample whose shape differs from the first one's.
        """
        taker = inputs[0] if len(inputs) == 1 else None
        shape: list[tuple[int, ...]] = []
        for rows in spans(len(self), self.starts, batch_size, began):
            batch = self.stacked(rows, preprocessing, taker, shape)
            yield batch if self.labels is None else (batch, self.labels[rows.start : rows.stop])

    def stacked(
        self, rows: range, preprocessing: Preprocessing | None, taker: Input | None, shape: list[tuple[int, ...]]
    ) -> np.ndarray:
        """The samples of some rows. shape: holds that of the first sample, once there was one."""
        samples = [self.sample(row, preprocessing, taker) for row in rows]
        for row, sample in zip(rows, samples, strict=True):
            shape[:] = shape or [sample.shape]
            if sample.shape != shape[0]:
                raise ValueError(
                    f"{self.names[row]}: expected shape {shape[0]} like the first sample, got {sample.shape};"
                    " size= brings pictures to one size"
                )
        return np.stack(samples)

    def __getitem__(self, rows: slice) -> Source:
        indices = range(len(self))[rows]
        stored = self.raw or self.read
        return replace(
            self,
            read=lambda index: self.read(indices[index]),
            names=self.names[rows],
            labels=None if self.labels is None else self.labels[rows],
            raw=None if self.raw is None else lambda index: stored(indices[index]),
            starts=starts_in(self.starts, indices),
        )


def spans(count: int, starts: Sequence[int], size: int, began: Callable[[], object] | None = None) -> Iterator[range]:
    """The rows of each batch. starts: where a drive begins; no batch goes beyond. began: is called before a drive."""
    begins = sorted({0, *starts, count})
    for first, last in itertools.pairwise(begins):
        if began is not None:
            began()
        for start in range(first, last, size):
            yield range(start, min(start + size, last))


def starts_in(starts: Sequence[int], rows: range) -> tuple[int, ...]:
    """Where drives begin among the rows of a part."""
    return tuple(start - rows.start for start in starts if rows.start < start < rows.stop)


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
            f"{data}: expected a folder, a picture ({', '.join(IMAGE_SUFFIXES)}), .npy, .npz or an IDX file"
        )
    if not len(source):
        raise ValueError(f"{data}: expected at least one sample, got none")
    part = source[rows]
    refuse_none(data, rows, len(part), len(source))
    return part


def refuse_none(data: str, rows: slice, part: int, whole: int) -> None:
    """Raise ValueError where a part of the samples holds none."""
    if not part:
        start, stop = ("" if bound is None else bound for bound in (rows.start, rows.stop))
        raise ValueError(f"{data}: expected rows= within {whole:,} samples, got {start}:{stop}")


def _named(name: str, split: str) -> Source:
    data = load_dataset(name, split)
    names = [f"{name}:{split}[{row}]" for row in range(len(data))]
    return Source(lambda index: data.images[index], names, data.labels, data.classes)


def _folder(folder: Path, inputs: Sequence[str]) -> Source:
    """Pictures below `folder`, in the order of their paths; every picture in a class folder makes labels.

    Without a picture there, the .npz files in it, one behind the other.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file())
    archives = sorted(folder.glob("*.npz"))
    if archives and not paths:
        return chained([_npz(path, inputs) for path in archives])
    labels, classes = class_labels([path.relative_to(folder).parts for path in paths])
    return Source(lambda index: read_picture(paths[index]), [str(path) for path in paths], labels, classes)


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
    ends = np.cumsum([len(source) for source in sources])
    if len({source.ready for source in sources}) > 1 or len({source.labels is None for source in sources}) > 1:
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
    )


def load(path: Path, **options: Any) -> Any:
    """What a NumPy file holds. Raises ValueError naming a file that is none."""
    with readable(path):
        return np.load(path, allow_pickle=False, **options)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Name the path in whatever error comes up; an archive is read member by member."""
    try:
        yield
    except (ValueError, EOFError, OSError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{path}: expected a NumPy file of numbers, got {error}") from None


def _npz(path: Path, inputs: Sequence[str] = ()) -> Source:
    with readable(path), path.open("rb") as file:  # np.load leaves a file open that it cannot read
        content = np.load(file, allow_pickle=False)
        names = [] if isinstance(content, np.ndarray) else list(content)
        images, labels = (
            next((content[name] for name in known if name in names), None)
            for known in ((*inputs, "images", "x", "arr_0"), LABELS)
        )
    if isinstance(content, np.ndarray):
        raise ValueError(f"{path}: expected a .npz archive, got a single array; name it .npy")
    if images is None:
        raise ValueError(f"{path}: expected an array named images, x or arr_0, got {', '.join(names) or 'nothing'}")
    return array_source(path, images, labels)


def _idx(path: Path) -> Source:
    labels = path.with_name(path.name.replace("images", "labels").replace("idx3", "idx1"))
    return array_source(path, read_idx(path), read_idx(labels) if labels != path and labels.exists() else None)


def array_source(path: Path, values: np.ndarray, labels: np.ndarray | None, *, numbers: bool = False) -> Source:
    """uint8 arrays are pictures, (n, h, w), (n, c, h, w) or (n, h, w, c); floats are samples ready for the network.

    Other integers are samples for a network that takes integers. numbers: whether all numbers are for any network, one
    per frame as well.
    """
    names = [f"{path}[{row}]" for row in range(len(values) if values.ndim else 0)]
    if labels is not None:
        labels = np.asarray(labels)
        if labels.shape[:1] != (len(names),) or labels.ndim not in (1, 3) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{path}: expected {len(names)} integer labels, got {labels.dtype} of shape {labels.shape}"
            )
        labels = labels.astype(np.int64)
    picture = values.dtype == np.uint8 and values.ndim in (3, 4)
    ready = values.dtype.kind == "f" and values.ndim >= 2
    if ready or (numbers and not picture and values.dtype.kind in "fiub" and values.ndim):
        return Source(
            lambda index: np.array(values[index], np.float32, order="C"), names, labels, ready=True,
            raw=lambda index: values[index],
        )  # fmt: skip
    if picture:
        return Source(lambda index: _channels_first(values[index]), names, labels)
    strange = ValueError(
        f"{path}: expected uint8 pictures (n, height, width[, channels]) or float samples (n, ...),"
        f" got {values.dtype} of shape {values.shape}"
    )
    if values.dtype.kind not in "iu" or values.ndim < 2:
        raise strange

    def refused(_index: int) -> np.ndarray:
        raise strange

    return Source(refused, names, labels, ready=True, raw=lambda index: values[index])


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
