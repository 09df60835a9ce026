"""Which criteria go on which taps, in whatever form a user says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..coverage import Criterion, parse_criterion
from ..networks import DEFAULT_TAPS, Network, Tap
from ..networks.selectors import OUTPUT, split_selector
from .defaults import default_criteria
from .profile import Column, Profile

OneOrSeveral = Criterion | str | Sequence[Criterion | str]
Criteria = OneOrSeveral | Mapping[str, OneOrSeveral]
"""A criterion, its name such as ``multi_range(sections=8)``, or several of them; or {tap selector: one or several}."""

ATTENTION = "@attention:channel"
_SCORES = "@output"
_HOMES = {"softmax": _SCORES, "margin": _SCORES, "energy": _SCORES, "head": ATTENTION}


def columns_of(network: Network, criteria: Criteria | None) -> tuple[tuple[Column, ...], tuple[Tap, ...]]:
    """The columns, group by group, and the taps that they use. A criterion on one kind of neurons makes a group.

    criteria: None for `default_criteria`. Without selectors a criterion goes where `home_of` says.
    Raises ValueError for a selector that matches no tap, for a criterion that is none or does not fit its tap.
    """
    if criteria is None:
        criteria = default_criteria(network.taps, network.classes, network.map_classes)
    pairs: dict[Criterion, list[int]] = {}
    for selector, several in _by_selector(criteria):
        for criterion in several:
            for index in _at_home(network, criterion) if selector is None else network.taps.select(selector):
                pairs.setdefault(_fitted(criterion, network.taps[index], network), []).append(index)
    if not pairs:
        raise ValueError("expected at least one criterion, got none")
    for criterion, indices in pairs.items():
        for tap in (network.taps[index] for index in indices if home_of(criterion) == _SCORES):
            if not tap.of_scores:
                hint = f"; take {tap.name}:pixel8" if tap.kind == OUTPUT else ""
                raise ValueError(f"expected {criterion.name} on the class scores, {_SCORES!r}, got {tap.id!r}{hint}")
    used = sorted({index for indices in pairs.values() for index in indices})
    groups = [(criterion, kind) for criterion, indices in pairs.items() for kind in _by_kind(indices, network.taps)]
    columns = tuple(
        Column(criterion, used.index(index), group)
        for group, (criterion, indices) in enumerate(groups)
        for index in indices
    )
    return columns, tuple(network.taps[index] for index in used)


def _by_kind(indices: list[int], taps: Sequence[Tap]) -> list[list[int]]:
    """The taps of a criterion by kind of neurons, each once: their deviations are of one scale, and rise together.

    A dense tap has but one kind, as a selector knows it too: it goes with channels, or with what else there is.
    """
    found = list(dict.fromkeys(indices))
    kinds = {taps[index].neurons for index in found if taps[index].layout != "NC"}
    dense = min(kinds, key=lambda kind: (kind != "channel", kind == "unit", kind), default="")
    by_kind: dict[str, list[int]] = {}
    for index in found:
        by_kind.setdefault(dense if taps[index].layout == "NC" else taps[index].neurons, []).append(index)
    return list(by_kind.values())


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


def _by_selector(criteria: Criteria) -> list[tuple[str | None, list[Criterion]]]:
    """Each selector with its criteria, None where there is none."""
    pairs: Iterable[tuple[str | None, OneOrSeveral]] = [(None, criteria)]  # type: ignore[list-item]
    if isinstance(criteria, Mapping):
        pairs = criteria.items()
    return [(selector, _listed(several)) for selector, several in pairs]


def home_of(criterion: Criterion) -> str:
    """The selector of the taps on which a criterion goes that is given without one."""
    return _HOMES.get(criterion.name, "*")


def _at_home(network: Network, criterion: Criterion) -> tuple[int, ...]:
    home = home_of(criterion)
    try:
        return network.taps.select(home)
    except ValueError as error:
        hint = " (give the network taps='@attention')" if home == ATTENTION else ""
        if home == _SCORES and network.map_classes is not None:
            hint = " (give the network '@output:pixel8' among its taps, the class scores of places)"
        raise ValueError(f"{criterion.name} goes on {home}{hint}: {error}") from None


def _fitted(criterion: Criterion, tap: Tap, network: Network) -> Criterion:
    try:
        fitted = criterion.for_heads(tap.head_channels)
        return fitted.for_scores(network.scores) if tap.of_scores else fitted
    except ValueError as error:
        raise ValueError(f"{criterion.name} on tap {tap.id!r}: {error}") from None


def fit_to_scores(profile: Profile, scores: str) -> Profile:
    """A profile from a file, which may not say of which kind the class scores are, for a network whose kind is known.

    Raises ValueError where it says another kind.
    """
    columns, signatures = list(profile.columns), list(profile.signatures)
    for i, (column, signature) in enumerate(zip(profile.columns, profile.signatures, strict=True)):
        tap = profile.facts.taps[column.tap]
        criterion = column.criterion.for_scores(scores) if tap.of_scores else column.criterion
        if criterion != column.criterion:
            columns[i] = Column(criterion, column.tap, column.group)
            signatures[i] = criterion.restore(signature.neurons, signature.counts, signature.arrays)
            criterion.prepare(signatures[i])
    return replace(profile, columns=tuple(columns), signatures=tuple(signatures))


def taps_for(criteria: Criteria | None) -> tuple[str, ...]:
    """The selectors of the taps that criteria ask for, of a network that is yet to be opened; checks the criteria."""
    if criteria is None:
        return DEFAULT_TAPS
    words: list[str] = []
    for selector, several in _by_selector(criteria):
        if selector is None:
            homes = [home_of(criterion) for criterion in several]
            words += [home for home in homes if home == ATTENTION]
            words += DEFAULT_TAPS if set(homes) - {ATTENTION} else ()
        else:
            words += DEFAULT_TAPS if split_selector(selector)[0] == "*" else (selector,)
    return tuple(dict.fromkeys(words))
