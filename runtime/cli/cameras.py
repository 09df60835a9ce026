"""The cameras of a watch: one from the command line, or several from a YAML file."""

from __future__ import annotations

import argparse
import difflib
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..printable import without_credentials
from . import argument_types as types
from .config import OF_CAMERAS, read_settings

if TYPE_CHECKING:
    from ..inputs.streams import Stream

_SILENCE, PATIENCE = 1.0, 10
"""Seconds without a picture that are silence of a live source, and how many times that until it is given up."""


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What a cameras file says of one camera, and the command line of the only one, whose name is empty.

    source, topic, rate: as for `open_stream`. silence, deadline: in seconds, as for `Guard`.
    """

    name: str
    source: str
    topic: str | None = None
    rate: float | None = None
    silence: float | None = None
    deadline: float | None = None

    def silence_of(self, stream: Stream) -> float | None:
        """Seconds without a frame that are STALE: of what is live a second, unless another number was given."""
        return self.silence or (_SILENCE if stream.live else None)

    def open(self) -> Stream:
        """The stream. Raises what `open_stream` raises, with the name of the camera before its words."""
        from ..inputs.streams import open_stream

        patience = PATIENCE * (self.silence or _SILENCE)
        return open_stream(self.source, topic=self.topic, rate=self.rate, patience=patience)


_TYPES: dict[str, Callable[[str], Any]] = {
    "source": str,
    "topic": str,
    "rate": types.above_zero,
    "silence": types.above_zero,
    "deadline": types.above_zero,
}


def cameras_of(options: argparse.Namespace) -> dict[str, CameraSettings]:
    """The cameras to watch, by name, from the options of `outrider watch`; several set `options.profile` too.

    A setting that a camera does not have is that of the flags. Raises ValueError that names the file and the camera.
    """
    flags = {"rate": options.rate, "silence": options.silence, "deadline": options.deadline}
    path = options.settings_in(options)
    if path is None:
        return {"": CameraSettings("", options.source, options.topic, **flags)}
    if options.topic is not None:
        raise ValueError(
            f"expected topic= only for one source, got {path}; each camera there may have its own `topic:`"
        )
    profile, cameras = _read(path, flags)
    if options.source is None:
        if profile is None:
            raise ValueError(f"{path}: expected `profile:` in it, or PROFILE before it, got neither")
        options.profile = Path(profile)
    return cameras


def opened(cameras: Mapping[str, CameraSettings]) -> dict[str, Stream]:
    """The streams of all cameras, by name. Raises ValueError that names each one of several that cannot be opened."""
    if list(cameras) == [""]:
        return {"": cameras[""].open()}
    found: dict[str, Stream] = {}
    problems: dict[str, str] = {}

    def open_one(name: str) -> None:
        try:
            found[name] = cameras[name].open()
        except Exception as error:  # noqa: BLE001 (what is wrong with the others is told too)
            problems[name] = str(error) or type(error).__name__

    # Daemons: nobody who presses Ctrl-C waits for a camera that does not answer.
    threads = [threading.Thread(target=open_one, args=(name,), daemon=True) for name in cameras]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        for stream in found.values():
            with suppress(Exception):
                stream.close()
        raise ValueError("; ".join(f"camera {name}: {problems[name]}" for name in cameras if name in problems))
    return {name: found[name] for name in cameras}


def _read(path: Path, flags: Mapping[str, Any]) -> tuple[str | None, dict[str, CameraSettings]]:
    content = read_settings(path)
    profile, cameras = (content.get(name) for name in OF_CAMERAS)
    if profile is not None and not (isinstance(profile, str) and profile):
        raise ValueError(f"{path}: profile: expected the name of a file, got {profile!r}")
    if not isinstance(cameras, dict) or not cameras:
        raise ValueError(f"{path}: expected `cameras:` with lines of the form `name: source`, got {_shown(cameras)}")
    return profile, {name: _camera(path, name, one, flags) for name, one in cameras.items()}


def _camera(path: Path, name: Any, given: Any, flags: Mapping[str, Any]) -> CameraSettings:
    at = f"{path}: camera {name}"
    if not name:
        raise ValueError(f"{path}: expected a name for each camera, got an empty one")
    settings = {"source": given} if isinstance(given, str) else given
    if not isinstance(settings, dict) or not settings.get("source"):
        raise ValueError(f"{at}: expected a source, or settings with `source:`, got {_shown(given)}")
    values: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in _TYPES:
            near = difflib.get_close_matches(key, _TYPES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_TYPES)}"
            raise ValueError(f"{at}: unknown key {key!r}; {hint}")
        if not isinstance(value, str):
            raise ValueError(f"{at}: {key}: expected a value, got {_shown(value)}")
        try:
            values[key] = _TYPES[key](value)
        except argparse.ArgumentTypeError as error:
            raise ValueError(f"{at}: {key}: {error}") from None
    return CameraSettings(name, **({key: value for key, value in flags.items() if value is not None} | values))


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "") else without_credentials(f" {value!r}").strip()
