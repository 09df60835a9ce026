"""The threshold of a profile file, changed without its network."""

from __future__ import annotations

import os
from typing import Any

from ..describe import describe
from ..errors import NotReadyError
from ..files import read_contents, unpacked_profile, write_profile
from .calibrated import Calibrated


class StoredProfile(Calibrated):
    """A profile file, as far as its threshold goes: `threshold`, `set_threshold`, `recalibrate`.

    `calibrate` takes what workers `Gathered` of held-out frames. key: the file of a public key; the profile must be
    signed by its owner then. calibrated: whether it must have a threshold. Raises ProfileError, NotReadyError for one
    that was never calibrated, SignatureError, FileNotFoundError.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, key: str | os.PathLike[str] | None = None, calibrated: bool = True
    ) -> None:
        contents = read_contents(path, key=key)
        self._make_lock()
        self._learned, self.logic, self.calibration = unpacked_profile(contents, path)
        self.profile_sha256, self.profile_digest = contents.sha256, contents.digest
        if not self._learned.complete:
            raise NotReadyError(f"{path}: expected a finished profile, got one to resume; run profile again with it")
        if calibrated and self.calibration is None:
            raise NotReadyError(
                f"{path}: expected a calibrated profile, got one without a threshold; `outrider calibrate {path}"
                " HELD_OUT` sets the first"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write profile and calibration as one file. Raises ProfileError."""
        with self._lock:
            write_profile(path, self.learned, self.logic, self.calibration)

    def describe(self) -> dict[str, Any]:
        """What the profile holds, in JSON types; see `describe_profile`."""
        return describe(self.learned, self.logic, self.calibration)
