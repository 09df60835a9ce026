"""`training.json`: what a run was told, whether it is finished, and what it gave."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

NAME = "training.json"
_LOOKED_AT = 16


class TrainingError(ValueError):
    """A run that cannot begin, go on, or that ended in a loss which is no number."""


def read_record(folder: Path) -> dict[str, Any] | None:
    """What `training.json` of a folder says; None where there is none. Raises TrainingError for a damaged one."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {"settings": found["settings"], **found}
    except (ValueError, KeyError, TypeError):
        raise TrainingError(f"{path}: expected what a training wrote, got something else; remove it") from None


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write `training.json`, whole or not at all."""
    temporary = folder / f".{NAME}"
    temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    temporary.replace(folder / NAME)


def require_same(folder: Path, settings: dict[str, Any], found: dict[str, Any]) -> None:
    """Raise TrainingError that names what differs between the settings asked for and those found in a folder."""
    differing = list(_differing(settings, found))
    if differing:
        raise TrainingError(
            f"{folder}: expected a folder of the same run, got one of other settings: {'; '.join(differing)}."
            " Name another folder, or remove this one"
        )


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any], prefix: str = "") -> Any:
    for name in dict.fromkeys((*wanted, *found)):
        new, old = wanted.get(name), found.get(name)
        if isinstance(new, Mapping) and isinstance(old, Mapping):
            yield from _differing(new, old, f"{prefix}{name}.")
        elif new != old:
            yield f"{prefix}{name} {_short(old)}, asked for {_short(new)}"


def _short(value: Any) -> str:
    text = json.dumps(value)
    return f"{text[:12]}…" if isinstance(value, str) and len(value) == 64 else text


def versions() -> dict[str, str]:
    """Of the packages that a result depends on."""
    found = {}
    for name in ("torch", "transformers", "peft", "trl", "accelerate"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def name_of(loss: Any) -> str:
    """A loss by the name of its function or class, with the plain arguments of a partial."""
    if isinstance(loss, functools.partial):
        plain = {name: value for name, value in loss.keywords.items() if isinstance(value, (bool, int, float, str))}
        return f"{name_of(loss.func)} {json.dumps(plain, sort_keys=True)}"
    return str(getattr(loss, "__qualname__", type(loss).__qualname__))


def examples_digest(examples: Any) -> str:
    """SHA-256 of sixteen examples spread over all: tensors and arrays by value, what has no plain value by its type."""
    digest = hashlib.sha256()
    for index in dict.fromkeys(np.linspace(0, len(examples) - 1, _LOOKED_AT).astype(int).tolist()):
        _feed(digest, examples[index])
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, Mapping):
        for name in value:
            digest.update(f"{name}:".encode())
            _feed(digest, value[name])
    elif isinstance(value, (list, tuple)):
        digest.update(f"{len(value)};".encode())
        for one in value:
            _feed(digest, one)
    elif hasattr(value, "detach") or isinstance(value, (np.ndarray, np.generic)):
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = (value.float() if str(value.dtype) == "torch.bfloat16" else value).numpy()
        array = np.ascontiguousarray(value)
        digest.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    elif value is None or isinstance(value, (bool, int, float, str, bytes)):
        digest.update(repr(value).encode())
    else:
        digest.update(type(value).__name__.encode())


def in_json(value: Any) -> Any:
    """A value as it is after JSON: tuples as lists, numbers that are none as None. Raises TypeError for what is not."""
    if isinstance(value, Mapping):
        return {str(name): in_json(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [in_json(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"expected facts to keep in JSON types, got {type(value).__name__}")
