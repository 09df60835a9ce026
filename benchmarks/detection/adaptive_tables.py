"""The tables of attacks that know the monitor, from their raw figures."""

from __future__ import annotations

from itertools import chain
from typing import Any

from ..tables import Part, Table, percent

_TITLES = {"cifar10": "CIFAR-10", "fashion-mnist": "Fashion-MNIST"}
_DEFAULT, _FEW = "default", "default, 10,000 profiled"


def adaptive(figures: dict[str, Any]) -> list[Part]:
    """A table of monitors for each data set, then one of networks that are harder to fool."""
    cells = figures["cells"]
    parts: list[Part] = []
    for data, title in _TITLES.items():
        ours = [cell for cell in cells if cell["data"] == data]
        of_monitors = [cell for cell in ours if not cell["robust"] and cell["monitor"] != _FEW]
        if of_monitors:
            parts.append(_monitors(title, of_monitors))
        of_networks = [cell for cell in ours if cell["monitor"] == _FEW]
        if of_networks:
            parts.append(_networks(title, of_networks))
    return [*parts, f"Processor time of all attacks: {sum(cell['seconds'] for cell in cells) / 60:.0f} minutes."]


def _monitors(title: str, cells: list[dict]) -> Table:
    epsilons = list(dict.fromkeys(cell["epsilon"] for cell in cells))
    by = {(cell["monitor"], cell["epsilon"]): cell for cell in cells}
    names = list(dict.fromkeys(cell["monitor"] for cell in cells))
    first = {name: next(cell for cell in cells if cell["monitor"] == name) for name in names}
    rows = []
    if _DEFAULT in names:
        known = [by.get((_DEFAULT, epsilon)) for epsilon in epsilons]
        none = [_pair(cell, "fooled_alone", "fooled") for cell in known]
        rows.append(["no monitor: fooled at all", "–", str(first[_DEFAULT]["attempts"]), *chain(*none)])
    for name in names:
        pairs = [_pair(by.get((name, epsilon)), "alone", "evaded") for epsilon in epsilons]
        rows.append([name, percent(first[name]["false_alarms"]), str(first[name]["attempts"]), *chain(*pairs)])
    header = [f"{epsilon}: {what}" for epsilon in epsilons for what in ("knows the network", "knows both")]
    return Table(
        f"{title}: fooled without an alarm, % of attempts", ["monitor", "false alarms", "attempts", *header], rows
    )


def _networks(title: str, cells: list[dict]) -> Table:
    epsilons = list(dict.fromkeys(cell["epsilon"] for cell in cells))
    rows = []
    for robust in (False, True):
        by = {cell["epsilon"]: cell for cell in cells if cell["robust"] is robust}
        if by:
            one = next(iter(by.values()))
            pairs = [_pair(by.get(epsilon), "fooled", "evaded") for epsilon in epsilons]
            name = "adversarially trained" if robust else "ordinary"
            rows.append(
                [name, percent(one["right"]), percent(one["false_alarms"]), str(one["attempts"]), *chain(*pairs)]
            )
    header = [f"{epsilon}: {what}" for epsilon in epsilons for what in ("fooled", "and silent")]
    return Table(
        f"{title}: networks that are harder to fool, with the default monitor, % of attempts",
        ["network", "right", "false alarms", "attempts", *header],
        rows,
    )


def _pair(cell: dict | None, *names: str) -> list[str]:
    return ["–" if cell is None else f"{cell[name] * 100:.1f}".removesuffix(".0") for name in names]
