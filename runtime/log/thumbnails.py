"""Small pictures of alarmed frames: a bounded ring of files."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np

from ...monitor.places import Places
from ..pages.maps import overlaid
from ..pages.pictures import viewable

SIDE = 192
"""Pixels that the longer side of a picture has at most."""
_CHANNELS = (1, 3, 4)
_SMALL = 64


def shrink(frame: np.ndarray) -> np.ndarray:
    """A copy of every n-th pixel of a frame, (height, width, channels), its longer side at most `SIDE`.

    frame: (h, w), (c, h, w) or (h, w, c) with 1, 3 or 4 channels, each also behind an axis of length 1. Where the first
    axis and the last could both hold the channels, the first does. Of a clip (c, t, h, w), and of several pictures one
    behind the other, in as many axes as there are, the last is kept. Raises ValueError for other shapes.
    """
    image = _image(frame)
    if image is None:
        raise ValueError(f"expected a picture of 1, 3 or 4 channels, got shape {frame.shape}")
    step = -(-max(image.shape[:2]) // SIDE)
    return np.array(image[::step, ::step])


def shows(frame: np.ndarray) -> bool:
    """Whether a frame is a picture that `shrink` takes, with more than one row and column."""
    image = _image(frame)
    return image is not None and min(image.shape[:2]) > 1


def _image(frame: np.ndarray) -> np.ndarray | None:
    """(height, width, channels), None for what is no picture."""
    image = frame
    while image.ndim > 3 and image.size:
        image = image[:, -1] if image.ndim == 4 and image.shape[0] in (3, 4) else image[-1]
    if image.ndim == 2:
        image = image[:, :, None]
    elif image.ndim == 3 and image.shape[0] in _CHANNELS:
        image = image.transpose(1, 2, 0)
    return image if image.ndim == 3 and image.shape[2] in _CHANNELS and image.size else None


class Thumbnails:
    """The newest `keep` pictures in a folder: PNG or JPEG with Pillow, otherwise .npy.

    Names are `<run>-<frame>.<type>`, with `picture_run` for a run. Other files in the folder are left alone.
    """

    def __init__(self, folder: Path, keep: int) -> None:
        self.folder, self._keep = folder, keep
        self._ring = list_thumbnails(folder)
        for side in (1, _SMALL + 1):  # what encodes is loaded here, not in the loop
            with suppress(Exception):  # `save` says which picture cannot be encoded
                _encoded(np.zeros((side, side, 3), np.uint8))

    def save(self, run: str, frame: int, image: np.ndarray, places: Places | None = None) -> Path:
        """Write one picture, (h, w, c), once the oldest beyond `keep` are removed.

        places: what its verdict says of places, which is drawn over it. Raises OSError where none can be removed or the
        picture cannot be written, ValueError for what is no picture.
        """
        self.folder.mkdir(exist_ok=True)
        pixels = viewable(image)
        kind, content = _encoded(pixels if places is None or pixels.shape[2] > 3 else overlaid(pixels, places))
        path = self._make_room(f"{run}-{frame:010d}.{kind}")
        path.write_bytes(content)
        return path

    def _make_room(self, name: str) -> Path:
        """The path for a picture, after the oldest are removed; it counts even if the picture is not written."""
        path = self.folder / name
        ring = [other for other in self._ring if other != path]
        problem = None
        for oldest in tuple(ring):
            if len(ring) < self._keep:
                break
            try:
                oldest.unlink(missing_ok=True)
                ring.remove(oldest)
            except OSError as error:
                problem = error
        self._ring = ring
        if problem is not None and len(ring) >= self._keep:
            raise problem
        self._ring.append(path)
        return path


def _encoded(pixels: np.ndarray) -> tuple[str, memoryview]:
    """The suffix and the bytes of a file. Speed counts: other threads wait while Pillow encodes."""
    content = BytesIO()
    try:
        from PIL import Image
    except ImportError:
        np.save(content, pixels, allow_pickle=False)
        return "npy", content.getbuffer()
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if max(pixels.shape[:2]) <= _SMALL or pixels.shape[2] == 4:
        picture.save(content, "PNG", compress_level=1)
        return "png", content.getbuffer()
    picture.save(content, "JPEG", quality=85)
    return "jpg", content.getbuffer()


def list_thumbnails(folder: Path) -> list[Path]:
    """The pictures in a folder, oldest first; none where there is no folder."""
    if not folder.is_dir():
        return []
    name = re.compile(r"[0-9a-f]{32}(\.[0-9a-f]{16})?-\d{10,}\.(png|jpg|npy)")
    found = []
    for path in folder.iterdir():
        if name.fullmatch(path.name):
            with suppress(FileNotFoundError):  # a log that is written to has removed it
                found.append((path.stat().st_mtime_ns, path.name, path))
    return [path for *_, path in sorted(found)]


def picture_run(run: str, stream: str) -> str:
    """The run in the names of pictures of one of several streams: with a digest of its name behind it."""
    return f"{run}.{hashlib.sha256(stream.encode()).hexdigest()[:16]}" if stream else run


def folder_of(log: Path) -> Path:
    """Where the thumbnails of a log stand: ``events.jsonl`` -> ``events.frames/``."""
    return log.with_name(f"{log.stem}.frames")
