"""What the offline pass leaves behind: signatures, taps and the facts of the trusted set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby

import numpy as np

from ..coverage import Criterion, Joined, Signature, join
from ..networks.pictures.facts import PictureFacts
from ..networks.renamed import renamed_attribute
from .attributes import strict
from .boxes.learned import LearnedBoxes
from .data.changes import Change
from .data.digests import FrameDigests
from .data.shared import first_alike
from .data.spool import FrameSpool
from .facts.network import NetworkFacts, gives_codes


@dataclass(frozen=True)
class Column:
    """One criterion on one tap: `tap` indexes the taps of the profile, `group` counts the groups, see `columns_of`."""

    criterion: Criterion
    tap: int
    group: int


@strict
@dataclass
class TrustedSet:
    """Which frames were learned from.

    frames: frames shown. labelled: whether labels decided. confidence: the softmax asked for, where labelled.
    per_class: (classes,) frames trusted per class. non_finite: frames left out for NaN or Inf.
    minimum_per_class: classes with fewer count as not covered. probe: (m, columns) float32 deviations of some of
    the trusted frames from the finished profile. per_map_class: (map_classes,) frames with a trusted place of the
    class, where signatures tell the classes of places apart. pictures: what the pictures were like, where frames were
    read from pictures.
    """

    confidence: float
    minimum_per_class: int
    per_class: np.ndarray
    frames: int = 0
    labelled: bool = False
    non_finite: int = 0
    probe: np.ndarray | None = None
    per_map_class: np.ndarray | None = None
    pictures: PictureFacts | None = None

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


@strict
@dataclass
class Profile:
    """Signatures of one network, a column each, and what they were learned from."""

    facts: NetworkFacts
    columns: tuple[Column, ...]
    signatures: tuple[Signature, ...]
    trusted: TrustedSet
    complete: bool = False
    spool: FrameSpool = field(default_factory=FrameSpool)
    history: tuple[Change, ...] = ()
    """What was done to the thresholds, the oldest first."""
    digests: FrameDigests = field(default_factory=FrameDigests)
    """Which frames were learned from."""
    class_names: tuple[str, ...] = ()
    """A name for each class, where they are known."""
    boxes: LearnedBoxes | None = None
    """What was learned of the detections of a network that is a detector."""

    network = renamed_attribute("network", "facts")

    @property
    def nbytes(self) -> int:
        """The size of all signatures in memory; what several columns share counts once."""
        return sum(self.signatures[i].nbytes for i in set(first_alike(self.columns)))

    @cached_property
    def together(self) -> tuple[tuple[Joined, tuple[int, ...]], ...]:
        """The columns of one group that are compared in one call, group by group; made once it is complete.

        Columns of many samples a frame and of codes, and those whose tables are too large to copy, are in none.
        """
        found: list[tuple[Joined, tuple[int, ...]]] = []
        for _, members in groupby(range(len(self.columns)), lambda i: self.columns[i].group):
            taps = ((i, self.facts.taps[self.columns[i].tap]) for i in members)
            fitting = tuple(i for i, tap in taps if not tap.of_places and tap.rows == 1 and not gives_codes(tap))
            whole = self._joined(fitting)
            found += [whole] if whole else [one for i in fitting if (one := self._joined((i,)))]
        return tuple(found)

    def _joined(self, columns: tuple[int, ...]) -> tuple[Joined, tuple[int, ...]] | None:
        joined = join(self.columns[columns[0]].criterion, [self.signatures[i] for i in columns]) if columns else None
        return None if joined is None else (joined, columns)

    @property
    def names(self) -> tuple[str, ...]:
        """A name per column: the tap and the criterion, e.g. "relu1:unit single_range"."""
        return tuple(f"{self.facts.taps[column.tap].id} {column.criterion.name}" for column in self.columns)

    def class_name(self, index: int) -> str:
        """``class 2 (stop)``, or ``class 2`` where the classes have no names."""
        names = self.class_names
        return f"class {index} ({names[index]})" if 0 <= index < len(names) and names[index] else f"class {index}"

    def __str__(self) -> str:
        network, trusted = self.facts, self.trusted
        classes = "no classes" if network.classes is None else f"{network.classes} classes"
        if network.map_classes:
            classes = f"{network.map_classes} classes of places"
        rule = f"right with softmax of at least {trusted.confidence:g}" if trusted.labelled else "no labels: all"
        lines = [
            f"network: {network.engine}, {network.takes}, {classes}, SHA-256 {network.fingerprint[:12]}…",
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

    def why_infinite(
        self, uncovered: int, predicted: int, deviation: np.ndarray, unjudged: Mapping[int, str] | None = None
    ) -> str:
        """Why a score is infinite: `uncovered` is a class that has too few trusted frames, or -1.

        predicted: the class of the frame, 0 without classes. unjudged: why a column has nothing to compare, where it
        has not.
        """
        if uncovered >= 0:
            trusted = self.trusted
            per_class = trusted.per_class if trusted.per_map_class is None else trusted.per_map_class
            few = f"{per_class[uncovered]} trusted frames, fewer than {trusted.minimum_per_class}"
            return f"{self.class_name(uncovered)} is not covered: {few}"
        if not self.trusted.per_class[predicted]:
            return f"{self.class_name(predicted)} has no trusted frame to compare with"
        broken = [int(i) for i in np.flatnonzero(np.isinf(deviation)) if i not in (unjudged or ())]
        if not broken:
            return next(iter(unjudged.values())) if unjudged else "the score is not finite"
        return f"NaN or Inf in the network, at {self.facts.taps[self.columns[broken[0]].tap].id}"
