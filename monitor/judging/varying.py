"""Columns on taps whose rows vary from frame to frame, such as the regions of a detector."""

from __future__ import annotations

import math

import numpy as np

from ...coverage.criterion import Comparer
from ...networks import Observation
from ..facts.network import gives_codes
from ..kernels import verdicts as kernels
from ..profile import Profile
from .comparers import Activations
from .places import place_shape, rows_of_frames

_BOUND = 64  # numbers of samples


class VaryingComparer:
    """A column on a tap whose rows vary from frame to frame: the frame's deviation is that of its worst sample.

    A frame without rows deviates by +inf. shape: of the places of one row, () for one sample a row. rows: (n,) int64,
    those of the frames of the last batch, `Observation.rows`.
    """

    def __init__(self, profile: Profile, column: int, index: int, classes: np.ndarray, deviations: np.ndarray) -> None:
        own = profile.columns[column]
        self._tap, self._criterion = profile.facts.taps[own.tap], own.criterion
        self._signature = profile.signatures[column]
        self.column, self._index = column, index
        self.shape = place_shape(self._tap) or ()
        self._of_frames, self._deviations = classes, deviations
        self._codes = gives_codes(self._tap)
        self.rows = np.zeros(len(classes), np.int64)
        self._reserve(0)

    def _reserve(self, samples: int) -> None:
        """Room for so many samples or more; it doubles, so that few frames find too little."""
        room = 1 << max(samples - 1, 0).bit_length()
        self._room, self._of_rows = room, np.empty(room, np.float32)
        self._classes = np.empty(room, np.int64)
        needs_floats = self._codes and not self._criterion.takes_codes
        self._floats = np.empty((room, self._tap.size), np.float32) if needs_floats else None
        self._bound: dict[int, Comparer] = {}

    def compare(self, seen: Observation) -> None:
        """Write the deviations. Raises ValueError where the rows of the frames are not those of the activations."""
        self.rows = rows_of_frames(seen, self._index, self._tap, len(self._of_frames))
        values = np.ascontiguousarray(seen.activations[self._index])
        if (samples := len(values)) > self._room:
            self._reserve(samples)
        if samples:
            if self._floats is not None:
                np.copyto(self._floats[:samples], values)
                values = self._floats[:samples]
            classes = self._classes[:samples]
            classes[:] = np.repeat(self._of_frames, self.rows)
            self._comparer(samples)(values, classes, self._of_rows[:samples])
        kernels.highest_of_rows(self._of_rows, self.rows, self.column, self._deviations)

    def _comparer(self, samples: int) -> Comparer:
        """What compares so many samples; a few numbers of them are kept."""
        if samples not in self._bound:
            if len(self._bound) == _BOUND:
                self._bound.clear()
            codes = self._codes and self._criterion.takes_codes
            self._bound[samples] = self._criterion.comparer(self._signature, samples, codes)
        return self._bound[samples]

    def worst(self, activations: Activations) -> tuple[np.ndarray, int] | None:
        """The values and the class of the sample of the first frame that deviates most; None where it has none."""
        if not self.rows[0]:
            return None
        row = int(self._of_rows[: self.rows[0]].argmax())
        return activations[self._index][row], int(self._classes[row])

    def maps(self) -> np.ndarray:
        """The deviations of the samples of the last batch: (n, most rows of a frame, *shape), NaN behind the others."""
        places = math.prod(self.shape)
        found = np.full((len(self.rows), self.rows.max(initial=0) // places, places), np.nan, np.float32)
        ends = np.cumsum(self.rows)
        for frame, start, end in zip(found, ends - self.rows, ends, strict=True):
            frame[: (end - start) // places] = self._of_rows[start:end].reshape(-1, places)
        return found.reshape(*found.shape[:2], *self.shape)

    def why(self, frame: int) -> str:
        """Why a frame of the last batch has nothing to be compared with here, or nothing to compare; or ""."""
        label = self._of_frames[frame]
        if not self.rows[frame]:
            return f"no rows at {self._tap.id}: the frame was not judged there"
        if not self._signature.counts[label]:
            return f"no trusted frame of class {label} had rows at {self._tap.id}"
        return ""
