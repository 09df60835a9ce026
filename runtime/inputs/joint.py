"""Samples of networks with several inputs: archives of arrays by name, and folders side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...monitor import OutriderWarning
from ...networks import Preprocessing
from ...networks.inputs import Input
from ...networks.pictures.reading import IMAGE_SUFFIXES, read_picture
from .samples import (
    LABELS,
    Source,
    array_source,
    chained,
    class_labels,
    load,
    open_source,
    readable,
    refuse_none,
    spans,
    starts_in,
)

_NAMED = 3
_LABELS = ("labels", "label", *LABELS)
_SUFFIXES = (".npy", *IMAGE_SUFFIXES)


@dataclass(frozen=True)
class JointSource:
    """Frames of several inputs, in order: row by row, one sample of each input.

    parts: by the name of the input. names, labels, classes, starts: as of a `Source`.
    """

    parts: Mapping[str, Source]
    names: Sequence[str]
    labels: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    starts: tuple[int, ...] = ()

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

    def sample(
        self, index: int, preprocessing: Preprocessing | None, inputs: Sequence[Input] = ()
    ) -> dict[str, np.ndarray]:
        """One frame by the names of its inputs. inputs: of the network that takes it; by default all float32."""
        takers = {one.name: one for one in inputs}
        return {
            name: part.sample(index, _for(takers.get(name), preprocessing), takers.get(name))
            for name, part in self.parts.items()
        }

    def batches(
        self,
        preprocessing: Preprocessing | None,
        batch_size: int,
        inputs: Sequence[Input] = (),
        began: Callable[[], object] | None = None,
    ) -> Iterator[Any]:
        """Mappings {input: (n, *sample shape)}, in a pair with their labels where there are any.

        inputs, began: as of `Source.batches`. Raises ValueError naming the sample whose shape differs from the first.
        """
        takers = {one.name: one for one in inputs}
        shapes: dict[str, list[tuple[int, ...]]] = {name: [] for name in self.parts}
        for rows in spans(len(self), self.starts, batch_size, began):
            batch = {
                name: part.stacked(rows, _for(takers.get(name), preprocessing), takers.get(name), shapes[name])
                for name, part in self.parts.items()
            }
            yield batch if self.labels is None else (batch, self.labels[rows.start : rows.stop])

    def __getitem__(self, rows: slice) -> JointSource:
        return replace(
            self,
            parts={name: part[rows] for name, part in self.parts.items()},
            names=self.names[rows],
            labels=None if self.labels is None else self.labels[rows],
            starts=starts_in(self.starts, range(len(self))[rows]),
        )


def _for(taker: Input | None, preprocessing: Preprocessing | None) -> Preprocessing | None:
    """How pictures of one input are read: those for integers, such as masks, as they are stored."""
    return None if taker is not None and np.dtype(taker.dtype).kind != "f" else preprocessing


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
        archives = sorted(path.glob("*.npz"))
        if any((path / name).is_dir() for name in inputs) or not archives:
            return _side_by_side(path, inputs)
        return _behind_each_other([_archive(one, inputs) for one in archives])
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
    if strange := [name for name in arrays if name not in (*inputs, key)]:
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
    return JointSource({n: replace(part, labels=None) for n, part in parts.items()}, first.names, first.labels)


def _behind_each_other(drives: Sequence[JointSource]) -> JointSource:
    parts = {name: chained([drive.parts[name] for drive in drives]) for name in drives[0].parts}
    if len({drive.labels is None for drive in drives}) > 1:
        raise ValueError(f"{drives[0].names[0]}: expected labels in every file or in none, got them in some")
    labels = [drive.labels for drive in drives if drive.labels is not None]
    first = next(iter(parts.values()))
    return JointSource(parts, first.names, np.concatenate(labels) if labels else None, starts=first.starts)


def _side_by_side(folder: Path, inputs: Sequence[str]) -> JointSource:
    if missing := [name for name in inputs if not (folder / name).is_dir()]:
        there = sorted(path.name for path in folder.iterdir() if path.is_dir())
        raise ValueError(
            f"{folder}: expected a folder for each of {' and '.join(inputs)}, or .npz files, got"
            f" {', '.join(there) or 'no folder'}; missing: {', '.join(missing)}"
        )
    files = {name: _stems(folder / name) for name in inputs}
    label_folder = next(
        (folder / name for name in _LABELS[:2] if (folder / name).is_dir() and name not in inputs), None
    )
    labelled = {} if label_folder is None else _stems(label_folder)
    every = [*files.values(), *([labelled] if label_folder is not None else [])]
    stems = sorted(set.intersection(*(set(found) for found in every)))
    alone = [str(path) for found in every for stem, path in sorted(found.items()) if stem not in set(stems)]
    if not stems:
        counts = ", ".join(f"{len(found)} of {name}" for name, found in files.items())
        raise ValueError(
            f"{folder}: expected files of the same name in each folder, such as {inputs[0]}/0001.png and"
            f" {inputs[1]}/0001.npy, got {counts} and none that match"
        )
    if alone:
        _warn(f"{folder}: left out {len(alone)} files that have no counterpart in every folder: {_named(alone)}")
    parts = {name: _samples([files[name][stem] for stem in stems]) for name in inputs}
    if label_folder is not None:
        labels = np.stack([load(labelled[stem]) for stem in stems])
        if labels.dtype.kind not in "iu" or labels.ndim not in (1, 3):
            raise ValueError(
                f"{label_folder}: expected one integer in each file, or one for every place,"
                f" got {labels.dtype} of shape {labels.shape[1:]}"
            )
        return JointSource(parts, [f"{folder}/{'/'.join(stem)}" for stem in stems], labels.astype(np.int64))
    found, classes = class_labels(stems)
    return JointSource(parts, [f"{folder}/{'/'.join(stem)}" for stem in stems], found, classes)


def _stems(folder: Path) -> dict[tuple[str, ...], Path]:
    """The samples below a folder by their path without the suffix. Raises ValueError for two of one path."""
    found: dict[tuple[str, ...], Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        stem = path.relative_to(folder).with_suffix("").parts
        if stem in found:
            raise ValueError(f"{path}: expected one file of this name in {folder}, got {found[stem].name} too")
        found[stem] = path
    return found


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
