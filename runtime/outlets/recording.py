"""A Rerun recording of a watch: pictures, scores and status on one timeline."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import Status
from ...networks.packages import require

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..loop.watch import WatchedFrame

_QUALITY = 80


class Recording:
    """A view that writes `path`, an .rrd file for Rerun's viewer, as the frames come.

    Timelines: `frame`, its number, and `seconds`, from the first frame on by the clock of the source. Entities:
    `camera`, the picture as JPEG; `monitor/score` and `monitor/threshold`, where they are numbers; `monitor/status`, 0
    to 4 as in `Status`; `monitor/events`, a text for every change of status and for a calibration that no longer
    holds.
    Raises ImportError naming the extra `rerun`, FileNotFoundError where the folder is not there.
    """

    def __init__(self, path: Path, title: str) -> None:
        self._rerun = require("rerun", "recordings for Rerun need one more package", "rerun")
        if not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path}: expected a folder to write to, got no such folder")
        from PIL import Image

        self._image = Image
        self._stream = self._rerun.RecordingStream("outrider")
        self._stream.save(path, default_blueprint=self._blueprint())
        self._stream.send_recording_name(title)
        self._status = Status.OK

    def seen(self, seen: WatchedFrame) -> None:
        rerun, stream, verdict = self._rerun, self._stream, seen.verdict
        stream.set_time("frame", sequence=seen.number)
        stream.set_time("seconds", duration=seen.seconds)
        if seen.frame.picture is not None:
            picture = rerun.EncodedImage(contents=self._jpeg(seen.frame.picture), media_type="image/jpeg")
            stream.log("camera", picture)
        for name in ("score", "threshold"):
            value = getattr(verdict, name)
            if np.isfinite(value):
                stream.log(f"monitor/{name}", rerun.Scalars(value))
        stream.log("monitor/status", rerun.Scalars(int(verdict.status)))
        if verdict.status != self._status:
            self._tell(verdict.status, verdict.reason)
        if seen.drift:
            stream.log("monitor/events", rerun.TextLog(seen.drift, level=rerun.TextLogLevel.ERROR))

    def idle(self, status: Status) -> None:
        if status != self._status:
            self._stream.log("monitor/status", self._rerun.Scalars(int(status)))
            self._tell(status, "no frame")

    def _tell(self, status: Status, words: str) -> None:
        levels = self._rerun.TextLogLevel
        level = {Status.OK: levels.INFO, Status.WARN: levels.WARN, Status.ALARM: levels.ERROR}
        text = f"{self._status.name} -> {status.name}  {words}".rstrip()
        self._stream.log("monitor/events", self._rerun.TextLog(text, level=level.get(status, levels.CRITICAL)))
        self._status = status

    def _jpeg(self, picture: np.ndarray) -> bytes:
        pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
        file = io.BytesIO()
        self._image.fromarray(np.ascontiguousarray(pixels)).save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()

    def _blueprint(self) -> Any:
        from rerun import blueprint

        return blueprint.Blueprint(
            blueprint.Vertical(
                blueprint.Spatial2DView(origin="camera", name="camera"),
                blueprint.TimeSeriesView(contents=["monitor/score", "monitor/threshold"], name="score and threshold"),
                blueprint.TimeSeriesView(contents=["monitor/status"], name="status"),
                blueprint.TextLogView(origin="monitor/events", name="events"),
                row_shares=[4, 2, 1, 1],
            )
        )

    def close(self) -> None:
        """Write what is left and end the file."""
        self._stream.flush()
        self._stream.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
