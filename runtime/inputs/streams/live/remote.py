"""A stream over a network as FFmpeg reads it, through PyAV."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import closing
from typing import Any

import numpy as np

from .....networks.packages import require
from ....printable import without_credentials
from ..decoding import decoded_frames, strict, to_picture
from .base import Live, Taken

SCHEMES = "rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "rtp", "srt", "tcp"
"""How the URL of a stream may begin."""

_OPENING_SECONDS, _READ_SECONDS = 10.0, 5.0
_BROKEN = 300
"""Broken pictures in a row after which a connection is made anew. Some cameras send a key frame every ten seconds."""
_OPTIONS = {"fflags": "nobuffer", "flags": "low_delay"}


class Remote(Live):
    """The pictures of a live stream: RTSP (over TCP), RTMP, HTTP(S) with MJPEG, MPEG-TS or HLS, UDP, RTP, SRT, TCP.

    A connection that breaks, or over which nothing comes for five seconds, is made again until it is there again. A
    picture that cannot be decoded is a frame with a problem. Whatever secret the URL holds is left out of every message
    and name. patience: see `Live`.
    Raises ValueError for a stream that cannot be opened, that is a recording and not live, or that holds no pictures,
    ImportError naming the extra `watch` without PyAV.
    """

    def __init__(self, url: str, patience: float = 10.0) -> None:
        self._av = require("av", "streams need more packages")
        self._url = url
        self._scheme = url.partition(":")[0].lower()
        super().__init__(without_credentials(url), patience, _OPENING_SECONDS)
        self._begin()

    def _items(self) -> Generator[Taken, None, None]:
        with closing(self._open()) as container:
            if not container.streams.video:
                raise ValueError("a stream without pictures")
            if container.duration:
                seconds = container.duration / self._av.time_base
                raise ValueError(f"a recording of {seconds:.1f} s and no live stream; download it and watch the file")
            stream = strict(container.streams.video[0])
            broken, joined = 0, False
            try:
                for decoded, problem in decoded_frames(self._av, container, stream):
                    broken, joined = (broken + 1, joined) if problem else (0, True)
                    if joined:  # before its first key frame a stream cannot be decoded
                        yield Taken(decoded, problem)
                    if broken == _BROKEN:
                        raise ValueError(f"{broken} broken pictures in a row")
            except self._av.error.ExitError:
                raise TimeoutError(f"nothing for {_READ_SECONDS:g} s") from None

    def _picture(self, what: Any) -> np.ndarray:
        return to_picture(what)

    def _open(self) -> Any:
        options = _OPTIONS | ({"rtsp_transport": "tcp"} if self._scheme.startswith("rtsp") else {})
        try:
            return self._av.open(self._url, options=options, timeout=(_OPENING_SECONDS, _READ_SECONDS))
        except self._av.error.ProtocolNotFoundError:
            raise ValueError(
                f"an FFmpeg inside PyAV that does not know {self._scheme}://;"
                " use a PyAV built with it, or a GStreamer pipeline"
            ) from None
        except self._av.error.ExitError:
            raise TimeoutError(f"no answer for {_OPENING_SECONDS:g} s") from None
        except self._av.error.InvalidDataError:
            raise ValueError("what is no video") from None


def is_url(source: str) -> bool:
    """Whether a text is a URL. Raises ValueError for one of a scheme that is not read."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", source)
    if found is None:
        return False
    if found[1].lower() not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ValueError(f"{without_credentials(source)}: expected a stream at {known}, got {found[1]}://")
    return True
