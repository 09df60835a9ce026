"""Logics over time: when single alarms become an alarm of the loop, and when that ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ...monitor import Status, Verdict

Box = tuple[float, float, float, float]
EVERYWHERE: Box = (float("-inf"), float("-inf"), float("inf"), float("inf"))
"""The box of an alarm that has no region."""
_MOST_REGIONS, _MOST_TRACKS = 16, 32


class TemporalLogic(Protocol):
    """Decides from frame to frame whether the loop alarms. active: whether it did at the last `update`.

    latched: whether it stays active until `acknowledge`. Where it has a method `see(verdict)` too, that is called
    before `update`, with the verdict on the frame alone: for what looks at more than whether it alarmed.
    """

    __slots__ = ()
    active: bool
    latched: bool

    def update(self, alarmed: bool, confidence: float) -> bool:
        """Take in one frame and return the new `active`. confidence: of the frame, in [0, 1]."""

    def force(self) -> None:
        """Become active at once: a fault waits for no second frame."""

    def acknowledge(self) -> None:
        """End a latched alarm; it clears by its own rule from here on."""

    def reset(self) -> None:
        """Forget every frame."""


class _Latched(TemporalLogic):
    """What both logics share: an alarm that may latch."""

    __slots__ = "_latch", "active", "latched"

    def __init__(self, latch: bool) -> None:
        self._latch = latch
        self.reset()

    def force(self) -> None:
        self.latched = self._latch  # before it is active: a Ctrl-C in between leaves no alarm without its latch
        self.active = True

    def acknowledge(self) -> None:
        self.latched = False

    def reset(self) -> None:
        self.active = self.latched = False


class KOfN(_Latched):
    """Alarms when k of the last n frames alarm. Ends on a frame without an alarm, once k' of the last n' had none.

    alarm: (k, n), counted since the last alarm ended. clear: (k', n'), counted since the alarm began.
    latch: the alarm stays until `acknowledge`; a fault after that latches it anew.
    Raises ValueError unless 1 <= k <= n <= 4096 for both.
    """

    _alarms: int
    _clean: int
    __slots__ = "_alarm", "_alarm_window", "_alarms", "_clean", "_clear", "_clear_window", "_text"

    def __init__(self, alarm: tuple[int, int] = (1, 1), clear: tuple[int, int] = (1, 1), latch: bool = False) -> None:
        for name, window in (("alarm", alarm), ("clear", clear)):
            if not _is_window(window):
                raise ValueError(f"expected {name} as (k, n) with 1 <= k <= n <= 4096, got {window}")
        self._alarm, self._alarm_window = alarm[0], (1 << alarm[1]) - 1
        self._clear, self._clear_window = clear[0], (1 << clear[1]) - 1
        self._text = f"KOfN(alarm={alarm}, clear={clear}, latch={latch})"
        super().__init__(latch)

    def update(self, alarmed: bool, confidence: float) -> bool:
        if not (alarmed or self._alarms or self.active):
            return False
        if self.active:
            self._clean = ((self._clean << 1) | (not alarmed)) & self._clear_window
            if alarmed or self.latched or self._clean.bit_count() < self._clear:
                return True
            self.reset()
        if self._often(alarmed):
            self.force()
        return self.active

    def _often(self, alarmed: bool) -> bool:
        """Take a frame in that may begin an alarm: whether there were enough of late."""
        self._alarms = ((self._alarms << 1) | alarmed) & self._alarm_window
        return self._alarms.bit_count() >= self._alarm

    def force(self) -> None:
        self._clean = 0
        super().force()

    def reset(self) -> None:
        super().reset()
        self._alarms = self._clean = 0

    def __repr__(self) -> str:
        return self._text


def logic_of(
    temporal: TemporalLogic | None, alarm: tuple[int, int], clear: tuple[int, int], latch: bool
) -> TemporalLogic:
    """The logic that was given, or `KOfN` of the rest. Raises ValueError where both were given."""
    if temporal is not None and (alarm, clear, latch) != ((1, 1), (1, 1), False):
        raise ValueError("expected `temporal` or else `alarm`, `clear` and `latch`, got both")
    return KOfN(alarm, clear, latch) if temporal is None else temporal


def _is_window(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and 1 <= value[0] <= value[1] <= 4096


class Cusum(_Latched):
    """One-sided CUSUM on the confidence (Page, 1954): S = max(0, S + reference - confidence), alarm when S > limit.

    The alarm ends when S is back at 0. reference: the confidence that neither raises nor lowers S. A score at its
    threshold has confidence 1/2. limit: in units of confidence times frames. latch: the alarm stays until
    `acknowledge`.
    Raises ValueError unless 0 < reference < 1 and limit > 0.
    """

    sum: float
    __slots__ = "_limit", "_reference", "sum"

    def __init__(self, reference: float = 0.5, limit: float = 1.0, latch: bool = False) -> None:
        if not (0 < reference < 1 and limit > 0):
            raise ValueError(f"expected 0 < reference < 1 and limit > 0, got {reference} and {limit}")
        self._reference, self._limit = reference, limit
        super().__init__(latch)

    def update(self, alarmed: bool, confidence: float) -> bool:
        step = self._reference - (confidence if confidence == confidence else 0.0)  # noqa: PLR0124 (NaN)
        if alarmed and step < 0:
            step = 0.0
        self.sum = min(max(0.0, self.sum + step), 2 * self._limit)
        if self.sum > self._limit:
            if not self.active:
                super().force()
        elif self.active and not (alarmed or self.latched) and self.sum == 0:
            self.active = False
        return self.active

    def force(self) -> None:
        self.sum = 2 * self._limit
        super().force()

    def reset(self) -> None:
        super().reset()
        self.sum = 0.0

    def __repr__(self) -> str:
        return f"Cusum(reference={self._reference}, limit={self._limit}, latch={self._latch})"


class RegionsKOfN(KOfN):
    """Alarms when one region was there in k of the last n frames, of a monitor that judges places.

    A region counts in a frame that alarms, where it alone would make it alarm (`Places.above`). It is the same as one
    of a frame before where their boxes overlap: `overlap` is the least share, `of` the "smaller" box or of the "union"
    of both (intersection over union). A region is followed from box to box, so that it may move and grow; pairs with
    more overlap go first. Alarms at other places do not add up. A frame that alarms without a region, as one that
    deviates beyond all numbers, counts for every region.
    alarm, clear, latch: as for `KOfN`; an alarm ends when k' of n' frames have none, wherever it was.
    box: (left, top, right, bottom) of the region that began the alarm, in pixels of the network's input; None without
    an alarm, and where no region or a fault began it. At most 16 regions of a frame count, and 32 are followed.
    Raises ValueError as `KOfN` does, and unless 0 < overlap <= 1 and `of` is one of the two.
    """

    box: Box | None
    _tracks: list[_Track]
    _seen: Sequence[Box]
    __slots__ = "_of_union", "_overlap", "_seen", "_tracks", "box"

    def __init__(
        self, alarm: tuple[int, int] = (1, 1), clear: tuple[int, int] = (1, 1), overlap: float = 0.3,
        latch: bool = False, of: str = "smaller",
    ) -> None:  # fmt: skip
        if not 0 < overlap <= 1:
            raise ValueError(f"expected an overlap above 0, up to 1, got {overlap!r}")
        if of not in ("smaller", "union"):
            raise ValueError(f"expected the overlap of 'smaller' or 'union', got {of!r}")
        self._overlap, self._of_union = float(overlap), of == "union"
        super().__init__(alarm, clear, latch)
        self._text = f"RegionsKOfN(alarm={alarm}, clear={clear}, overlap={overlap}, latch={latch}, of={of!r})"

    def see(self, verdict: Verdict) -> None:
        """Take the regions of a frame that alarms."""
        places = verdict.places
        regions = () if places is None or verdict.status is not Status.ALARM else places.above(verdict.threshold)
        self._seen = [region.box for region in regions[:_MOST_REGIONS]]

    def update(self, alarmed: bool, confidence: float) -> bool:
        begins = not self.active
        active = super().update(alarmed, confidence)
        if active and begins and self._tracks[0].box != EVERYWHERE:
            self.box = self._tracks[0].box
        self._seen = ()
        return active

    def _often(self, alarmed: bool) -> bool:
        for track in self._tracks:
            track.times = (track.times << 1) & self._alarm_window
        if alarmed:
            self._follow(self._seen or (EVERYWHERE,))
        self._tracks = sorted((one for one in self._tracks if one.times), key=_Track.count, reverse=True)[:_MOST_TRACKS]
        self._alarms = len(self._tracks)
        return bool(self._tracks) and self._tracks[0].count() >= self._alarm

    def _follow(self, boxes: Sequence[Box]) -> None:
        """Tell which of the regions followed each of these is; the others are new."""
        if boxes == (EVERYWHERE,) and self._tracks:
            for track in self._tracks:
                track.times |= 1
            return
        pairs = [
            (share, t, b)
            for b, box in enumerate(boxes)
            for t, track in enumerate(self._tracks)
            if (share := overlap(track.box, box, of_union=self._of_union)) >= self._overlap
        ]
        taken: set[int] = set()
        for _, t, b in sorted(pairs, key=lambda pair: -pair[0]):
            track = self._tracks[t]
            if b not in taken and not track.times & 1:
                track.box, track.times = boxes[b], track.times | 1
                taken.add(b)
        self._tracks += [_Track(box) for b, box in enumerate(boxes) if b not in taken]

    def reset(self) -> None:
        super().reset()
        self._tracks, self._seen, self.box = [], (), None

    def force(self) -> None:
        self.box = None
        super().force()


class _Track:
    """A region that is followed: where it was last, and in which of the last frames, a bit each."""

    __slots__ = "box", "times"

    def __init__(self, box: Box) -> None:
        self.box, self.times = box, 1

    def count(self) -> int:
        """In how many frames it was."""
        return self.times.bit_count()


def overlap(a: Box, b: Box, *, of_union: bool = False) -> float:
    """The share that two boxes (left, top, right, bottom) have in common: of the smaller, or of their union.

    What is `EVERYWHERE` overlaps with all by 1. A box without an area overlaps with none.
    """
    if EVERYWHERE in (a, b):
        return 1.0
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (wide > 0 and tall > 0):
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return wide * tall / (sum(areas) - wide * tall if of_union else min(areas))
