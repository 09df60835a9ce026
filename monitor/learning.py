"""The offline pass: what is remembered of trusted frames, and which frames are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..coverage import Criterion
from ..networks import Detections, Network, Observation, probabilities
from ..networks.detections.found import detected
from ..networks.inputs import each, together
from .boxes.learned import BoxLearner, fresh_boxes
from .data.arrays import as_arrays, finite_frames, finite_rows, rows_of
from .data.batches import check_labels
from .data.class_order import Confusion
from .data.digests import FrameDigests, digests_of
from .data.shared import first_alike, sharing
from .data.spool import FrameSpool
from .data.truth import are_boxes
from .errors import ProfileError, warn
from .facts.network import NetworkFacts, gives_codes, told_apart
from .judging.places import Axes, PlaceClasses, place_axes, rows_of_frames, samples_of
from .profile import Column, Profile, TrustedSet

_LONGEST_NAME = 200
_MANY_CLASSES = 10
"""Of fewer, most may well be missing in trusted data."""


def fresh_profile(
    facts: NetworkFacts, columns: tuple[Column, ...], confidence: float, minimum: int,
    box_criterion: Criterion | None = None,
) -> Profile:  # fmt: skip
    """A profile that has seen nothing. box_criterion: of the detections of a detector."""
    signatures = sharing(
        columns,
        [column.criterion.empty(facts.taps[column.tap].size, facts.classes_of(column.tap)) for column in columns],
    )
    trusted = TrustedSet(confidence, minimum, np.zeros(facts.classes or 1, np.int64))
    if facts.map_classes and any(told_apart(facts.taps[column.tap]) for column in columns):
        trusted.per_map_class = np.zeros(facts.map_classes, np.int64)
    boxes = fresh_boxes(facts, {column.tap for column in columns}, box_criterion)
    return Profile(facts, columns, signatures, trusted, boxes=boxes)


def names_of_classes(names: Sequence[str], facts: NetworkFacts) -> tuple[str, ...]:
    """The names of all classes, or none. Raises ValueError for another number of them, TypeError for no texts."""
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"expected the names of classes as a list of texts, got {names!r:.80}")
    expected = facts.map_classes or facts.classes
    if expected is None and facts.detections is not None:  # a decoder does not say how many it tells apart
        expected = len(names)
    if names and len(names) != expected:
        raise ValueError(f"expected a name for each of {expected or 'no'} classes, got {len(names)}")
    return tuple(name[:_LONGEST_NAME] for name in names)


def to_extend(old: Profile) -> Profile:
    """A profile that has seen what another has, to learn more into; the other stays as it is."""
    trusted = replace(old.trusted, per_class=old.trusted.per_class.copy(), probe=None)
    if trusted.per_map_class is not None:
        trusted.per_map_class = trusted.per_map_class.copy()
    return replace(
        old,
        signatures=sharing(old.columns, [signature.copy() for signature in old.signatures]),
        trusted=trusted,
        complete=False,
        spool=FrameSpool(),
        digests=FrameDigests(old.digests.values),
        boxes=None if old.boxes is None else old.boxes.copy(),
    )


class Learner:
    """Adds batches to a profile. confusion: how many frames of each label were seen as each class."""

    def __init__(self, network: Network, profile: Profile) -> None:
        self._network, self._profile = network, profile
        self.confusion = Confusion()
        order = {tap.id: i for i, tap in enumerate(network.taps)}
        taps = [profile.facts.taps[column.tap] for column in profile.columns]
        self._indices = [order[tap.id] for tap in taps]
        self._samples = [samples_of(tap) for tap in taps]
        by_map = profile.trusted.per_map_class is not None
        self._boxes: BoxLearner | None = None
        if profile.boxes is not None:
            of_boxes = [order[profile.facts.taps[column.tap].id] for column in profile.boxes.columns]
            self._boxes = BoxLearner(profile.facts, profile.boxes, of_boxes)
        self._axes = [place_axes(tap) if by_map and told_apart(tap) else None for tap in taps]

    def learn(self, frames: Any, labels: np.ndarray | None) -> np.ndarray:
        """Observe a batch and add the frames that are trusted. Returns the digests of all its frames, (n,) uint64.

        Raises ValueError for labels that do not fit.
        """
        facts, trusted = self._profile.facts, self._profile.trusted
        truth: list[Detections] | None = None
        if labels is not None and are_boxes(labels):
            truth, labels = list(labels), None
        if truth is not None and self._boxes is None:
            raise ValueError(
                "expected no true boxes as labels, got some; open the network with detections= and taps of neurons"
                " 'pixel', which its detections are learned from"
            )
        if labels is not None:
            labels = check_labels(labels, rows_of(frames), facts.classes, facts.map_classes)
            if facts.map_classes and trusted.per_map_class is None:
                raise ValueError(
                    "expected no labels of places, as no criterion is on a tap with neurons 'pixel', got some; give"
                    " the frames alone, or tap the network with neurons='pixel'"
                )
        _refuse_mixed_labels(trusted, facts, labels)
        seen = self._network.observe(frames)
        n = rows_of(frames)
        predictions = np.zeros(n, np.int64) if seen.logits is None else seen.logits.argmax(axis=1)
        finite = finite_frames(frames, n)
        rows = {
            index: rows_of_frames(seen, index, tap, n)
            for index, tap in enumerate(self._network.taps)
            if tap.rows is None
        }
        for index, values in enumerate((*seen.activations, seen.logits, seen.score_map)):
            if values is None:
                continue
            if index in rows:
                finite[np.repeat(np.arange(n), rows[index])[~finite_rows(values, len(values))]] = False
            else:
                finite &= finite_rows(values, n)
        places = None if trusted.per_map_class is None else PlaceClasses(_the_map(seen), self._network.scores)
        chosen = finite.copy()
        if labels is not None and seen.logits is not None and places is None:
            self.confusion.add(labels[finite], predictions[finite])
            chosen &= (predictions == labels) & sure_of(seen.logits, trusted.confidence, self._network.scores)
        at_places: dict[Axes, tuple[np.ndarray, np.ndarray]] = {}
        if places is not None:
            for axes in filter(None, self._axes):
                there = places.trusted(axes, chosen, labels, trusted.confidence)
                at_places[axes] = there, places.classes(axes)
            chosen &= self._count_map_classes(trusted.per_map_class, places, at_places, n)
        if self._boxes is not None and self._network.detections is not None:
            found = detected(self._network.detections, seen.output, n)
            self._boxes.learn(found, truth, chosen, seen.activations)
        self._observe(seen.activations, rows, predictions, chosen, at_places)
        digests = digests_of(frames)
        self._profile.digests.add(digests if chosen.all() else digests[chosen])
        if self._network.memory is None:  # frames out of their order would tell nothing of a recurrent network
            self._profile.spool.add(each(together(as_arrays(frames)), lambda part: part[chosen]), digests[chosen])
        trusted.per_class += np.bincount(predictions[chosen], minlength=len(trusted.per_class))
        trusted.non_finite += int((~finite).sum())
        trusted.frames += n
        return digests

    @staticmethod
    def _count_map_classes(
        per_class: Any, places: PlaceClasses, at_places: dict[Axes, tuple[np.ndarray, np.ndarray]], n: int
    ) -> np.ndarray:
        """Count the frames that have a trusted place of each class: (n,) whether a frame has any."""
        present = np.zeros((n, len(per_class)), bool)
        for axes, (trusted, classes) in at_places.items():
            present[places.frames(axes)[trusted], classes[trusted]] = True
        per_class += present.sum(axis=0)
        return np.asarray(present.any(axis=1))

    def _observe(
        self, activations: Sequence[np.ndarray], rows: dict[int, np.ndarray], predictions: np.ndarray,
        chosen: np.ndarray, at_places: dict[Axes, tuple[np.ndarray, np.ndarray]],
    ) -> None:  # fmt: skip
        """Add samples to the signatures: those of the frames chosen, of their class, or those of the places."""
        profile = self._profile
        bound = zip(profile.columns, profile.signatures, self._indices, self._axes, self._samples, strict=True)
        firsts = first_alike(profile.columns)
        for i, (column, signature, index, axes, samples) in enumerate(bound):
            if firsts[i] != i:
                signature.forget_tables()
                continue
            values = activations[index]
            if axes is None:
                times = rows[index] if samples is None else samples
                trusted, classes = np.repeat(chosen, times), np.repeat(predictions, times)
            else:
                trusted, classes = at_places[axes]
            if not trusted.all():
                values, classes = values[trusted], classes[trusted]
            column.criterion.observe(signature, values, classes)


def _the_map(seen: Observation) -> np.ndarray:
    if seen.score_map is None:
        raise ValueError("expected a map of class scores, got none")
    return seen.score_map


def sure_of(logits: np.ndarray, confidence: float, scores: str) -> np.ndarray:
    """(n,) bool: whether the probability of the class predicted is at least that. scores: as of `Network.scores`."""
    with np.errstate(invalid="ignore"):
        sure: np.ndarray = probabilities(logits, scores).max(axis=1) >= confidence
    return sure


def _warn_of_what_no_file_may_hold(profile: Profile) -> None:
    """Tell of signatures that `load` would refuse: now, and not first on the vehicle."""
    for name, column, signature in zip(profile.names, profile.columns, profile.signatures, strict=True):
        try:
            column.criterion.restore(profile.facts.taps[column.tap].size, signature.counts, signature.arrays)
        except ValueError as error:
            warn(
                f"{name}: {error}; a file of this profile will not load: leave out this criterion there, or choose"
                " units in place of channels",
                3,
            )


def _refuse_what_tells_nothing(profile: Profile) -> None:
    """Raise ProfileError where no column tells anything: no input would ever alarm."""
    pairs = zip(profile.columns, profile.signatures, strict=True)
    found = [column.criterion.tells_nothing(signature) for column, signature in pairs]
    if all(found):
        raise ProfileError(f"expected a criterion that tells inputs apart, got {profile.names[0]}: {found[0]}")


def complete(profile: Profile, confusion: Confusion | None = None) -> None:
    """Make a profile ready to be compared with. Warns of thin classes. Raises ProfileError without a trusted frame, and
    where nothing would ever alarm.

    confusion: of frames with labels, by which another order of the classes is noticed.
    """
    trusted = profile.trusted
    order = order_in_words(profile, confusion)
    if not trusted.accepted:
        rule = f"right with softmax >= {trusted.confidence:g}" if trusted.labelled else "finite"
        raise ProfileError(
            f"expected trusted frames, got none: 0 of {trusted.frames} were {rule};"
            f" look at the preprocessing and at the order of the classes{order}"
        )
    if trusted.non_finite:
        warn(f"{trusted.non_finite} of {trusted.frames} frames hold or cause NaN or Inf and were left out", 2)
    if trusted.labelled and 3 * trusted.accepted < trusted.frames:
        warn(
            f"only {trusted.accepted:,} of {trusted.frames:,} frames are trusted: right with softmax >="
            f" {trusted.confidence:g}; if the network is usually right, look at the preprocessing and at the order"
            f" of the classes{order}",
            2,
        )
    of_map = () if trusted.per_map_class is None else (trusted.per_map_class,)
    _warn_of_thin_classes(profile, (trusted.per_class, *of_map), trusted.minimum_per_class)
    _warn_of_boxes(profile)
    empty, classes = int((trusted.per_class == 0).sum()), len(trusted.per_class)
    could_fill = trusted.minimum_per_class > 0 or trusted.accepted >= classes
    if not trusted.labelled and classes >= _MANY_CLASSES and 2 * empty > classes and could_fill:
        warn(
            f"the network saw none of {trusted.accepted:,} frames as one of {empty} of its {classes} classes; if its"
            f" output is an embedding, landmarks or any other {classes} numbers but no class scores, open it with"
            " classes=None",
            2,
        )
    _warn_of_what_no_file_may_hold(profile)
    _refuse_what_tells_nothing(profile)
    profile.complete = True
    for column, signature in zip(profile.columns, profile.signatures, strict=True):
        column.criterion.prepare(signature, codes=gives_codes(profile.facts.taps[column.tap]))


def order_in_words(profile: Profile, confusion: Confusion | None) -> str:
    """Which number each name was given, and the order of the classes by which most frames would be right."""
    names = profile.class_names
    words = ""
    if any(names):
        shown = ", ".join(f"{name}: {c}" for c, name in list(enumerate(names))[:_MANY_CLASSES] if name)
        words = f"; the names of the classes became these numbers: {shown}{', …' if len(names) > _MANY_CLASSES else ''}"
        words += "; --classes-order or --class-map give others"
    found = None if confusion is None else confusion.other_order()
    if found is None:
        return words
    order, right = found
    shown = ", ".join(f"{profile.class_name(a)} is seen as class {b}" for a, b in list(order.items())[:_MANY_CLASSES])
    flag = ""
    if all(names) and sorted(order.values()) == list(range(len(names))) and len(names) <= _MANY_CLASSES:
        flag = f"; that is --classes-order {','.join(names[a] for a in sorted(order, key=order.__getitem__))}"
    return (
        f"{words}; in another order {right:.0%} of the frames would be right:"
        f" {shown}{', …' if len(order) > _MANY_CLASSES else ''}{flag}"
    )


def _warn_of_thin_classes(profile: Profile, counts: Iterable[np.ndarray], minimum: int) -> None:
    for per_class in counts:
        thin = np.flatnonzero(per_class < minimum)
        if len(thin):
            named = ", ".join(f"{profile.class_name(c)}: {per_class[c]}" for c in thin[:10])
            warn(
                f"{len(thin)} of {len(per_class)} classes have fewer than {minimum} trusted"
                f" frames ({named}{', …' if len(thin) > 10 else ''}); inputs predicted as one of them will alarm",
                calls=3,
            )


def _warn_of_boxes(profile: Profile) -> None:
    """Warn where detections are not judged, and of their classes with few trusted ones."""
    boxes, minimum = profile.boxes, max(profile.trusted.minimum_per_class, 1)
    if boxes is None:
        if profile.facts.detections is not None:
            warn(
                "the network's detections are not judged, as no column is on the places of a picture of known size; tap"
                " the network with neurons='pixel' (--neurons pixel), and give input_shape= where the model leaves it"
                " open",
                3,
            )
        return
    counts = boxes.per_class
    if not counts.any():
        warn(f"no detection is trusted in {profile.trusted.frames:,} frames, so every one will alarm", 3)
    thin = np.flatnonzero((counts > 0) & (counts < minimum))
    if len(thin):
        named = ", ".join(f"{profile.class_name(c)}: {counts[c]}" for c in thin[:10])
        warn(
            f"{len(thin)} of {np.count_nonzero(counts)} classes of detections have fewer than {minimum} trusted ones"
            f" ({named}{', …' if len(thin) > 10 else ''}); detections of them will alarm",
            3,
        )


def _refuse_mixed_labels(trusted: TrustedSet, facts: NetworkFacts, labels: np.ndarray | None) -> None:
    """Note whether labels decide, which must be so for all batches of a profile or for none."""
    decide = labels is not None and (facts.classes is not None or trusted.per_map_class is not None)
    if trusted.frames and decide != trusted.labelled:
        with_, without = ("with", "without") if trusted.labelled else ("without", "with")
        raise ProfileError(
            f"expected batches {with_} labels like the first {trusted.frames} frames, got one {without};"
            " which frames are trusted would not be one rule"
        )
    trusted.labelled = decide
