"""How the output of a detector becomes detections: the base of all decoders, and decoders by name."""

from __future__ import annotations

import ast
import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .found import Decode, Detections, as_array, picked
from .suppression import kept

_MOST_COMPARED = 3_000
"""Boxes of a frame that enter the suppression; of more, the surest."""


class Candidates(NamedTuple):
    """What a frame's output says before any box goes. boxes: (m, 4). scores, classes: (m,)."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class BoxDecoder(ABC):
    """What makes of a detector's output the detections in each frame; called with the output for a batch.

    score: the confidence above which a box is a detection. iou: the intersection over union above which a box goes, see
    `kept`; 1 where the network has done that itself. most: the detections of a frame that stay, the surest ones.
    output: which of several outputs, counted from 0. A subclass says how boxes stand in an output.

    Calling it raises ValueError for an output of another form. Boxes whose score is NaN are none.
    """

    score: float = 0.5
    iou: float = 0.45
    most: int = 100
    output: int = 0
    name: ClassVar[str]

    def __post_init__(self) -> None:
        for name, good, wanted in (
            ("score", 0 <= self.score < 1, "from 0 to below 1"),
            ("iou", 0 < self.iou <= 1, "above 0, up to 1"),
            ("most", self.most >= 1, "of at least 1"),
            ("output", self.output >= 0, "of at least 0"),
        ):
            if not good:
                raise ValueError(f"expected {name} of {self.name} {wanted}, got {getattr(self, name)!r}")

    def __call__(self, output: Any) -> list[Detections]:
        """The detections in each frame of a batch."""
        return [self._kept(*frame) for frame in self._frames(output)]

    @abstractmethod
    def _frames(self, output: Any) -> Iterator[Candidates]:
        """All boxes of each frame of an output. Raises ValueError for one of another form."""

    def _kept(self, boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> Detections:
        sure = np.flatnonzero(scores > self.score)
        if len(sure) > _MOST_COMPARED:
            sure = sure[np.argsort(-scores[sure], kind="stable")[:_MOST_COMPARED]]
        chosen = sure[kept(boxes[sure], scores[sure], classes[sure], self.iou, self.most)]
        return Detections.of(boxes[chosen], scores[chosen], classes[chosen])


class ArrayDecoder(BoxDecoder):
    """A decoder of an output that is one array. A list has one output for each frame, where they have no batch axis."""

    def _frames(self, output: Any) -> Iterator[Candidates]:
        if isinstance(output, list):
            for one in output:
                yield from self._frames(one)
        else:
            yield from self._candidates(as_array(picked(output, self.output)))

    @abstractmethod
    def _candidates(self, values: np.ndarray) -> Iterator[Candidates]:
        """All boxes of each frame of an array. Raises ValueError for one of another form."""


_MODULES = "fastestdet", "yolo", "torchvision", "rows"


def decoders() -> dict[str, type[BoxDecoder]]:
    """The decoders by their names, with those of third parties that were imported."""
    for module in _MODULES:
        import_module(f".{module}", __package__)
    return {cls.name: cls for cls in _below(BoxDecoder) if "name" in vars(cls)}


def make_decoder(name: str, **settings: Any) -> BoxDecoder:
    """The decoder of that name. Raises ValueError for an unknown name, setting or value."""
    known = decoders()
    if name not in known:
        close = difflib.get_close_matches(str(name), known, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"expected a decoder of detections among {', '.join(sorted(known))}, got {name!r}{hint}")
    kinds = {one.name: type(one.default) for one in fields(known[name]) if one.default is not MISSING}
    for key, value in settings.items():
        if key not in kinds:
            raise ValueError(f"expected settings of {name} among {', '.join(kinds)}, got {key!r}")
        if kinds[key] is float and type(value) is int:
            settings[key] = float(value)
        elif type(value) is not kinds[key]:
            raise ValueError(f"expected {key} of {name} to be {kinds[key].__name__}, got {value!r}")
    return known[name](**settings)


def parse_decoder(text: str) -> BoxDecoder:
    """``yolo`` or ``yolo(score=0.4, iou=0.5)`` as a decoder. Raises ValueError for other text."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        if isinstance(tree, ast.Name):
            return make_decoder(tree.id)
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and not tree.args:
            pairs = [(keyword.arg, keyword.value) for keyword in tree.keywords if keyword.arg]
            values = {key: v.id if isinstance(v, ast.Name) else ast.literal_eval(v) for key, v in pairs}
            return make_decoder(tree.func.id, **values)
    except SyntaxError:
        pass
    raise ValueError(f"expected a decoder of detections such as 'yolo(score=0.4)', got {text!r}")


def as_decoder(told: Any) -> Decode | None:
    """A decoder by its name, with settings or without, or a callable as it is; None for none.

    Raises ValueError for an unknown name, TypeError for what cannot be called.
    """
    if told is None or callable(told):
        found: Decode | None = told
        return found
    if isinstance(told, str):
        return parse_decoder(told)
    raise TypeError(
        f"expected the name of a decoder ({', '.join(sorted(decoders()))}), a decoder or a function that takes the"
        f" network's output, got {type(told).__name__}"
    )


def decoder_facts(decode: Decode | None) -> dict[str, Any] | None:
    """What a profile says of a decoder, in JSON types: its name and settings, or the qualified name of a callable."""
    if decode is None:
        return None
    if isinstance(decode, BoxDecoder) and type(decode) is decoders().get(decode.name):
        return {"name": decode.name, **asdict(decode)}
    own = decode if hasattr(decode, "__qualname__") else type(decode)
    return {"callable": f"{own.__module__}.{own.__qualname__}"}


def decoder_of_facts(facts: Mapping[str, Any] | None) -> BoxDecoder | None:
    """The decoder of what `decoder_facts` wrote; None without, and for a callable, which no file holds.

    Raises ValueError for anything else.
    """
    if facts is None or set(facts) == {"callable"}:
        return None
    return make_decoder(**facts)


def in_words(facts: Mapping[str, Any] | None) -> str:
    """``yolo(score=0.4, iou=0.5, most=100, output=0)``, the name of a callable, or ``none``."""
    if facts is None:
        return "none"
    if "callable" in facts:
        return str(facts["callable"])
    told = asdict(make_decoder(**facts)).items()  # in the order of its class
    settings = ", ".join(f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in told)
    return f"{facts['name']}({settings})"


def _below(cls: type[BoxDecoder]) -> Iterator[type[BoxDecoder]]:
    for sub in cls.__subclasses__():
        yield sub
        yield from _below(sub)
