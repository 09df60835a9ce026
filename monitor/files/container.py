"""The container of every file of ours: safetensors, with facts as JSON in its metadata; never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..errors import ProfileError

FORMAT = 1
KEY = "outrider"
"""Where the metadata hold the facts."""
DIGEST = "sha256"
"""Where the metadata hold the digest of facts and arrays."""


def packed(facts: dict[str, Any], tensors: dict[str, np.ndarray], *, digest: bool = True) -> bytes:
    """The bytes of a file. digest: whether the metadata hold the digest of both. Raises ValueError for NaN in facts."""
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return save(arrays, {KEY: text} | ({DIGEST: content_digest(text, arrays)} if digest else {}))


def read_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The metadata of a file, and its arrays by name. Raises what safetensors raises."""
    with safe_open(path, framework="numpy") as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no dict)


def read_facts(path: str | os.PathLike) -> dict[str, Any]:
    """The metadata of a profile without its arrays, in JSON types. Raises ProfileError, FileNotFoundError."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a profile, got no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        if path.suffix == ".onnx":
            raise ProfileError(
                f"{path} is a model; expected a profile, as `outrider profile {path} DATA -o"
                f" {path.with_suffix('.outrider')}` writes"
            ) from None
        raise ProfileError(f"{path}: expected a profile, got a file that is truncated or none: {error}") from error
    if KEY not in metadata:
        raise ProfileError(f"{path}: expected a profile, got a safetensors file without {KEY!r} in its metadata")
    try:
        facts = json.loads(metadata[KEY])
    except (ValueError, RecursionError) as error:
        raise ProfileError(f"{path}: expected JSON metadata, got {error}") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        got = facts.get("format") if isinstance(facts, dict) else facts
        raise ProfileError(f"{path}: expected profile format {FORMAT}, got {got!r}; use the Outrider that wrote it")
    return facts


def content_digest(text: str, tensors: dict[str, np.ndarray]) -> str:
    """SHA-256 over the header's facts and every array: name, dtype, shape, bytes."""
    digest = hashlib.sha256(text.encode())
    for name, array in sorted(tensors.items()):
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
