"""Which criteria go on which taps, in whatever form a user says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..coverage import Criterion, parse_criterion
from ..networks import DEFAULT_TAPS, Network, Tap
from ..networks.selectors import split_selector
from .defaults import default_criteria
from .profile import Column

OneOrSeveral = Criterion | str | Sequence[Criterion | str]
Criteria = OneOrSeveral | Mapping[str, OneOrSeveral]
"""A criterion, its name such as ``multi_range(sections=8)``, or several of them; or {tap selector: one or several}."""


def columns_of(network: Network, criteria: Criteria | None) -> tuple[tuple[Column, ...], tuple[Tap, ...]]:
    """The columns, criterion by criterion, and the taps that they use.

    criteria: None for `default_criteria`. Without selectors a criterion goes on all taps, softmax on the class scores.
    Raises ValueError for a selector that matches no tap and for a criterion that is none.
    """
    if criteria is None:
        criteria = default_criteria(network.taps, network.classes)
    pairs: dict[Criterion, list[int]] = {}
    if isinstance(criteria, Mapping):
        for selector, several in criteria.items():
            for criterion in _listed(several):
                pairs.setdefault(criterion, []).extend(network.taps.select(selector))
    else:
        for criterion in _listed(criteria):
            selector = "@output" if criterion.name == "softmax" else "*"
            pairs.setdefault(criterion, []).extend(network.taps.select(selector))
    if not pairs:
        raise ValueError("expected at least one criterion, got none")
    for index in (index for criterion, indices in pairs.items() if criterion.name == "softmax" for index in indices):
        if network.taps[index].kind != "output":
            raise ValueError(f"expected softmax on the class scores, '@output', got {network.taps[index].id!r}")
    used = sorted({index for indices in pairs.values() for index in indices})
    columns = tuple(
        Column(criterion, used.index(index), group)
        for group, (criterion, indices) in enumerate(pairs.items())
        for index in dict.fromkeys(indices)
    )
    return columns, tuple(network.taps[index] for index in used)


def _listed(several: OneOrSeveral) -> list[Criterion]:
    """Criteria as objects. Raises ValueError for a name that is none, TypeError for anything else."""
    found = []
    for one in several if isinstance(several, (list, tuple)) else [several]:
        criterion = parse_criterion(one) if isinstance(one, str) else one
        if not isinstance(criterion, Criterion):
            made = f"; write {one.__name__}()" if isinstance(one, type) else ""
            raise TypeError(f"expected a criterion or its name, got {one!r}{made}")
        found.append(criterion)
    return found


def taps_for(criteria: Criteria | None) -> tuple[str, ...]:
    """The selectors of the taps that criteria ask for, of a network that is yet to be opened; checks the criteria."""
    for several in criteria.values() if isinstance(criteria, Mapping) else () if criteria is None else (criteria,):
        _listed(several)
    if not isinstance(criteria, Mapping):
        return DEFAULT_TAPS
    words = (DEFAULT_TAPS if split_selector(key)[0] == "*" else (key,) for key in criteria)
    return tuple(dict.fromkeys(word for several in words for word in several))
