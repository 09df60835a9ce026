"""Maps over pictures, a PNG file for each frame that `outrider check --maps` judges."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ...monitor import Monitor, Verdict
from ...networks.packages import require
from ..pages.maps import overlaid, seen_by_network
from ..printable import counted

_LONGEST = 120


class MapFolder:
    """Writes `000012-name-alarm.png` for the 12th frame; files of that name are replaced.

    folder: made where it is not there, its parents not. Raises ValueError for a monitor that judges no places,
    ImportError without Pillow, FileNotFoundError without the parent, FileExistsError for a file in its place.
    """

    def __init__(self, folder: Path, monitor: Monitor) -> None:
        if not monitor.logic.of_places:
            raise ValueError(
                "expected a profile of places for --maps, got one whose logic is"
                f" {monitor.logic.name}; profile with --neurons pixel"
            )
        self._image = require("PIL.Image", "maps as pictures need Pillow", "pictures")
        self._preprocessing = monitor.network.preprocessing
        if not folder.absolute().parent.is_dir():
            raise FileNotFoundError(f"{folder}: expected a folder to write to, got no such folder as its parent")
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._seen = self._written = 0

    def add(self, name: str, verdict: Verdict, sample: Any) -> None:
        """Write a frame, unless it is no picture."""
        self._seen += 1
        pixels = seen_by_network(sample, self._preprocessing) if isinstance(sample, np.ndarray) else None
        if pixels is None or verdict.places is None:
            return
        plain = re.sub(r"[^\w.-]+", "_", name)[-_LONGEST:]
        path = self._folder / f"{self._seen:06d}-{plain}-{verdict.status.name.lower()}.png"
        self._image.fromarray(overlaid(pixels, verdict.places, verdict.status)).save(path)
        self._written += 1

    def __str__(self) -> str:
        left = self._seen - self._written
        without = f"; {counted(left, 'frame')} without a picture or a map" if left else ""
        return f"{counted(self._written, 'map')} in {self._folder}{without}"
