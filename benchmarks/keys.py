"""What a figure rests on, as a short key: the code, without docstrings and lines of comments, and the data."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
LENGTH = 16


def digest(*parts: Any) -> str:
    """A key of texts, numbers and arrays, in their order."""
    found = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            found.update(f"{part.dtype} {part.shape} ".encode())
            found.update(np.ascontiguousarray(part).data)
        else:
            found.update(f"{part!r} ".encode())
    return found.hexdigest()[:LENGTH]


def sketch(values: np.ndarray) -> list[float]:
    """Four random projections of an array, rounded: arrays that differ by rounding alone have the same ones.

    Two releases of a library resize a picture to the last bit but one.
    """
    rng = np.random.default_rng(0)
    flat = values.reshape(len(values), -1)
    found = []
    for _ in range(4):
        rows, columns = rng.standard_normal(len(flat)), rng.standard_normal(flat.shape[1])
        parts = range(0, len(flat), 1000)
        total = sum(float(rows[i : i + 1000] @ (flat[i : i + 1000].astype(np.float64) @ columns)) for i in parts)
        found.append(round(total / max(flat.size, 1) ** 0.5, 3) + 0.0)
    return found


def code_key(*files: Path, without: Iterable[str] = ()) -> str:
    """A key of files of code and of all that they import from this repository, one from another.

    What a package's `__init__` hands on counts where a file of it is among them. Docstrings and lines of comments do
    not count. without: paths from the root of the repository that are left out.
    """
    left_out = {ROOT / path for path in without}
    seen: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop().resolve()
        if path not in seen and path not in left_out:
            seen.add(path)
            waiting += _imported(path)
    return digest(*((path.relative_to(ROOT).as_posix(), _code(path)) for path in sorted(seen)))


def files_under(*folders: str) -> list[Path]:
    """The modules in folders of the repository, those of their folders included."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _code(path: Path) -> str:
    """The lines of a file without docstrings, empty ones and those of comments: the same in every Python."""
    lines: list[str | None] = [*path.read_text(encoding="utf-8").splitlines()]
    for node in ast.walk(_tree(path)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            text = node.body[0]
            lines[text.lineno - 1 : text.end_lineno] = [None] * ((text.end_lineno or text.lineno) - text.lineno + 1)
    kept = [line.rstrip() for line in lines if line is not None and line.strip() and not line.lstrip().startswith("#")]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    return tuple(_files_of(path))


def _files_of(path: Path) -> Iterator[Path]:
    """The modules, none of them an `__init__`, that a file imports by a relative name."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for found in (base.with_suffix(".py"), *(base / f"{alias.name}.py" for alias in node.names)):
                if found.is_file():
                    yield found
