"""Samples in order, read one at a time when they are needed, and put together in batches."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from ...networks import Preprocessing
from ...networks.inputs import Input
from ...networks.network import fits

T = TypeVar("T")
UNREADABLE = (ValueError, OSError)
"""What is raised for a sample that cannot be read."""


class UnreadableError(ValueError):
    """A sample cannot be read, though others could."""


@dataclass(frozen=True)
class Source:
    """Samples in order.

    read: index -> one picture, (channels, height, width); where `ready`, one float32 sample as the network takes it.
    names: of each sample in a report. labels: (n,) int64, or (n, height, width) for a label at every place, or
    None. classes: the names behind the labels, where they are known. raw: index -> the numbers as they are stored, for
    networks that take them so; by default what is read. starts: the rows at which another drive begins. drives: (n,),
    the drive of each sample where the file says it.
    deep: integers in the shape of pictures, which a network of floats takes as `preprocessing` makes them, and one of
    integers as they are. skipped, followed: what the walk over a folder left out and followed, as of a `Walk`.
    problems: None where a sample that cannot be read ends the reading. Otherwise it is left out and entered here, with
    the reason by its name.
    """

    read: Callable[[int], np.ndarray]
    names: Sequence[str]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    ready: bool = False
    raw: Callable[[int], np.ndarray] | None = None
    starts: tuple[int, ...] = ()
    drives: np.ndarray | None = None
    deep: bool = False
    skipped: Mapping[str, int] = field(default_factory=dict)
    followed: int = 0
    problems: dict[str, str] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def sample(self, index: int, preprocessing: Preprocessing | None, taker: Input | None = None) -> np.ndarray:
        """One sample as the network takes it. taker: the input that it is for; by default one of float32.

        A picture comes as `preprocessing` makes it. Without one an input of integers gets the numbers that are stored.
        """
        dtype = np.dtype("float32" if taker is None else taker.dtype)
        if taker is not None and dtype.kind != "f" and (self.ready or preprocessing is None):
            return self._stored(index, taker)
        if self.ready and not self.deep:
            stored = self.raw if self.raw is not None and dtype != np.float32 else self.read
            return np.asarray(stored(index), dtype)
        if preprocessing is None:
            raise ValueError(
                f"{self.names[index]}: expected float samples, as the profile was made from, got a picture;"
                " give preprocessing= to say how pictures are read"
            )
        value = self.picture(index)
        try:
            return preprocessing(value, dtype.name)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{self.names[index]}: {error}") from None

    def picture(self, index: int) -> np.ndarray:
        """One picture: (channels, height, width), in the numbers that are stored."""
        return as_picture(self.raw(index)) if self.deep and self.raw is not None else self.read(index)

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

    def rows(
        self,
        preprocessing: Preprocessing | None,
        batch_size: int,
        inputs: Sequence[Input] = (),
        began: Callable[[], object] | None = None,
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """The numbers of the samples in a batch, and the batch: (n, *sample shape). As `batches`, without labels."""
        taker = inputs[0] if len(inputs) == 1 else None
        shape: list[tuple[int, ...]] = []

        def take(row: int) -> np.ndarray:
            return alike(self.sample(row, preprocessing, taker), shape, self.names[row])

        for rows, samples in read_rows(self, take, batch_size, began):
            yield rows, np.stack(samples)

    def batches(
        self,
        preprocessing: Preprocessing | None,
        batch_size: int,
        inputs: Sequence[Input] = (),
        began: Callable[[], object] | None = None,
    ) -> Iterator[np.ndarray | tuple[np.ndarray, np.ndarray]]:
        """Arrays (n, *sample shape), with their labels where there are any; no batch holds frames of two drives.

        inputs: of the network that takes them; by default one of float32. began: is called before each drive.
        Raises ValueError naming the first sample that cannot be read or whose shape differs from the first one's, once
        those before it were given; with `problems`, it is left out.
        """
        for rows, batch in self.rows(preprocessing, batch_size, inputs, began):
            yield batch if self.labels is None else (batch, self.labels[rows])

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
            drives=None if self.drives is None else self.drives[rows],
        )

    def first(self) -> int:
        """The row that shows what the samples are: the first, with `problems` the first that can be read."""
        return first_readable(self, self.raw or self.read)


class Rows(Protocol):
    """What `read_rows` reads: the fields of a `Source`."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def starts(self) -> tuple[int, ...]: ...
    @property
    def problems(self) -> dict[str, str] | None: ...


class Drives(Protocol):
    """What `drives_of` reads: the fields of a `Source`."""

    @property
    def names(self) -> Sequence[str]: ...
    @property
    def starts(self) -> tuple[int, ...]: ...
    @property
    def drives(self) -> np.ndarray | None: ...


def read_rows(
    source: Rows, take: Callable[[int], T], batch_size: int, began: Callable[[], object] | None = None
) -> Iterator[tuple[list[int], list[T]]]:
    """The rows of each batch that can be read, and what `take` makes of them; no batch goes beyond a drive.

    A row that cannot be read is entered in the source's `problems`. Without them, its error is raised, once the rows
    before it were given: as UnreadableError where there are any.
    """
    given = False
    for span in spans(len(source.names), source.starts, batch_size, began):
        rows: list[int] = []
        taken: list[T] = []
        failed: Exception | None = None
        for row in span:
            try:
                taken.append(take(row))
                rows.append(row)
            except UNREADABLE as error:
                if source.problems is None:
                    failed = error
                    break
                source.problems[source.names[row]] = reason_of(error)
        if rows:
            given = True
            yield rows, taken
        if failed is not None:
            if given:
                raise UnreadableError(reason_of(failed)) from failed
            raise failed


def reason_of(error: Exception) -> str:
    """Why a sample cannot be read, in words."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {(error.strerror or 'cannot be read').lower()}"
    return str(error) or type(error).__name__


def first_readable(source: Rows, read: Callable[[int], object]) -> int:
    """The first row, or with `problems` the first that can be read. Raises ValueError where none can."""
    if source.problems is None:
        return 0
    for row, name in enumerate(source.names):
        try:
            read(row)
        except UNREADABLE as error:
            source.problems[name] = reason_of(error)
        else:
            return row
    raise ValueError(f"{source.names[0]}: expected a sample that can be read, got none of {len(source.names):,}")


def alike(sample: np.ndarray, shape: list[tuple[int, ...]], name: str) -> np.ndarray:
    """The sample, if it has the shape of the first one. shape: holds that, once there was one."""
    shape[:] = shape or [sample.shape]
    if sample.shape != shape[0]:
        raise ValueError(
            f"{name}: expected shape {shape[0]} like the first sample, got {sample.shape};"
            " size= brings pictures to one size"
        )
    return sample


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


def drives_of(source: Drives, classes: Collection[str] = ()) -> np.ndarray:
    """The drive of each sample, (n,): as the file says, else a file or a folder of its own.

    classes: the names of the classes that are known. Raises ValueError where the folders bear these.
    """
    if source.drives is not None:
        return source.drives
    if source.starts:
        return np.searchsorted(source.starts, np.arange(len(source.names)), "right")
    folders = [Path(name).parent for name in source.names]
    if {folder.name for folder in folders} <= set(classes):
        raise ValueError(
            f"{source.names[0]}: expected a folder for each drive within those of the classes, got samples in the"
            " folders of the classes themselves"
        )
    return np.array([str(folder) for folder in folders])


def refuse_none(data: str, rows: slice, part: int, whole: int) -> None:
    """Raise ValueError where a part of the samples holds none."""
    if not part:
        start, stop = ("" if bound is None else bound for bound in (rows.start, rows.stop))
        raise ValueError(f"{data}: expected rows= within {whole:,} samples, got {start}:{stop}")


def channels_first(picture: np.ndarray) -> np.ndarray:
    """A picture (height, width), (channels, height, width) or (height, width, channels) with the channels first."""
    if picture.ndim == 2:
        return picture[None]
    if picture.shape[0] not in (1, 3) and picture.shape[-1] in (1, 3):
        return np.ascontiguousarray(picture.transpose(2, 0, 1))
    return np.ascontiguousarray(picture)


def as_picture(stored: np.ndarray) -> np.ndarray:
    """Integers of more than 8 bits as a picture: uint16, or int32 where they are signed."""
    return channels_first(stored).astype(np.uint16 if stored.dtype.kind == "u" else np.int32)
