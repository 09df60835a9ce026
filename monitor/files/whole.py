"""Files as a whole: written whole or not at all, and the digest of their bytes."""

from __future__ import annotations

import hashlib
import os
import secrets
from functools import partial
from pathlib import Path

from ..errors import OutriderError, ProfileError


def write_whole(path: Path, data: bytes, error_type: type[OutriderError] = ProfileError, *, mode: int = 0o644) -> None:
    """Write one file, whole or not at all: to a temporary file beside it, flushed, then renamed.

    mode: its permissions, of which the umask takes away. Raises `error_type` when it cannot be written; a file that
    was there before is then still there.
    """
    if not path.name or path.is_dir():
        raise error_type(f"{path}: expected the name of a file to write, got a folder")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise error_type(
            f"{path}: expected to write {len(data)} bytes, got {error.strerror}; nothing that was there is lost"
        ) from error


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
