"""A folder of pictures as a stream, or a single picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ....networks.packages import require
from ....networks.pictures.reading import IMAGE_SUFFIXES, read_picture
from ..walking import Walk, left_out, walk
from .frame import Frame


class Folder:
    """The pictures below a folder, those of one folder by name, numbers in names by their value; or one by its file.

    rate: frames a second, which gives the frames their times. A picture that cannot be read is a frame with a problem.
    skipped, followed: what was left out and followed, as of a `Walk`. Raises ValueError where there is none,
    ImportError naming the extra `watch` without Pillow.
    """

    live, dropped, reconnects = False, 0, 0

    def __init__(self, folder: Path, rate: float) -> None:
        self._rate = rate
        found = walk(folder, IMAGE_SUFFIXES) if folder.is_dir() else Walk((folder,))
        self.skipped, self.followed = found.skipped, found.followed
        self._paths = sorted(
            found.files, key=lambda path: [natural_order(part) for part in path.relative_to(folder).parts]
        )
        if not self._paths:
            beyond = left_out(found.skipped, found.followed)
            raise ValueError(
                f"{folder}: expected pictures ({', '.join(IMAGE_SUFFIXES)}), a ROS 2 bag or .mcap files, got none"
                f"{'; ' * bool(beyond)}{beyond}"
            )
        require("PIL", "pictures need more packages")

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self._paths):
            time, name = index / self._rate, str(path)
            try:
                yield Frame(time, read_picture(path), name)
            except (ValueError, OSError) as error:
                yield Frame(time, None, name, problem=str(error))

    def close(self) -> None:
        self._paths = []


def natural_order(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """A key for sorting that puts frame_2 before frame_10."""
    parts = re.findall(r"(\d+)|(\D+)", name)
    return [(not digits, int(digits or 0), text.lower()) for digits, text in parts], name
