"""The container of every file of ours: safetensors, with facts as JSON in its metadata; never a pickle.

The metadata hold a digest of the whole file, whose own characters count as zeros. So no byte of a file can change and
stay unseen. It finds accidents; who may write a file is told by a signature, see `signing`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..errors import ProfileError, warn
from .signing import check_signature

FORMAT = 2
_WITHOUT_DIGEST = 1
"""The format of files that an older Outrider wrote."""
KEY = "outrider"
"""Where the metadata hold the facts."""
DIGEST = "digest"
"""Where the metadata hold the digest, 64 hexadecimal digits."""
_OLD_DIGEST = "sha256"
"""Where files of attention heads of the first format hold a digest of their facts and arrays."""
_BLANK = b"0" * 64
_ENTRY = re.compile(rb'"digest":"([0-9a-f]{64})"')
_LARGEST_HEADER = 100_000_000  # what safetensors reads

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Contents:
    """What a file holds. digest: what it says of itself, None in an older file."""

    facts: dict[str, Any]
    arrays: Arrays
    digest: str | None
    data: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of all bytes of the file."""
        return hashlib.sha256(self.data).hexdigest()


def packed(facts: dict[str, Any], arrays: Arrays) -> bytes:
    """The bytes of a file, its digest among them; the same for the same. Raises ValueError for NaN in facts."""
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    data = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {KEY: text})
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start]) | {"__metadata__": {DIGEST: _BLANK.decode(), KEY: text}}
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    return with_digest(b"".join((len(encoded).to_bytes(8, "little"), encoded, memoryview(data)[start:])))


def with_digest(data: bytes) -> bytes:
    """The bytes of a file with the digest that fits them in the place of the one they have."""
    ((start, end),) = (entry.span(1) for entry in _ENTRY.finditer(_header(data)))
    digest = _digest(data, 8 + start)
    return b"".join((data[: 8 + start], digest.encode(), memoryview(data)[8 + end :]))


def read_contents(
    path: str | os.PathLike[str], *, key: str | os.PathLike[str] | None = None, arrays: bool = True
) -> Contents:
    """What a file holds, once every byte of it is found to be what was written.

    key: the file of a public key; the file must be signed by its owner then. arrays: whether they are wanted too.
    Warns of a file without a digest. Raises ProfileError, SignatureError, FileNotFoundError.
    """
    contents = checked_contents(path, key=key, arrays=arrays)
    if contents.digest is None:
        warn(f"{path}: written by an older Outrider: what it holds cannot be checked; load and save it to add a digest")
    return contents


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The facts of a file in JSON types, once every byte of it is found to be what was written.

    Warns of a file without a digest. Raises ProfileError, FileNotFoundError.
    """
    return read_contents(path, arrays=False).facts


def checked_contents(
    path: str | os.PathLike[str], *, key: str | os.PathLike[str] | None = None, arrays: bool = True
) -> Contents:
    """`read_contents` without the warning, for a caller that reads the file once more."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a profile, got {'a folder' if path.is_dir() else 'no such file'}")
    try:
        with path.open("rb") as file:
            data = _whole(file, path.stat().st_size)
    except (ValueError, OSError) as error:
        if path.suffix == ".onnx":
            raise ProfileError(
                f"{path} is a model; expected a profile, as `outrider profile {path} DATA -o"
                f" {path.with_suffix('.outrider')}` writes"
            ) from None
        raise ProfileError(f"{path}: expected a profile, got a file that is truncated or none: {error}") from error
    if key is not None:
        check_signature(path, hashlib.sha256(data).hexdigest(), key)
    return unpacked(data, path, arrays=arrays)


def unpacked(data: bytes, name: str | os.PathLike[str], *, arrays: bool = True) -> Contents:
    """What the bytes of a file hold; see `read_contents`. name: of the file, for errors. Raises ProfileError."""
    try:
        header = _header(data)
    except ValueError as error:
        raise ProfileError(f"{name}: expected a profile, got a file that is truncated or none: {error}") from error
    digest = _checked_digest(data, header, name)
    try:
        metadata = json.loads(header).get("__metadata__", {})
        text = metadata.get(KEY)
        held = load(data) if arrays or digest is None else {}
    except (SafetensorError, ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise ProfileError(f"{name}: expected a profile, got a file that is truncated or none: {error}") from error
    if not isinstance(text, str):
        raise ProfileError(f"{name}: expected a profile, got a safetensors file without {KEY!r} in its metadata")
    facts = _facts(text, name)
    if facts["format"] == FORMAT:
        if digest is None or metadata.keys() != {KEY, DIGEST} or metadata[DIGEST] != digest:
            raise ProfileError(f"{name}: {_ALTERED}; it has lost its digest")
    elif digest is not None or not _older(metadata, text, held):
        raise ProfileError(f"{name}: {_ALTERED}; it is none that an older Outrider wrote")
    return Contents(facts, held, digest, data)


_ALTERED = "expected what was written, got a file that was altered"


def _checked_digest(data: bytes, header: bytes, name: str | os.PathLike[str]) -> str | None:
    """The digest that a file says and has, None where it says none. Raises ProfileError for another, or several."""
    entries = list(_ENTRY.finditer(header))
    if not entries:
        return None
    said = entries[0][1].decode()
    if len(entries) > 1 or said != _digest(data, 8 + entries[0].start(1)):
        raise ProfileError(
            f"{name}: {_ALTERED} or cut short: its SHA-256 does not fit; take the file anew from where it was written"
        )
    return said


def _digest(data: bytes, start: int) -> str:
    """SHA-256 of the bytes, of which the 64 from `start` count as zeros."""
    view = memoryview(data)
    digest = hashlib.sha256(view[:start])
    digest.update(_BLANK)
    digest.update(view[start + len(_BLANK) :])
    return digest.hexdigest()


def _whole(file: BinaryIO, size: int) -> bytes:
    """All of a file whose header fits its size; what is none of ours is not read into memory."""
    start = file.read(8)
    _header_length(start, size)
    return start + file.read()


def _header(data: bytes) -> bytes:
    return data[8 : 8 + _header_length(data[:8], len(data))]


def _header_length(start: bytes, size: int) -> int:
    length = int.from_bytes(start, "little")
    if len(start) < 8 or not 2 <= length <= min(size - 8, _LARGEST_HEADER):
        raise ValueError(f"expected the length of a header, got {start.hex() or 'nothing'} in {size} bytes")
    return length


def _facts(text: str, name: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"{name}: expected JSON metadata, got {error}") from error
    got = facts.get("format") if isinstance(facts, dict) else facts
    if type(got) is not int or got not in (FORMAT, _WITHOUT_DIGEST):
        raise ProfileError(f"{name}: expected profile format {FORMAT}, got {got!r}; use the Outrider that wrote it")
    return dict(facts)


def _older(metadata: dict[str, str], text: str, arrays: Arrays) -> bool:
    """Whether the metadata are those of the first format; the digest of its files of attention heads must fit."""
    if metadata.keys() == {KEY}:
        return True
    if metadata.keys() != {KEY, _OLD_DIGEST}:
        return False
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest() == metadata[_OLD_DIGEST]
