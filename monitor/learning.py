"""The offline pass: what is remembered of trusted frames, and which frames are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..networks import Network, probabilities
from .data.arrays import as_array, finite_rows
from .data.batches import check_labels
from .errors import ProfileError, warn
from .judging.places import Places, Shape, place_shape
from .profile import Column, NetworkFacts, Profile, TrustedSet, gives_codes


def fresh_profile(facts: NetworkFacts, columns: tuple[Column, ...], confidence: float, minimum: int) -> Profile:
    """A profile that has seen nothing."""
    signatures = tuple(
        column.criterion.empty(facts.taps[column.tap].size, facts.classes_of(column.tap)) for column in columns
    )
    trusted = TrustedSet(confidence, minimum, np.zeros(facts.classes or 1, np.int64))
    if facts.map_classes and any(facts.taps[column.tap].neurons == "pixel" for column in columns):
        trusted.per_map_class = np.zeros(facts.map_classes, np.int64)
    return Profile(facts, columns, signatures, trusted)


class Learner:
    """Adds batches to a profile."""

    def __init__(self, network: Network, profile: Profile) -> None:
        self._network, self._profile = network, profile
        order = {tap.id: i for i, tap in enumerate(network.taps)}
        taps = [profile.facts.taps[column.tap] for column in profile.columns]
        self._indices = [order[tap.id] for tap in taps]
        self._shapes = [place_shape(tap) for tap in taps]

    def learn(self, frames: Any, labels: np.ndarray | None) -> None:
        """Observe a batch and add the frames that are trusted. Raises ValueError for labels that do not fit."""
        facts, trusted = self._profile.facts, self._profile.trusted
        if labels is not None:
            check_labels(labels, len(frames), facts.classes, facts.map_classes)
        _refuse_mixed_labels(trusted, facts, labels)
        seen = self._network.observe(frames)
        array = as_array(frames)
        n = len(array)
        predictions = np.zeros(n, np.int64) if seen.logits is None else seen.logits.argmax(axis=1)
        finite = finite_rows(array, n)
        for values in (*seen.activations, seen.logits, seen.score_map):
            if values is not None:
                finite &= finite_rows(values, n)
        places = Places(
            predictions, seen.score_map if trusted.per_map_class is not None else None, self._network.scores
        )
        chosen = finite.copy()
        if labels is not None and seen.logits is not None and places.of_frames:
            chosen &= (predictions == labels) & sure_of(seen.logits, trusted.confidence, self._network.scores)
        chosen_places: dict[Shape | None, np.ndarray] = {
            shape: places.trusted(shape, chosen, labels, trusted.confidence)
            for shape in self._shapes
            if shape
        }
        if trusted.per_map_class is not None:
            chosen &= self._count_map_classes(trusted.per_map_class, places, chosen_places, n)
        chosen_places[None] = chosen
        self._observe(seen.activations, places, chosen_places)
        self._profile.spool.add(array[chosen])
        trusted.per_class += np.bincount(predictions[chosen], minlength=len(trusted.per_class))
        trusted.non_finite += int((~finite).sum())
        trusted.frames += n

    @staticmethod
    def _count_map_classes(
        per_class: np.ndarray, places: Places, chosen: dict[Shape | None, np.ndarray], n: int
    ) -> np.ndarray:
        """Count the frames that have a trusted place of each class: (n,) whether a frame has any."""
        present = np.zeros((n, len(per_class)), bool)
        for shape, rows in chosen.items():
            present[places.frames(shape)[rows], places.classes(shape)[rows]] = True
        per_class += present.sum(axis=0)
        return np.asarray(present.any(axis=1))

    def _observe(
        self, activations: Sequence[np.ndarray], places: Places, chosen: dict[Shape | None, np.ndarray]
    ) -> None:
        profile = self._profile
        bound = zip(profile.columns, profile.signatures, self._indices, self._shapes, strict=True)
        for column, signature, index, shape in bound:
            values, rows, classes = activations[index], chosen[shape], places.classes(shape)
            if not rows.all():
                values, classes = values[rows], classes[rows]
            column.criterion.observe(signature, values, classes)


def sure_of(logits: np.ndarray, confidence: float, scores: str) -> np.ndarray:
    """(n,) bool: whether the probability of the class predicted is at least that. scores: as of `Network.scores`."""
    with np.errstate(invalid="ignore"):
        sure: np.ndarray = probabilities(logits, scores).max(axis=1) >= confidence
    return sure


def complete(profile: Profile) -> None:
    """Make a profile ready to be compared with. Warns of thin classes. Raises ProfileError without a trusted frame."""
    trusted = profile.trusted
    if not trusted.accepted:
        rule = f"right with softmax >= {trusted.confidence:g}" if trusted.labelled else "finite"
        raise ProfileError(
            f"expected trusted frames, got none: 0 of {trusted.frames} were {rule};"
            " look at the preprocessing and at the order of the classes"
        )
    if trusted.non_finite:
        warn(f"{trusted.non_finite} of {trusted.frames} frames hold or cause NaN or Inf and were left out")
    if trusted.labelled and 3 * trusted.accepted < trusted.frames:
        warn(
            f"only {trusted.accepted:,} of {trusted.frames:,} frames are trusted: right with softmax >="
            f" {trusted.confidence:g}; if the network is usually right, look at the preprocessing and at the order"
            " of the classes"
        )
    of_map = () if trusted.per_map_class is None else (trusted.per_map_class,)
    _warn_of_thin_classes((trusted.per_class, *of_map), trusted.minimum_per_class)
    profile.complete = True
    for column, signature in zip(profile.columns, profile.signatures, strict=True):
        column.criterion.prepare(signature, codes=gives_codes(profile.facts.taps[column.tap]))


def _warn_of_thin_classes(counts: Iterable[np.ndarray], minimum: int) -> None:
    for per_class in counts:
        thin = np.flatnonzero(per_class < minimum)
        if len(thin):
            named = ", ".join(f"class {c}: {per_class[c]}" for c in thin[:10])
            warn(
                f"{len(thin)} of {len(per_class)} classes have fewer than {minimum} trusted"
                f" frames ({named}{', …' if len(thin) > 10 else ''}); inputs predicted as one of them will alarm",
                calls=2,
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
