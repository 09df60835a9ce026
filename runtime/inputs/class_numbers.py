"""The numbers that the names of classes stand for: folders are numbered by their names, networks in their own order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from ..printable import told
from .joint import JointSource
from .sources import Source


def read_class_map(text: str) -> dict[str, int]:
    """{name: number} of ``stop=0,go=1``, or of a file with a JSON or YAML mapping, or a line ``stop=0`` for each.

    Raises ValueError for anything else.
    """
    path = Path(text)
    if "=" in text and not path.is_file():
        return _of_pairs(text.split(","), text)
    if not path.is_file():
        raise ValueError(f"expected a class map as NAME=NUMBER,... or a file, got {text!r}, which is no file")
    try:
        content = path.read_text(encoding="utf-8")
        found = yaml.compose(content, Loader=yaml.BaseLoader)  # as written: a mapping would keep one of two numbers
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected a class map, got {told(error)}") from None
    if isinstance(found, yaml.MappingNode):
        return _of_pairs([f"{name.value}={number.value}" for name, number in found.value], str(path))
    return _of_pairs([line for line in content.splitlines() if line.strip()], str(path))


def _of_pairs(pairs: Sequence[str], where: str) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for pair in pairs:
        name, _, number = pair.rpartition("=")
        name, number = name.strip(), number.strip()
        if not name or not number.isdecimal() or name in numbers:
            raise ValueError(f"{where}: expected NAME=NUMBER, each name once, got {pair.strip()!r:.80}")
        numbers[name] = int(number)
    if not numbers:
        raise ValueError(f"{where}: expected NAME=NUMBER, got nothing")
    return numbers


def ordered(names: Sequence[str]) -> dict[str, int]:
    """{name: number} of names in the order of the network's outputs. Raises ValueError for a name that comes twice."""
    numbers = {name: number for number, name in enumerate(names)}
    if len(numbers) < len(names):
        raise ValueError(f"expected each class once, got {', '.join(names)}")
    return numbers


def numbered(source: Source | JointSource, numbers: Mapping[str, int], classes: int | None) -> Source | JointSource:
    """The source with the labels that its names of classes stand for, and a name for each of the network's classes.

    Folders that bear numbers go by these as names. Raises ValueError where the source has no labels, a name has no
    number, or a number is none of a class.
    """
    if source.labels is None or source.labels.ndim != 1:
        raise ValueError("expected samples with a label each, from class folders, for a map of classes, got none")
    if classes is None or max(numbers.values()) >= classes:
        raise ValueError(
            f"expected numbers of {classes or 'no'} classes, as the network has, got {max(numbers.values())};"
            " they begin with 0"
        )
    names = source.classes or tuple(map(str, range(int(source.labels.max()) + 1)))
    used = np.unique(source.labels).tolist()
    missing = [names[label] for label in used if names[label] not in numbers]
    if missing:
        raise ValueError(
            f"expected a number for every class folder, got none for {', '.join(missing[:10])}; known are"
            f" {', '.join(list(numbers)[:10])}"
        )
    new = np.array([numbers.get(name, 0) for name in names], np.int64)
    of_number: dict[int, list[str]] = {}
    for name, number in numbers.items():
        of_number.setdefault(number, []).append(name)
    named = tuple("/".join(of_number.get(number, [])) for number in range(classes))
    return replace(source, labels=new[source.labels], classes=named)
