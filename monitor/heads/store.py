"""Measured features on disk, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import io
import json
import os
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..attributes import strict
from ..errors import MismatchError, ProfileError
from ..files import write_whole

if TYPE_CHECKING:
    from .statistic import Head


@strict
class FeatureStore:
    """One .npz file of features, by the digest of their prompt: arrays only, never a pickle.

    path: read when first used, where it exists. every: seconds between two writes; each write is whole or not at all.
    The file is for its owner alone to read, because features tell of prompts. Raises ProfileError for a damaged file,
    MismatchError for one of another model, dtype, encoding, statistic or choice of heads.
    """

    def __init__(self, path: str | os.PathLike[str], every: float = 30.0) -> None:
        self.path = Path(path)
        self.every = every
        self._key: dict[str, Any] | None = None
        self._kept: dict[str, tuple[np.ndarray, int]] = {}
        self._dirty = False
        self._written = time.monotonic()

    def open(self, source: dict[str, str], heads: Sequence[Head]) -> None:
        """Say what the features are of, and read the file if that was not done."""
        key = {**source, "heads": [list(head) for head in heads]}
        if self._key is None and self.path.exists():
            self._key, self._kept = _read(self.path)
        if self._key is None:
            self._key = key
        for name, expected in key.items():
            if self._key.get(name) != expected:
                what = "of other heads" if name == "heads" else f"of {name} {self._key.get(name)}, not {expected}"
                raise MismatchError(f"{self.path}: expected features of this search, got some {what}; name a new file")
        if any(len(values) != len(heads) for values, _ in self._kept.values()):
            raise ProfileError(
                f"{self.path}: expected features of {len(heads)} heads, got some of others; delete it to begin anew"
            )

    def get(self, digest: str) -> tuple[np.ndarray, int] | None:
        """The values (heads, size) and the length of a prompt, or None."""
        return self._kept.get(digest)

    def put(self, digest: str, values: np.ndarray, length: int) -> None:
        """Keep the features of a prompt, and write the file if it is time."""
        self._kept[digest] = values, length
        self._dirty = True
        if time.monotonic() - self._written >= self.every:
            self.flush()

    def flush(self) -> None:
        """Write what is not written yet. Raises ProfileError where that cannot be done."""
        if not self._dirty:
            return
        buffer = io.BytesIO()
        digests = list(self._kept)
        np.savez(
            buffer,
            key=np.frombuffer(json.dumps(self._key, sort_keys=True).encode(), np.uint8),
            digests=np.frombuffer(bytes.fromhex("".join(digests)), np.uint8).reshape(-1, 32),
            values=np.stack([self._kept[digest][0] for digest in digests]),
            lengths=np.array([self._kept[digest][1] for digest in digests], np.int64),
        )
        write_whole(self.path, buffer.getvalue(), mode=0o600)
        self._dirty, self._written = False, time.monotonic()

    def __len__(self) -> int:
        return len(self._kept)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, tuple[np.ndarray, int]]]:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            key = json.loads(file["key"].tobytes())
            digests, values, lengths = file["digests"], file["values"], file["lengths"]
        if not isinstance(key, dict) or values.ndim != 3 or values.dtype.kind != "f":
            raise ValueError("its arrays are of another form")
        if digests.shape != (len(values), 32) or digests.dtype != np.uint8 or lengths.shape != values.shape[:1]:
            raise ValueError("its arrays are of another form")
        kept = {
            digest.tobytes().hex(): (value, int(length))
            for digest, value, length in zip(digests, values, lengths, strict=True)
        }
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ProfileError(
            f"{path}: expected stored features, got a file that is damaged or none: {error}; delete it to begin anew"
        ) from error
    return key, kept
