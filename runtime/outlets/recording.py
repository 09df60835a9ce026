"""A Rerun recording of a watch: pictures, scores and status on one timeline."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import Status
from ...networks import Preprocessing
from ...networks.packages import require
from ..pages.maps import overlaid, seen_by_network
from ..pages.pictures import viewable
from .words import reason_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..loop.watch import WatchedFrame

_QUALITY = 80


class Recording:
    """A view that writes `path`, an .rrd file for Rerun's viewer, as the frames come. streams: names of several.
    preprocessing: of the network. places: whether its monitor judges places.

    Timelines: `frame`, its number, and `seconds`, from the first frame on by the clock of the source. Entities:
    `camera`, the picture as JPEG; `monitor/score` and `monitor/threshold`, where they are numbers; `monitor/status`, 0
    to 4 as in `Status`; `monitor/places`, of a monitor that judges places what the network saw with the map and its
    regions over it; `monitor/events`, a text for every change of status and for a calibration that no longer
    holds. Entities of a stream that has a name stand below it, such as `left/camera`.
    Raises ImportError naming the extra `rerun`, FileNotFoundError where the folder is not there.
    """

    def __init__(
        self, path: Path, title: str, streams: Sequence[str] = (), *, preprocessing: Preprocessing | None = None,
        places: bool = False,
    ) -> None:  # fmt: skip
        self._rerun = require("rerun", "recordings for Rerun need one more package", "rerun")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path}: expected a folder to write to, got no such folder")
        from PIL import Image

        self._image, self._preprocessing, self._places = Image, preprocessing, places
        self._stream = self._rerun.RecordingStream("outrider")
        self._stream.save(path, default_blueprint=self._blueprint([f"{_entity(name)}/" for name in streams] or [""]))
        self._stream.send_recording_name(title)
        self._statuses: dict[str, Status] = {}

    def seen(self, seen: WatchedFrame) -> None:
        rerun, stream, verdict = self._rerun, self._stream, seen.verdict
        at = f"{_entity(seen.stream)}/" if seen.stream else ""
        stream.set_time("frame", sequence=seen.number)
        stream.set_time("seconds", duration=seen.seconds)
        if seen.frame.picture is not None:
            picture = rerun.EncodedImage(contents=self._jpeg(seen.frame.picture), media_type="image/jpeg")
            stream.log(f"{at}camera", picture)
        if (drawn := self._drawn(seen)) is not None:
            stream.log(f"{at}monitor/places", rerun.EncodedImage(contents=drawn, media_type="image/jpeg"))
        for name in ("score", "threshold"):
            value = getattr(verdict, name)
            if np.isfinite(value):
                stream.log(f"{at}monitor/{name}", rerun.Scalars(value))
        stream.log(f"{at}monitor/status", rerun.Scalars(int(verdict.status)))
        self._tell(at, verdict.status, reason_of(verdict))
        if seen.drift:
            stream.log(f"{at}monitor/events", rerun.TextLog(seen.drift, level=rerun.TextLogLevel.ERROR))

    def idle(self, status: Status, stream: str = "") -> None:
        at = f"{_entity(stream)}/" if stream else ""
        if status != self._statuses.get(at, Status.OK):
            self._stream.log(f"{at}monitor/status", self._rerun.Scalars(int(status)))
            self._tell(at, status, "no frame")

    def _tell(self, at: str, status: Status, words: str) -> None:
        before = self._statuses.get(at, Status.OK)
        if status == before:
            return
        levels = self._rerun.TextLogLevel
        level = {Status.OK: levels.INFO, Status.WARN: levels.WARN, Status.ALARM: levels.ERROR}
        text = f"{before.name} -> {status.name}  {words}".rstrip()
        self._stream.log(f"{at}monitor/events", self._rerun.TextLog(text, level=level.get(status, levels.CRITICAL)))
        self._statuses[at] = status

    def _drawn(self, seen: WatchedFrame) -> bytes | None:
        """What the network saw with what its verdict says of places; None where either is missing."""
        places = seen.verdict.places
        if places is None or places.map is None or seen.sample is None:
            return None
        pixels = seen_by_network(seen.sample, self._preprocessing)
        return None if pixels is None else self._encoded(overlaid(pixels, places, seen.verdict.status))

    def _jpeg(self, picture: np.ndarray) -> bytes:
        pixels = viewable(picture.transpose(1, 2, 0))
        return self._encoded(pixels[..., 0] if len(picture) == 1 else pixels)

    def _encoded(self, pixels: np.ndarray) -> bytes:
        file = io.BytesIO()
        self._image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()

    def _blueprint(self, at: Sequence[str]) -> Any:
        """at: what the entities of each stream begin with."""
        from rerun import blueprint

        each = [
            blueprint.Vertical(
                blueprint.Spatial2DView(origin=f"{one}camera", name=f"{one}camera"),
                *([blueprint.Spatial2DView(origin=f"{one}monitor/places", name="places")] if self._places else []),
                blueprint.TimeSeriesView(
                    contents=[f"{one}monitor/score", f"{one}monitor/threshold"], name="score and threshold"
                ),
                blueprint.TimeSeriesView(contents=[f"{one}monitor/status"], name="status"),
                blueprint.TextLogView(origin=f"{one}monitor/events", name="events"),
                row_shares=[4, *([4] if self._places else []), 2, 1, 1],
            )
            for one in at
        ]
        return blueprint.Blueprint(blueprint.Horizontal(*each) if len(each) > 1 else each[0])

    def close(self) -> None:
        """Write what is left and end the file."""
        self._stream.flush()
        self._stream.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _entity(name: str) -> str:
    """A name of a stream as one part of the path of an entity."""
    return re.sub(r"[^\w.-]", "_", name)
