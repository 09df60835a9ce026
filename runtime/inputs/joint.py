"""Samples of networks with several inputs: archives of arrays by name, and folders side by side."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...monitor import OutriderWarning
from ...networks import Preprocessing
from ...networks.inputs import Input
from ...networks.pictures.reading import IMAGE_SUFFIXES, read_picture
from .arrays import array_source, load, readable
from .samples import DRIVES, LABELS, chained, checked_drives, class_labels, open_source
from .sources import Source, alike, first_readable, read_rows, refuse_none, starts_in
from .walking import Walk, walk

_NAMED = 3
_LABELS = ("labels", "label", *LABELS)
_SUFFIXES = (".npy", *IMAGE_SUFFIXES)


@dataclass(frozen=True)
class JointSource:
    """Frames of several inputs, in order: row by row, one sample of each input.

    parts: by the name of the input. The others are as of a `Source`.
    """

    parts: Mapping[str, Source]
    names: Sequence[str]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    starts: tuple[int, ...] = ()
    drives: np.ndarray | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)
    followed: int = 0
    problems: dict[str, str] | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ready(self) -> bool:
        """Whether no input is a picture."""
        return all(part.ready for part in self.parts.values())

    def read(self, index: int) -> np.ndarray:
        """The first picture of a frame; where none is a picture, the first sample."""
        parts = list(self.parts.values())
        return next((part for part in parts if not part.ready), parts[0]).read(index)

    picture = read
    deep = False

    def sample(
        self, index: int, preprocessing: Preprocessing | None, inputs: Sequence[Input] = ()
    ) -> dict[str, np.ndarray]:
        """One frame by the names of its inputs. inputs: of the network that takes it; by default all float32."""
        takers = {one.name: one for one in inputs}
        return {
            name: part.sample(index, _for(takers.get(name), preprocessing), takers.get(name))
            for name, part in self.parts.items()
        }

    def rows(
        self,
        preprocessing: Preprocessing | None,
        batch_size: int,
        inputs: Sequence[Input] = (),
        began: Callable[[], object] | None = None,
    ) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        """The numbers of the frames in a batch, and mappings {input: (n, *sample shape)}. As `batches`."""
        shapes: dict[str, list[tuple[int, ...]]] = {name: [] for name in self.parts}

        def take(row: int) -> dict[str, np.ndarray]:
            frame = self.sample(row, preprocessing, inputs)
            return {name: alike(frame[name], shapes[name], part.names[row]) for name, part in self.parts.items()}

        for rows, frames in read_rows(self, take, batch_size, began):
            yield rows, {name: np.stack([frame[name] for frame in frames]) for name in self.parts}

    def batches(
        self,
        preprocessing: Preprocessing | None,
        batch_size: int,
        inputs: Sequence[Input] = (),
        began: Callable[[], object] | None = None,
    ) -> Iterator[Any]:
        """Mappings {input: (n, *sample shape)}, in a pair with their labels where there are any.

        inputs, began and what is raised: as of `Source.batches`.
        """
        for rows, batch in self.rows(preprocessing, batch_size, inputs, began):
            yield batch if self.labels is None else (batch, self.labels[rows])

    def first(self) -> int:
        """The row that shows what the frames are, as of `Source.first`."""
        return first_readable(self, lambda row: [part.read(row) for part in self.parts.values()])

    def __getitem__(self, rows: slice) -> JointSource:
        return replace(
            self,
            parts={name: part[rows] for name, part in self.parts.items()},
            names=self.names[rows],
            labels=None if self.labels is None else self.labels[rows],
            starts=starts_in(self.starts, range(len(self))[rows]),
            drives=None if self.drives is None else self.drives[rows],
        )


def _for(taker: Input | None, preprocessing: Preprocessing | None) -> Preprocessing | None:
    """How pictures of one input are read. Integers such as masks are taken as they are stored.

    So are the values of pixels where the preprocessing is one for floats.
    """
    if taker is None or np.dtype(taker.dtype).kind == "f" or preprocessing is None:
        return preprocessing
    counts = preprocessing.scale == 1 and not (preprocessing.mean or preprocessing.std)
    return preprocessing if counts and takes_pixels(taker) else None


def takes_pixels(taker: Input) -> bool:
    """Whether an input takes colours of 8 bits: uint8, three channels first or last."""
    return taker.dtype == "uint8" and len(taker.shape) == 3 and 3 in (taker.shape[0], taker.shape[-1])


def open_frames(data: str, rows: slice = slice(None), inputs: Sequence[str] = ()) -> Source | JointSource:
    """The frames that `data` names, or those of them in `rows`.

    inputs: names of what the network takes, where they are known. Several come from `open_joint`, one from
    `open_source`. Raises what these raise.
    """
    if len(inputs) < 2:
        return open_source(data, rows, inputs)
    source = open_joint(Path(data), inputs)
    part = source[rows]
    refuse_none(data, rows, len(part), len(source))
    return part


def open_joint(path: Path, inputs: Sequence[str]) -> JointSource:
    """The frames of several inputs in a file or folder.

    A .npz file holds an array for each input by its name and, where there are any, the labels as ``labels``. A folder
    holds such files, a drive each; or a folder for each input by its name, of pictures and .npy files with one sample
    each. Files of one frame have the same path there without the suffix; class folders inside give labels, and so does
    a folder ``labels`` of .npy files beside the others. What has no counterpart is left out with an OutriderWarning
    that names it. Raises FileNotFoundError or ValueError that say what was expected.
    """
    wanted = " and ".join(inputs)
    if not path.exists():
        raise FileNotFoundError(f"{path}: expected a .npz file or a folder with samples of {wanted}, got no such file")
    if path.suffix == ".npz" and path.is_file():
        return _archive(path, inputs)
    if path.is_dir():
        found = walk(path, (".npz",), deep=False)
        if any((path / name).is_dir() for name in inputs) or not found.files:
            return _side_by_side(path, inputs, found)
        source = _behind_each_other([_archive(one, inputs) for one in found.files])
        return replace(source, skipped=found.skipped)
    raise ValueError(
        f"{path}: expected a .npz file with arrays named {wanted}, a folder of such files, or a folder that holds a"
        " folder of this name for each"
    )


def _archive(path: Path, inputs: Sequence[str]) -> JointSource:
    with readable(path), path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        arrays = {} if isinstance(content, np.ndarray) else {name: content[name] for name in content}
    if missing := [name for name in inputs if name not in arrays]:
        raise ValueError(
            f"{path}: expected arrays named {' and '.join(inputs)}, got {', '.join(arrays) or 'none'};"
            f" missing: {', '.join(missing)}"
        )
    key = next((name for name in _LABELS if name in arrays and name not in inputs), None)
    if strange := [name for name in arrays if name not in (*inputs, key, DRIVES)]:
        _warn(f"{path}: left out {len(strange)} arrays that are no inputs: {_named(strange)}")
    counts = {name: len(arrays[name]) if arrays[name].ndim else 0 for name in inputs}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{count} of {name}" for name, count in counts.items())
        raise ValueError(f"{path}: expected as many frames of every input, got {listed}")
    labels = None if key is None else arrays[key]
    parts = {
        name: array_source(path, arrays[name], None if at else labels, numbers=True) for at, name in enumerate(inputs)
    }
    first = parts[inputs[0]]
    drives = None if DRIVES in inputs else checked_drives(path, arrays.get(DRIVES), len(first))
    bare = {name: replace(part, labels=None) for name, part in parts.items()}
    return JointSource(bare, first.names, first.labels, drives=drives)


def _behind_each_other(drives: Sequence[JointSource]) -> JointSource:
    parts = {name: chained([drive.parts[name] for drive in drives]) for name in drives[0].parts}
    if len({drive.labels is None for drive in drives}) > 1:
        raise ValueError(f"{drives[0].names[0]}: expected labels in every file or in none, got them in some")
    labels = [drive.labels for drive in drives if drive.labels is not None]
    first = next(iter(parts.values()))
    return JointSource(parts, first.names, np.concatenate(labels) if labels else None, starts=first.starts)


def _side_by_side(folder: Path, inputs: Sequence[str], around: Walk) -> JointSource:
    """around: what lies right in the folder."""
    if missing := [name for name in inputs if not (folder / name).is_dir()]:
        there = sorted(path.name for path in folder.iterdir() if path.is_dir())
        raise ValueError(
            f"{folder}: expected a folder for each of {' and '.join(inputs)}, or .npz files, got"
            f" {', '.join(there) or 'no folder'}; missing: {', '.join(missing)}"
        )
    walks = {name: walk(folder / name, _SUFFIXES) for name in inputs}
    label_folder = next(
        (folder / name for name in _LABELS[:2] if (folder / name).is_dir() and name not in inputs), None
    )
    if label_folder is not None:
        walks[label_folder.name] = walk(label_folder, _SUFFIXES)
    files = {name: _stems(folder / name, found) for name, found in walks.items()}
    every = list(files.values())
    stems = sorted(set.intersection(*(set(found) for found in every)))
    alone = [str(path) for found in every for stem, path in sorted(found.items()) if stem not in set(stems)]
    if not stems:
        counts = ", ".join(f"{len(files[name])} of {name}" for name in inputs)
        raise ValueError(
            f"{folder}: expected files of the same name in each folder, such as {inputs[0]}/0001.png and"
            f" {inputs[1]}/0001.npy, got {counts} and none that match"
        )
    skipped = Counter(around.skipped) + Counter({".npz": len(around.files), "folder": -len(walks)})
    skipped.update({"file without a counterpart": len(alone)} if alone else {})
    for found in walks.values():
        skipped.update(found.skipped)
    followed = sum(found.followed for found in walks.values())
    if alone:
        _warn(f"{folder}: left out {len(alone)} files that have no counterpart in every folder: {_named(alone)}")
    parts = {name: _samples([files[name][stem] for stem in stems]) for name in inputs}
    names = [f"{folder}/{'/'.join(stem)}" for stem in stems]
    if label_folder is None:
        numbers, classes = class_labels(stems)
    else:
        numbers, classes = np.stack([load(files[label_folder.name][stem]) for stem in stems]), None
        if numbers.dtype.kind not in "iu" or numbers.ndim not in (1, 3):
            raise ValueError(
                f"{label_folder}: expected one integer in each file, or one for every place,"
                f" got {numbers.dtype} of shape {numbers.shape[1:]}"
            )
        numbers = numbers.astype(np.int64)
    return JointSource(parts, names, numbers, classes, skipped=dict(skipped), followed=followed)


def _stems(folder: Path, found: Walk) -> dict[tuple[str, ...], Path]:
    """The samples found below a folder by their path without the suffix. Raises ValueError for two of one path."""
    stems: dict[tuple[str, ...], Path] = {}
    for path in found.files:
        stem = path.relative_to(folder).with_suffix("").parts
        if stem in stems:
            raise ValueError(f"{path}: expected one file of this name in {folder}, got {stems[stem].name} too")
        stems[stem] = path
    return stems


def _samples(paths: Sequence[Path]) -> Source:
    """A sample a file: .npy files of numbers, or pictures."""
    arrays = {path.suffix.lower() == ".npy" for path in paths}
    if len(arrays) > 1:
        raise ValueError(f"{paths[0].parent}: expected .npy files or pictures alone, got both")
    names = [str(path) for path in paths]
    if arrays == {False}:
        return Source(lambda index: read_picture(paths[index]), names)
    first = array_source(paths[0], load(paths[0])[None], None, numbers=True)
    if not first.ready:
        return Source(lambda index: array_source(paths[index], load(paths[index])[None], None).read(0), names)
    return Source(
        lambda index: np.asarray(load(paths[index]), np.float32), names, ready=True,
        raw=lambda index: load(paths[index]),
    )  # fmt: skip


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _warn(message: str) -> None:
    warnings.warn(message, OutriderWarning, stacklevel=4)
