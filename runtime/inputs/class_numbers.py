"""The numbers that the names of classes stand for: folders are numbered by their names, networks in their own order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from ...networks import Network
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
            f" {', '.join(list(numbers)[:10])}; --no-labels takes folders for no classes"
        )
    new = np.array([numbers.get(name, 0) for name in names], np.int64)
    of_number: dict[int, list[str]] = {}
    for name, number in numbers.items():
        of_number.setdefault(number, []).append(name)
    named = tuple("/".join(of_number.get(number, [])) for number in range(classes))
    return replace(source, labels=new[source.labels], classes=named)


def numbered_as(
    source: Source | JointSource,
    network: Network,
    *,
    order: Sequence[str] = (),
    class_map: str | None = None,
    known: Sequence[str] = (),
) -> Source | JointSource:
    """The source with the numbers of its classes as told, or as a profile names them; else as they come.

    order: all names in the order of the network's outputs. class_map: as `read_class_map` takes it. known: the names
    that a profile has. Raises ValueError for both, and as `numbered` does.
    """
    if order and class_map:
        raise ValueError("expected --classes-order or --class-map, got both")
    if order:
        if network.classes is not None and len(order) != network.classes:
            raise ValueError(
                f"expected --classes-order with the names of {network.classes} classes, as the network has, got"
                f" {len(order)}"
            )
        return numbered(source, ordered(order), network.classes)
    if class_map:
        return numbered(source, read_class_map(class_map), network.classes)
    if source.labels is not None and source.classes and any(known):
        return numbered(source, {name: number for number, name in enumerate(known) if name}, network.classes)
    return source


def with_labels_for(network: Network, source: Source | JointSource) -> Source | JointSource:
    """The source, with labels that the network can be held against. Raises ValueError for any others."""
    if source.labels is None or network.map_classes is not None:
        return source
    if network.classes is None:
        raise ValueError(
            "expected samples without labels for a network without classes, got some with; --no-labels ignores them,"
            " --classes 2 tells two classes by one number, --scores-output names the scores among several outputs"
        )
    if source.labels.max() >= network.classes or (source.classes and len(source.classes) != network.classes):
        got = len(source.classes) if source.classes else int(source.labels.max()) + 1
        raise ValueError(
            f"expected labels of {network.classes} classes, as the network has, got {got}; class folders named"
            " 0, 1, 2… give the numbers themselves, --class-map and --classes-order give them to names, --no-labels"
            " ignores them"
        )
    return source
