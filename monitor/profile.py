"""What the offline pass leaves behind: signatures, taps and the facts of the trusted set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from ..coverage import Criterion, Signature
from ..networks import Network, Tap
from ..networks.renamed import renamed_attribute

_PROBE_FRAMES = 256
_PROBE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class NetworkFacts:
    """What must be the same about a network for a profile to hold: `differences` names what is not.

    map_classes: the classes that a map of class scores tells apart, None for a network without one.
    scores_output: which output holds the class scores, where the network says so and no tap does; ``logits`` in a file.
    """

    engine: str
    fingerprint: str
    classes: int | None
    input_shape: tuple[int | None, ...]
    taps: tuple[Tap, ...]
    preprocessing: dict[str, Any] | None = None
    map_classes: int | None = None
    scores_output: int | str | None = None

    @classmethod
    def of(cls, network: Network, taps: Iterable[Tap]) -> NetworkFacts:
        preprocessing = network.preprocessing.to_dict() if network.preprocessing else None
        shape = tuple(network.input_shape)
        of_map, output = network.map_classes, network.scores_output
        same = network.engine, network.fingerprint, network.classes, shape, tuple(taps), preprocessing
        return cls(*same, of_map, output)

    def classes_of(self, tap: int) -> int:
        """The classes that the signatures of a tap tell apart: those of its places where the network knows them."""
        own = self.map_classes if self.taps[tap].neurons == "pixel" else None
        return own or self.classes or 1

    def differences(self, other: NetworkFacts) -> list[str]:
        """A line per fact in which `other`, the network at hand, is not the network of this profile."""
        lines = [
            f"{name}: expected {_short(mine)}, got {_short(theirs)}"
            for name, mine, theirs in (
                ("engine", self.engine, other.engine),
                ("SHA-256", self.fingerprint, other.fingerprint),
                ("classes", self.classes, other.classes),
                ("classes of the map", self.map_classes, other.map_classes),
                ("input shape", self.input_shape, other.input_shape),
            )
            if mine != theirs
        ]
        if None not in (self.preprocessing, other.preprocessing) and self.preprocessing != other.preprocessing:
            lines.append(f"preprocessing: expected {self.preprocessing}, got {other.preprocessing}")
        if None not in (self.scores_output, other.scores_output) and self.scores_output != other.scores_output:
            lines.append(f"output with the class scores: expected {self.scores_output!r}, got {other.scores_output!r}")
        there = {tap.id: tap for tap in other.taps}
        for tap in self.taps:
            if tap.id not in there:
                others = ", ".join(t.neurons for t in other.taps if t.name == tap.name)
                lines.append(f"tap {tap.id}: expected {tap.shape}, got {others or 'no such tap'}")
            else:
                lines += [f"tap {tap.id}: {difference}" for difference in _differences(tap, there[tap.id])]
        return lines

    def to_dict(self) -> dict[str, Any]:
        """The facts in JSON types."""
        facts = asdict(self)
        facts["logits"] = facts.pop("scores_output")
        for name in ("map_classes", "logits"):
            if facts[name] is None:
                del facts[name]
        for tap in facts["taps"]:
            del tap["paths"]  # where the tensor came from is no fact that must stay the same
        return facts

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> NetworkFacts:
        """The facts from `to_dict`'s form. Raises KeyError, TypeError or ValueError for anything else."""
        taps = tuple(Tap(**{**tap, "shape": _shape(tap["shape"])}) for tap in facts["taps"])
        shape = _shape(facts["input_shape"])
        classes = facts["classes"]
        if not (classes is None or (isinstance(classes, int) and classes >= 1)):
            raise ValueError(f"expected a number of classes, got {classes!r}")
        of_map, output = facts.get("map_classes"), facts.get("logits")
        if not (of_map is None or (isinstance(of_map, int) and of_map >= 2)):
            raise ValueError(f"expected a map of 2 classes or more, got {of_map!r}")
        if not (output is None or isinstance(output, (int, str))):
            raise ValueError(f"expected the index or name of an output, got {output!r}")
        texts = str(facts["engine"]), str(facts["fingerprint"])
        return cls(*texts, classes, shape, taps, facts["preprocessing"], of_map, output)


def _shape(sizes: list[Any]) -> tuple[int | None, ...]:
    return tuple(None if size is None else int(size) for size in sizes)


def _differences(mine: Tap, theirs: Tap) -> list[str]:
    pairs = ((f.name, getattr(mine, f.name), getattr(theirs, f.name)) for f in fields(mine) if f.compare)
    return [f"expected {name} {expected}, got {got}" for name, expected, got in pairs if expected != got]


def _short(fact: Any) -> Any:
    return f"{fact[:12]}…" if isinstance(fact, str) and len(fact) > 16 else fact


def gives_codes(tap: Tap) -> bool:
    """Whether the neurons of a tap are uint8 codes."""
    return tap.dtype in ("uint8", "int8") and tap.neurons == "unit"


@dataclass(frozen=True)
class Column:
    """One criterion on one tap: `group` counts the criteria, `tap` indexes the taps of the profile."""

    criterion: Criterion
    tap: int
    group: int


@dataclass
class TrustedSet:
    """Which frames were learned from.

    frames: frames shown. labelled: whether labels decided. confidence: the softmax asked for, where labelled.
    per_class: (classes,) frames trusted per class. non_finite: frames left out for NaN or Inf.
    minimum_per_class: classes with fewer count as not covered. probe: (m, columns) float32 deviations of some of
    the trusted frames from the finished profile. per_map_class: (map_classes,) frames with a trusted place of the
    class, where signatures tell the classes of places apart.
    """

    confidence: float
    minimum_per_class: int
    per_class: np.ndarray
    frames: int = 0
    labelled: bool = False
    non_finite: int = 0
    probe: np.ndarray | None = None
    per_map_class: np.ndarray | None = None

    trusted = renamed_attribute("trusted", "accepted")

    @property
    def accepted(self) -> int:
        """The frames that were learned from."""
        return int(self.per_class.sum())

    @property
    def covered(self) -> np.ndarray:
        """(classes,) bool: whether enough was seen of the class for its signature to be used."""
        return self.per_class >= self.minimum_per_class

    @property
    def covered_of_map(self) -> np.ndarray | None:
        """(map_classes,) bool, the same of the classes of places; None where they are not told apart."""
        return None if self.per_map_class is None else self.per_map_class >= self.minimum_per_class


@dataclass
class Profile:
    """Signatures of one network, a column each, and what they were learned from."""

    facts: NetworkFacts
    columns: tuple[Column, ...]
    signatures: tuple[Signature, ...]
    trusted: TrustedSet
    complete: bool = False
    spool: FrameSpool = field(default_factory=lambda: FrameSpool())  # noqa: PLW0108 (the class stands below)

    network = renamed_attribute("network", "facts")

    @property
    def nbytes(self) -> int:
        return sum(signature.nbytes for signature in self.signatures)

    @property
    def names(self) -> tuple[str, ...]:
        """A name per column: the tap and the criterion, e.g. "relu1:unit single_range"."""
        return tuple(f"{self.facts.taps[column.tap].id} {column.criterion.name}" for column in self.columns)

    def __str__(self) -> str:
        network, trusted = self.facts, self.trusted
        shape = " x ".join("?" if size is None else str(size) for size in network.input_shape)
        classes = "no classes" if network.classes is None else f"{network.classes} classes"
        if network.map_classes:
            classes = f"{network.map_classes} classes of places"
        rule = f"right with softmax of at least {trusted.confidence:g}" if trusted.labelled else "no labels: all"
        lines = [
            f"network: {network.engine}, input {shape}, {classes}, SHA-256 {network.fingerprint[:12]}…",
            f"trusted: {trusted.accepted:,} of {trusted.frames:,} frames ({rule})",
        ]
        per_class = None if network.classes is None else trusted.per_class
        for what, counts in (("per class", per_class), ("with class", trusted.per_map_class)):
            if counts is None:
                continue
            thin = int((counts < trusted.minimum_per_class).sum())
            few = f"; {thin} of {len(counts)} below {trusted.minimum_per_class} and so not covered" if thin else ""
            lines.append(f"{what}: {counts.min():,} to {counts.max():,} frames{few}")
        lines += [f"{name}: {s.neurons:,} neurons" for name, s in zip(self.names, self.signatures, strict=True)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        state = "" if self.complete else ", unfinished"
        trusted, n = self.trusted, len(self.columns)
        return f"Profile({n} column{'s' * (n != 1)}, {trusted.accepted:,} of {trusted.frames:,} frames trusted{state})"

    def why_infinite(self, uncovered: int, deviation: np.ndarray) -> str:
        """Why a score is infinite: `uncovered` is a class that has too few trusted frames, or -1."""
        if uncovered >= 0:
            trusted = self.trusted
            per_class = trusted.per_class if trusted.per_map_class is None else trusted.per_map_class
            few = f"{per_class[uncovered]} trusted frames, fewer than {trusted.minimum_per_class}"
            return f"class {uncovered} is not covered: {few}"
        broken = np.flatnonzero(np.isinf(deviation))
        if not len(broken):
            return "the score is not finite"
        return f"NaN or Inf in the network, at {self.facts.taps[self.columns[broken[0]].tap].id}"


class FrameSpool:
    """A bounded random sample of the trusted frames, kept until the profile is finished (reservoir sampling)."""

    def __init__(self, frames: np.ndarray | None = None, seen: int = 0):
        self.frames = frames
        self.seen = seen
        self._capacity = 0 if frames is None else self._room(frames)

    def add(self, frames: np.ndarray) -> None:
        """Offer frames (n, ...); each of all that were ever offered is held with the same chance."""
        if not len(frames):
            return
        random = np.random.default_rng(self.seen)
        if self.frames is None:
            self.frames = frames[:0].copy()
            self._capacity = self._room(frames)
        free = self._capacity - len(self.frames)
        if free > 0:
            self.frames = np.concatenate([self.frames, frames[:free]])
        for i in range(max(free, 0), len(frames)):
            place = random.integers(self.seen + i + 1)
            if place < self._capacity:
                self.frames[place] = frames[i]
        self.seen += len(frames)

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """The frames held, at most `size` at a time."""
        frames = np.empty(0) if self.frames is None else self.frames
        for start in range(0, len(frames), size):
            yield frames[start : start + size]

    @staticmethod
    def _room(frames: np.ndarray) -> int:
        return min(_PROBE_FRAMES, max(1, _PROBE_BYTES // max(1, frames[:1].nbytes or frames.dtype.itemsize)))
