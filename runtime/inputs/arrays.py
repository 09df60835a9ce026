"""Arrays in files of NumPy, as pictures or as samples for the network."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from zipfile import BadZipFile

import numpy as np

from .sources import Source, channels_first

_DEEP = (np.uint16, np.int16, np.int32)
_SHAPES = "(n, height, width), (n, 1 or 3, height, width) or (n, height, width, 1 or 3)"


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


def array_source(path: Path, values: np.ndarray, labels: np.ndarray | None, *, numbers: bool = False) -> Source:
    """Floats are samples ready for the network; uint8, uint16, int16 and int32 in the shape of pictures are these.

    Such integers of more than 8 bits, and all others, are also samples for a network that takes integers. numbers:
    whether all numbers but bytes are for any network as they are, one per frame as well. Raises ValueError for labels
    that do not fit, for other dtypes, and for pictures whose channels may come first or last.
    """
    names = [f"{path}[{row}]" for row in range(len(values) if values.ndim else 0)]
    if labels is not None:
        labels = np.asarray(labels)
        if labels.shape[:1] != (len(names),) or labels.ndim not in (1, 3) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"{path}: expected {len(names)} integer labels, got {labels.dtype} of shape {labels.shape}"
            )
        labels = labels.astype(np.int64)
    kind, picture = values.dtype.kind, _are_pictures(path, values)
    if picture and values.dtype == np.uint8:
        return Source(lambda index: channels_first(values[index]), names, labels)
    if (kind == "f" and values.ndim >= 2) or (numbers and kind in "fiub" and values.ndim):
        return Source(
            lambda index: np.array(values[index], np.float32, order="C"), names, labels, ready=True,
            raw=lambda index: values[index],
        )  # fmt: skip
    if kind not in "iu" or values.ndim < 2:
        _refuse(path, values)
    return Source(
        lambda _index: _refuse(path, values), names, labels, ready=True, raw=lambda index: values[index], deep=picture
    )


def _are_pictures(path: Path, values: np.ndarray) -> bool:
    """Whether integers have the shape of pictures. Raises ValueError where it does not say which axis is which."""
    if values.dtype.newbyteorder("=") not in (np.uint8, *_DEEP):
        return False
    first, last = (values.shape[axis] in (1, 3) if values.ndim == 4 else False for axis in (1, -1))
    if first and last:
        raise ValueError(
            f"{path}: expected pictures {_SHAPES}, got shape {values.shape}, whose channels may be first or last; give"
            " gray ones as (n, height, width)"
        )
    return first or last or (values.ndim == 3 and values.shape[-1] not in (1, 3))


def _refuse(path: Path, values: np.ndarray) -> NoReturn:
    hint = ""
    if values.dtype.newbyteorder("=") in (np.uint8, *_DEEP):
        four = values.ndim == 4 and 4 in (values.shape[1], values.shape[3])
        alone = values.ndim == 3 and values.shape[-1] in (1, 3)
        hint = "; leave alpha out" * four + "; a single picture is array[None]" * alone
    raise ValueError(
        f"{path}: expected uint8, uint16, int16 or int32 pictures {_SHAPES}, or float samples (n, ...),"
        f" got {values.dtype} of shape {values.shape}{hint}"
    )
