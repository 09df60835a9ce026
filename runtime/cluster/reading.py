"""Ray's readers for data that a text names: pictures, Parquet and WebDataset, here or in an object store."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from ...networks.pictures.reading import IMAGE_SUFFIXES
from .engine import ray_data

if TYPE_CHECKING:
    from ray.data import Dataset

_COLUMNS = {
    "parquet": ("image", "frame", "data"),
    "tar": tuple(suffix[1:] for suffix in IMAGE_SUFFIXES),
}  # fmt: skip


class ReadData(NamedTuple):
    """A dataset, not read yet. column: of its frames."""

    dataset: Dataset
    column: str


def read(data: str, column: str | None = None) -> ReadData:
    """The dataset of a Parquet file or folder (``.parquet``), of WebDataset shards (``.tar``), or a folder of pictures.

    data: a path, or an address as Ray's readers take it. column: of the frames; by default the bytes of the pictures,
    and otherwise the first that bears a usual name. Files are read in the order of their paths. Pictures come as the
    bytes of their files, which workers decode as `outrider profile` does. Raises ImportError without Ray, ValueError
    where no column is found.
    """
    ray = ray_data()
    ending = PurePosixPath(data.rstrip("/")).suffix.lower()
    if ending == ".parquet":
        found = ray.read_parquet(data)
        return ReadData(found, column or _column(found, data, _COLUMNS["parquet"]))
    if ending == ".tar":
        found = ray.read_webdataset(data, decoder=None)
        return ReadData(found, column or _column(found, data, _COLUMNS["tar"]))
    suffixes = [suffix[1:] for suffix in IMAGE_SUFFIXES]
    return ReadData(ray.read_binary_files(data, include_paths=True, file_extensions=suffixes), column or "bytes")


def _column(dataset: Dataset, data: str, usual: tuple[str, ...]) -> str:
    names = dataset.schema().names
    found = next((name for name in usual if name in names), None)
    if found is None:
        raise ValueError(f"{data}: expected a column of frames, such as {usual[0]!r}, got {', '.join(names)}; name it")
    return found
