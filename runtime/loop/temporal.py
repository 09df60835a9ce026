"""Logics over time: when single alarms become an alarm of the loop, and when that ends."""

from __future__ import annotations

from typing import Any, Protocol


class TemporalLogic(Protocol):
    """Decides from frame to frame whether the loop alarms. active: whether it did at the last `update`.

    latched: whether it stays active until `acknowledge`.
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
        self._alarms = ((self._alarms << 1) | alarmed) & self._alarm_window
        if self._alarms.bit_count() >= self._alarm:
            self.force()
        return self.active

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
