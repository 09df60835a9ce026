"""Where the channels of a tensor lie, as a user tells it where nothing else does: the option ``layouts``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .network import NetworkWarning
from .neurons import FIRST
from .selectors import ACTIVATIONS, GATES, OUTPUT, did_you_mean, matches, shown, some, split_selector
from .tap import RANKS, Candidate

_WAYS = {2: ("NCL", "NLC"), 4: ("NCDHW", "NDHWC")}
_WORDS = frozenset(("auto", "first", "stages", "widest"))


def undecided(candidate: Candidate) -> Candidate:
    """A candidate of two axes behind the batch, signals or tokens, or of four, whose channel axis nothing tells.

    It cannot be tapped until `with_layouts` says it. Others come back as they are: maps of unknown axis count as NCHW.
    Four axes may be those of a volume, or several maps side by side.
    """
    if candidate.obstacle or len(candidate.shape) not in _WAYS:
        return candidate
    first, last = _WAYS[len(candidate.shape)]
    obstacle = f"its channel axis cannot be told: say layouts={{{candidate.name!r}: {first!r}}} or {last!r}"
    return replace(candidate, layout="", obstacle=obstacle)


def with_layouts(candidates: Sequence[Candidate], layouts: Mapping[str, str] | None) -> list[Candidate]:
    """The candidates with the layouts that a user tells.

    layouts: by names, paths, globs or kinds (``@relu``), one of those of `Tap` each. A name comes before a path, a path
    before the rest, and of these the first that matches. Globs and kinds pass over tensors of other ranks.
    Raises ValueError for a layout that there is none of or that does not fit a tensor it names, and for a name that
    matches no candidate.
    """
    told = dict(layouts or {})
    for pattern, layout in told.items():
        if layout not in RANKS:
            raise ValueError(f"expected a layout among {', '.join(RANKS)} for {pattern!r}, got {layout!r}")
        if not any(_means(pattern, candidate) for candidate in candidates):
            names = list(dict.fromkeys(name for c in candidates for name in (c.name, *c.paths)))
            hint = did_you_mean(pattern, names)
            raise ValueError(f"expected layouts of tensors that the network has, got one of {pattern!r}{hint}")
    return [_placed(candidate, told) for candidate in candidates]


def warn_of_undecided(candidates: Sequence[Candidate], selectors: str | Sequence[str]) -> None:
    """A NetworkWarning with the activations that a word or a kind among the selectors leaves out for their layout."""
    patterns = [split_selector(one)[0] for one in ([selectors] if isinstance(selectors, str) else selectors)]
    kinds = {pattern[1:] for pattern in patterns if pattern.startswith("@")}
    usable = {candidate.kind for candidate in candidates if not candidate.obstacle}
    if _WORDS.intersection(patterns):
        kinds |= ACTIVATIONS if usable & ACTIVATIONS else ACTIVATIONS | GATES
    left = [c for c in candidates if c.kind in kinds and c.obstacle and c.shape and not c.layout]
    if left:
        first, last = _WAYS.get(len(left[0].shape), _WAYS[2])
        warnings.warn(
            f"left out {some([c.name for c in left])}: the channel axis cannot be told; say"
            f" layouts={{{left[0].name!r}: {first!r}}} where the channels come before the steps, or {last!r}",
            NetworkWarning,
            stacklevel=3,
        )


def _means(pattern: str, candidate: Candidate) -> bool:
    return any(matches(pattern, name, candidate.kind) for name in (candidate.name, *candidate.paths))


def _placed(candidate: Candidate, told: Mapping[str, str]) -> Candidate:
    exact = next((name for name in (candidate.name, *candidate.paths) if name in told), None)
    fitting = [
        pattern for pattern in told if RANKS[told[pattern]] == len(candidate.shape) and _means(pattern, candidate)
    ]
    key = exact if exact is not None else next(iter(fitting), None)
    if key is None or not candidate.shape or candidate.kind == OUTPUT:
        return candidate
    layout, shape = told[key], candidate.shape
    if RANKS[layout] != len(shape):
        known = ", ".join(name for name, rank in RANKS.items() if rank == len(shape))
        raise ValueError(
            f"expected a layout among {known} for {key!r}, which is {shown(shape)} for one frame, got {layout!r}"
        )
    if shape[0 if layout in FIRST else -1] is None:
        obstacle = f"expected a known number of channels, got shape {shown(shape)}; fix the input shape"
        return replace(candidate, layout="", obstacle=obstacle)
    return replace(candidate, layout=layout, obstacle="")
