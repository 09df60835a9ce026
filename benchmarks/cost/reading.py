"""What reading costs beside OpenCV: `python -m benchmarks.cost.reading` measures files of pictures and a video.

1,000 frames of each kind are read by Outrider's readers, which give planes, and by OpenCV's, with the colours turned to
RGB. Both run in one process, in turning order, ten frames at a time. The pictures are made here.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from outrider.networks import read_picture
from outrider.networks.cost import paired, ratio
from outrider.runtime.inputs.streams import open_stream

from ..results import keep
from ..tables import show
from .tables import reading

HEIGHT, WIDTH = 480, 640
FRAMES, AT_ONCE, FILES = 1000, 10, 50
BAR = 1.1

Read = Iterator[np.ndarray]


def scene(count: int) -> Iterator[np.ndarray]:
    """Pictures (height, width, 3) in [0, 1]: smooth colours and texture that move past, and a sensor's noise."""
    import cv2

    rng = np.random.default_rng(0)
    width = WIDTH + 4 * count
    coarse, fine = (rng.random((HEIGHT // size, width // size, 3)) for size in (60, 6))
    whole = 0.7 * cv2.resize(coarse, (width, HEIGHT), interpolation=cv2.INTER_CUBIC) + 0.3 * cv2.resize(
        fine, (width, HEIGHT), interpolation=cv2.INTER_LINEAR
    )
    for row in range(count):
        picture = whole[:, 4 * row : 4 * row + WIDTH] + rng.normal(0, 0.01, (HEIGHT, WIDTH, 3))
        yield np.clip(picture, 0, 1)


def write_pictures(folder: Path, suffix: str, dtype: type, *, grey: bool) -> list[Path]:
    """`FILES` files of pictures."""
    import cv2

    folder.mkdir()
    paths = []
    for row, picture in enumerate(scene(FILES)):
        pixels = np.rint(picture * np.iinfo(dtype).max).astype(dtype)
        paths.append(folder / f"{row}{suffix}")
        options = [cv2.IMWRITE_JPEG_QUALITY, 90] if suffix == ".jpg" else []
        cv2.imwrite(str(paths[-1]), pixels[..., 0] if grey else pixels[..., ::-1], options)
    return paths


def write_video(path: Path) -> Path:
    """500 frames of H.264."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for picture in scene(FRAMES // 2):
            frame = av.VideoFrame.from_ndarray(np.rint(picture * 255).astype(np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def pictures_ours(paths: list[Path]) -> Read:
    for path in cycle(paths):
        yield read_picture(path).transpose(1, 2, 0)


def pictures_theirs(paths: list[Path], *, grey: bool) -> Read:
    import cv2

    for path in cycle(paths):
        pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        yield pixels[..., None] if grey else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def video_ours(path: Path) -> Read:
    while True:
        stream = open_stream(str(path))
        for frame in stream:
            if frame is None or frame.picture is None:
                raise ValueError(f"{path}: expected a whole video")
            yield frame.picture.transpose(1, 2, 0)
        stream.close()


def video_theirs(path: Path) -> Read:
    import cv2

    while True:
        capture = cv2.VideoCapture(str(path))
        while (found := capture.read())[0]:
            yield cv2.cvtColor(found[1], cv2.COLOR_BGR2RGB)
        capture.release()


def compare(kind: str, ours: Read, theirs: Read) -> dict[str, Any]:
    """One row: milliseconds a frame, the median of the paired ratios, and how far the pictures differ."""
    differ = max(int(np.abs(next(ours).astype(int) - next(theirs)).max()) for _ in range(AT_ONCE))

    def several(frames: Read) -> Callable[[], object]:
        return lambda: [next(frames) for _ in range(AT_ONCE)]

    times = paired({"ours": several(ours), "theirs": several(theirs)}, FRAMES // AT_ONCE, warm_up=2)
    medians = {name: float(np.median(seconds)) / AT_ONCE * 1e3 for name, seconds in times.items()}
    return {
        "kind": kind, "frames": FRAMES, "ours ms": medians["ours"], "opencv ms": medians["theirs"],
        "ratio": ratio(times, "ours", "theirs"), "largest difference": differ,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="write the raw figures for the report")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, suffix, dtype, grey in (
            ("JPEG", ".jpg", np.uint8, False),
            ("PNG, 8 bits, RGB", ".png", np.uint8, False),
            ("PNG, 16 bits, luminance", ".png", np.uint16, True),
            ("PNG, 16 bits, RGB", ".png", np.uint16, False),
        ):
            paths = write_pictures(folder / kind, suffix, dtype, grey=grey)
            rows.append(compare(kind, pictures_ours(paths), pictures_theirs(paths, grey=grey)))
        path = write_video(folder / "drive.mp4")
        rows.append(compare("H.264", video_ours(path), video_theirs(path)))
    figures = {"size": [HEIGHT, WIDTH], "bar": BAR, "rows": rows}
    show(reading(figures))
    if options.keep:
        keep("reading", figures)


if __name__ == "__main__":
    main()
