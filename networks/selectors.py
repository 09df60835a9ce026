"""The language that names tensors: the same for ``taps=``, for criteria and on the command line.

A selector is a word, a name, the path of a module, a glob (``layer1*``) or a kind (``@relu``), each with ``:neurons``
behind it or without. The words are ``auto`` (every activation), ``first`` (the first of them), ``last`` (the last that
is a map, where one is), ``stages`` (of each size of map the last of those with the most channels) and ``widest`` (that
of the smallest maps of more than one place). A word comes before a name, and a name before a path. Globs leave out the
class scores: name them or say ``@output``. ``places`` means taps with their own neurons, see `place_taps`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .neurons import FIRST, NEURONS, check_neurons, map_sizes, window_of

if TYPE_CHECKING:
    from .tap import Candidate, Tap

ACTIVATIONS = frozenset((
    "biasgelu", "celu", "clip", "elu", "fastgelu", "gelu", "hardswish", "hardtanh", "leakyrelu", "mish", "prelu",
    "quickgelu", "relu", "relu6", "rrelu", "selu", "silu", "softplus", "swish", "threshold", "thresholdedrelu",
))  # fmt: skip
GATES = frozenset(("hardsigmoid", "logsigmoid", "sigmoid", "softsign", "tanh"))
"""Kinds that ``auto`` taps only where a network has none of `ACTIVATIONS`: most often they gate other values."""

BUDGET = "budget:"
"""What begins the word for taps that are chosen by what they cost; networks refuse it, see `refuse_budget`."""
OUTPUT = "output"
PLACES = "places"
"""The word for the taps that show where in a picture; see `place_taps`."""
_LEAST_PLACES, _LEAST_OF_LAST, _MOST_PLACES = 256, 64, 4096
DEFAULT_TAPS = ("auto", "first:unit", "last:channel-max")
"""Every activation as the adapter's `neurons` says; the first of them unit by unit, where small noise is seen; and the
largest value of each channel of the last, where a small strange object is."""


def choose(candidates: Sequence[Candidate], selectors: str | Sequence[str], neurons: str | Sequence[str]) -> list[Tap]:
    """The taps that a user asks of an adapter, in the order of the candidates.

    selectors: one or several. neurons: how a tensor becomes neurons where its selector does not say it; several ways
    give several taps. A map of class scores takes those of them that are of places, or else ``pixel``. A glob, a kind
    and a word pass over tensors that cannot be tapped; a name does not.
    Raises ValueError for a selector that means none of the candidates.
    """
    refuse_budget(selectors)
    ways = [neurons] if isinstance(neurons, str) else list(neurons)
    if not ways:
        raise ValueError("expected one way or more to become neurons, got none")
    for way in ways:
        check_neurons(way)
    chosen: dict[int, dict[str, Tap]] = {}
    for selector in [selectors] if isinstance(selectors, str) else selectors:
        if selector == PLACES:
            for index, tap in place_taps(candidates):
                chosen.setdefault(index, {})[tap.id] = tap
            continue
        pattern, own = split_selector(selector)
        found = meant(candidates, pattern)
        usable = [i for i in found if not candidates[i].obstacle]
        if not found:
            raise nothing_meant(pattern, candidates)
        if not usable:
            refused = candidates[found[0]]
            raise ValueError(f"{refused.name!r} cannot be tapped: {refused.obstacle}")
        for index in usable:
            found_ways = _ways_of_scores(ways) if _is_score_map(candidates[index]) else ways
            for tap in map(candidates[index].tap, [own] if own else found_ways):
                chosen.setdefault(index, {})[tap.id] = tap
    return [tap for index in sorted(chosen) for tap in chosen[index].values()]


def default_taps(candidates: Sequence[Candidate], ways: str | Sequence[str], told: object = None) -> tuple[str, ...]:
    """The selectors of an adapter that was not told any: `PLACES` where the network has places, else `DEFAULT_TAPS`.

    ways: how tensors become neurons. told: the classes of a map or what decodes detections, None for neither. Places
    are also asked for where all ways are of them. Maps of open sizes have none, and no units.
    """
    several = [ways] if isinstance(ways, str) else list(ways)
    of_places = told is not None or all(window_of(way) is not None for way in several)
    maps = [one for one in candidates if one.kind in ACTIVATIONS | GATES and not one.obstacle]
    if of_places and any(math.prod(_map_of(one) or (0,)) > 1 and one.rows == 1 for one in maps):
        return (PLACES,)
    units_open = bool(maps) and None in maps[0].shape
    return tuple(selector for selector in DEFAULT_TAPS if not (units_open and selector.endswith(":unit")))


def refuse_budget(selectors: str | Sequence[str]) -> None:
    """Raise ValueError for ``budget:R``, which takes frames and a clock to be chosen by."""
    words = [selectors] if isinstance(selectors, str) else selectors
    if found := [word for word in words if word.startswith(BUDGET)]:
        raise ValueError(
            f"expected taps of a network by name, got {found[0]!r}: outrider.runtime.taps_within(model, frames, R)"
            " chooses them, and so does `outrider profile --taps budget:R`"
        )


def _is_score_map(tensor: Candidate) -> bool:
    return tensor.kind == OUTPUT and tensor.layout != "NC"


def _ways_of_scores(ways: Sequence[str]) -> Sequence[str]:
    return [way for way in ways if window_of(way) is not None] or ["pixel"]


def meant(tensors: Sequence[Candidate | Tap], pattern: str, ids: Sequence[str] = ()) -> list[int]:
    """The positions of the tensors that a selector without its neurons means; none where it names nothing.

    Several taps on one tensor are meant together. ids: of the tensors; only globs with a colon are held against them.
    Raises ValueError for a word where there is no activation, and for ``stages`` and ``widest`` where sizes are open.
    """
    if pattern == PLACES:
        return [i for i, tensor in enumerate(tensors) if getattr(tensor, "of_places", False)]
    if pattern in _WORDS:
        for kinds in (ACTIVATIONS, GATES):
            found = [tensor for tensor in tensors if tensor.kind in kinds and not tensor.obstacle]
            if found:
                names = _WORDS[pattern](found)
                return [i for i, tensor in enumerate(tensors) if tensor.name in names]
        free = dict.fromkeys(t.name for t in tensors if not t.obstacle and t.kind != OUTPUT)
        hidden = [t for t in tensors if t.obstacle and t.kind in ACTIVATIONS | GATES][:1]
        why = "".join(f"; {t.name!r} cannot be tapped: {t.obstacle}" for t in hidden)
        raise ValueError(f"expected activations to tap, got none; name tensors among: {', '.join(free) or 'none'}{why}")
    named = [i for i, tensor in enumerate(tensors) if tensor.name == pattern]
    if exact := named or [i for i, tensor in enumerate(tensors) if pattern in tensor.paths]:
        return exact
    by_id = ids if ":" in pattern else ()
    return [
        i
        for i, tensor in enumerate(tensors)
        if any(matches(pattern, name, tensor.kind) for name in (tensor.name, *tensor.paths, *by_id[i : i + 1]))
    ]


def nothing_meant(selector: str, tensors: Sequence[Candidate | Tap], ids: Sequence[str] = ()) -> ValueError:
    """The error for a selector that means none of the tensors, with the names closest to it."""
    known = ", ".join(sorted({f"@{tensor.kind}" for tensor in tensors if not tensor.obstacle}))
    hint = did_you_mean(selector, [*ids, *{name: 0 for tensor in tensors for name in (tensor.name, *tensor.paths)}])
    words = ", ".join((*_WORDS, PLACES))
    return ValueError(f"expected {words}, the name of a tensor, a glob or a kind ({known}), got {selector!r}{hint}")


def _stages(activations: Sequence[Candidate | Tap]) -> set[str]:
    """Of each size the last of the widest maps; of dense tensors and maps of one place, which are one size, the last.

    Raises ValueError for sizes left open.
    """
    sizes: dict[tuple[int, ...], list[Candidate | Tap]] = {}
    for tensor in activations:
        sizes.setdefault(_known_sizes(tensor), []).append(tensor)
    return {(_last_of_widest(tensors) if size else tensors[-1]).name for size, tensors in sizes.items()}


def _widest(activations: Sequence[Candidate | Tap]) -> set[str]:
    """Of the maps of fewest places, but more than one, the last of the widest; without maps, of all."""
    places = {tensor.name: math.prod(_known_sizes(tensor)) for tensor in activations}
    fewest = min((count for count in places.values() if count > 1), default=1)
    return {_last_of_widest([tensor for tensor in activations if places[tensor.name] == fewest]).name}


def _known_sizes(tensor: Candidate | Tap) -> tuple[int, ...]:
    """The sizes of a map without those of 1, in which dense tensors and maps of one place are alike."""
    if None in tensor.shape:
        raise ValueError(
            f"expected known sizes to tell the stages of the network apart, got {shown(tensor.shape)} at"
            f" {tensor.name!r}; fix the input shape, or name the taps"
        )
    return tuple(size for size in map_sizes(tensor.layout, tensor.shape) if size is not None and size != 1)


def _last_of_widest(tensors: Sequence[Candidate | Tap]) -> Candidate | Tap:
    channels = [_width(tensor) for tensor in tensors]
    most = max(channels)
    return [tensor for tensor, width in zip(tensors, channels, strict=True) if width == most][-1]


def _width(tensor: Candidate | Tap) -> int:
    return tensor.shape[0 if tensor.layout in FIRST else -1] or 0


def _last_map(activations: Sequence[Candidate | Tap]) -> set[str]:
    maps = [t for t in activations if any(size != 1 for size in map_sizes(t.layout, t.shape))]
    return {(maps or activations)[-1].name}


_WORDS: dict[str, Callable[[Sequence[Candidate | Tap]], set[str]]] = {
    "auto": lambda activations: {tensor.name for tensor in activations},
    "first": lambda activations: {activations[0].name},
    "last": _last_map,
    "stages": _stages,
    "widest": _widest,
}


def stands_for(selector: str, name: str, kind: str, paths: Sequence[str] = ()) -> bool:
    """Whether a selector could mean a tensor, whatever its shape."""
    pattern, _ = split_selector(selector)
    if pattern in _WORDS or pattern == PLACES:
        return kind in ACTIVATIONS | GATES
    return any(matches(pattern, own, kind) for own in (name, *paths))


def matches(pattern: str, name: str, kind: str) -> bool:
    """Whether a selector that is no word, without neurons, means a tensor."""
    if pattern.startswith("@"):
        return pattern[1:] == kind
    return pattern == name or (kind != OUTPUT and fnmatchcase(name, pattern))


def selector_of(tap: Tap) -> str:
    """A selector that means this tap among all candidates, also where its name is a word."""
    if tap.kind == OUTPUT:
        return f"@{OUTPUT}:{tap.neurons}"
    name = tap.name if tap.name not in _WORDS else f"[{tap.name[0]}]{tap.name[1:]}"
    return f"{name}:{tap.neurons}"


def split_selector(selector: str) -> tuple[str, str | None]:
    """``layer1*:unit`` as (``layer1*``, ``unit``); the second is None where the selector does not say it."""
    pattern, colon, neurons = selector.rpartition(":")
    return (pattern, neurons) if colon and NEURONS.fullmatch(neurons) else (selector, None)


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """`` (did you mean ...?)`` with the names closest to a mistyped one, or nothing."""
    close = difflib.get_close_matches(name, names, cutoff=0.5)
    return f" (did you mean {' or '.join(map(repr, close))}?)" if close else ""


def shown(shape: Sequence[int | None]) -> str:
    """A shape in a message: ``3x?x7``."""
    return "x".join("?" if size is None else str(size) for size in shape)


def some(names: Sequence[str]) -> str:
    """The first three names, and how many there are more."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def place_taps(candidates: Sequence[Candidate]) -> list[tuple[int, Tap]]:
    """What the word ``places`` means: the taps of a map of places, each with its position among the candidates.

    Where the class scores are a map, it is the last of the widest of the smallest maps that have at least 256 places:
    what the deepest stage makes of the picture. Elsewhere it is the first of these maps, and the last of the widest of
    the smallest that have at least 64. Windows are so large that a map has at most 4,096 places.
    Raises ValueError where no activation is a map of known size.
    """
    maps: dict[int, list[int]] = {}
    for i, one in enumerate(candidates):
        places = math.prod(_map_of(one) or (0,))
        if one.kind in ACTIVATIONS | GATES and not one.obstacle and one.rows == 1 and places > 1:
            maps.setdefault(places, []).append(i)
    if not maps:
        raise ValueError("expected an activation that is a map of known size, got none; name the taps")
    late, last = (min((k for k in maps if k >= least), default=max(maps)) for least in (_LEAST_PLACES, _LEAST_OF_LAST))
    of_scores = any(_is_score_map(one) for one in candidates)
    widest = max(maps[late if of_scores else last], key=lambda i: (_width(candidates[i]), i))
    found = [widest] if of_scores else sorted({maps[late][0], widest})
    return [(i, candidates[i].tap(_windows(_map_of(candidates[i]) or ()))) for i in found]


def _windows(sizes: tuple[int, ...]) -> str:
    """The places of a map, as fine as they may be."""
    window = next(k for k in range(1, max(sizes) + 1) if math.prod(-(-size // k) for size in sizes) <= _MOST_PLACES)
    return "pixel" if window == 1 else f"pixel{window}"


def _map_of(tensor: Candidate | Tap) -> tuple[int, ...] | None:
    """The sizes of a map of two axes; None for what is none, or leaves some open."""
    sizes = map_sizes(tensor.layout, tensor.shape) if len(tensor.shape) == 3 else ()
    known = tuple(size for size in sizes if size is not None)
    return known if len(known) == len(sizes) == 2 else None
