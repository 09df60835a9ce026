"""The history of one stream of frames: whatever makes the verdict of now depend on the frames before it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import Calibration, FrameJudge, Monitor, Status, Verdict
from .checks.repeated import RepeatedOutput
from .drift import DriftTest
from .evidence import Evidence, LogFailure
from .fallback import Fallback
from .frame_check import FrameCheck, InputsCheck, frame_check_of
from .metrics import Metrics
from .moments import PerStream, of_stream
from .safe_output import SafeOutput
from .temporal import TemporalLogic
from .watchdog import Heartbeat, Watchdog

if TYPE_CHECKING:
    from ..log.log import EventLog

DEFAULT = ""
"""The name of the stream of a guard that watches one."""
FRESH = object()
"""The memory of a network that has seen no frame of a stream."""
_LONGEST_NAME, _MOST = 200, 200
_MESSAGE = 500
_OK, _WARN, _ALARM, _FAULT, _STALE = Status  # the class is slow to ask
_verdict = partial(tuple.__new__, Verdict)
_WORDS = {_ALARM: "alarm", _FAULT: "fault", _STALE: "stale frame or silence"}


class Pulse(Heartbeat):
    """The heartbeat of one stream among several; each beat is one of the guard's as well."""

    def __init__(self, whole: Heartbeat) -> None:
        super().__init__()
        self._whole = whole

    def beat(self) -> None:
        super().beat()
        self._whole.beat()


class History:
    """One stream of a guard: its frame check, its logic over time, its last safe output, its counters, its watchdog.

    status: of the stream after its last frame. memory: what the network carried over from that frame, `FRESH` before
    the first one. refusal: why frames of this stream are not judged, mostly empty. nothing: (columns,) float32 of NaN,
    the deviation of a frame that was not judged. tell: called with every exception that became a FAULT.
    """

    def __init__(
        self, name: str, *, check: FrameCheck | InputsCheck, temporal: TemporalLogic, safe: SafeOutput,
        metrics: Metrics, log: EventLog | None, heartbeat: Heartbeat, silence: float | None, deadline: int | None,
        nothing: np.ndarray, tell: Callable[[Exception], None], warns: bool, repeated: RepeatedOutput,
    ) -> None:  # fmt: skip
        self.repeated = repeated
        self.name, self.check, self.temporal, self.safe, self.metrics = name, check, temporal, safe, metrics
        self.evidence = Evidence(metrics, log, name, warns)
        self.heartbeat = heartbeat
        self.watchdog = None if silence is None else Watchdog(heartbeat, silence, self._fell_silent)
        self.status, self._held = _OK, _OK
        self.memory: Any = FRESH
        self.refusal = ""
        self.watching = self.was_silent = False
        self._deadline, self._nothing, self._tell = deadline, nothing, tell
        self._see: Callable[[Verdict], object] | None = getattr(temporal, "see", None)

    def conclude(
        self, output: Any, own: Verdict, began: int, stamp: float | None, stamped: int | None, frame: Any,
        judge: FrameJudge | None,
    ) -> tuple[Any, Verdict]:  # fmt: skip
        """What is handed on of a frame that was judged on its own, by the logic over time, deadline and fallback.

        began: when it was taken, in monotonic nanoseconds. stamp, stamped: by the clock of its recording, as it was
        given and in nanoseconds. judge: what named its neurons, None where nothing did.
        """
        verdict = self.over_time(own)
        spent = time.monotonic_ns() - began
        if self._deadline is not None and spent > self._deadline and own.status < _FAULT:
            late = f"{spent / 1e6:.1f} ms old, expected {self._deadline / 1e6:.1f} ms at most"
            own = restated(own, _STALE, late)
            verdict = self.over_time(own)
        before, status = self.status, verdict.status
        if status >= _ALARM:
            output, verdict = self._act(output, verdict)
            spent, status = time.monotonic_ns() - began, verdict.status
        evidence, covered, trouble = self.evidence, status is _OK, ""
        try:
            microseconds = spent / 1e3
            if evidence.warns and (trouble := evidence.trouble()):
                verdict = evidence.warned(verdict, trouble)
                status = verdict.status
            gap = 0
            if (stamp is not None or self.metrics.stamp_ns is not None) and (stamped is not None or stamp is None):
                gap = self.metrics.stamped(stamped)
            elif stamp is None:
                gap = self.metrics.sight.came(began)
            evidence.count(own, verdict, before, microseconds)
            if evidence.log is not None and (status is not before or own.status >= _ALARM):
                neurons = judge.neurons(verdict.layers) if verdict.layers and judge is not None else ()
                evidence.write_down(own.status, verdict, before, microseconds, neurons, frame)
            if gap and self.watchdog is None and evidence.log is not None:  # which would have told of it
                evidence.put("gap", verdict, verdict.status, f"no frame for {gap / 1e9:.2f} s", gap / 1e3)
        except Exception as error:  # noqa: BLE001 (a loop without evidence is not safe, but goes on)
            if evidence.warns and isinstance(error, LogFailure):
                self._tell(error)
                verdict = verdict if trouble else evidence.warned(verdict, str(error))
                status = verdict.status
            else:
                failed = self._failed(error, verdict)
                if status < _ALARM:
                    output, failed = self._act(output, failed)
                verdict, status = failed, _FAULT
        self.status = status
        if covered and status < _ALARM and self.safe.fallback is not None:
            error_of_copy = self.safe.keep(output)
            if error_of_copy is not None:
                self._tell(error_of_copy)
        return output, verdict

    def checked(self, verdict: Verdict, status: Status, reason: str, judge: FrameJudge) -> Verdict:
        """The verdict with what the frame check said, STALE where the network repeats itself though frames change."""
        stuck = self.repeated.reason(judge, self.check.changed)
        if status is _OK and stuck:
            status, reason = _STALE, stuck
        return verdict if status is _OK else restated(verdict, status, reason)

    def over_time(self, verdict: Verdict) -> Verdict:
        """The verdict of the loop, from that on a frame alone."""
        temporal, status = self.temporal, verdict.status
        try:
            if status >= _FAULT:
                self._held = status
                temporal.force()
                return verdict
            if self._see is not None:
                self._see(verdict)
            active = bool(temporal.update(status is _ALARM, verdict.confidence))
        except Exception as error:  # noqa: BLE001 (a logic of the user's own)
            self._tell(error)
            self._held = _FAULT
            return restated(verdict, _FAULT, f"the logic over time raised {words(error)}")
        if active:
            if status is _ALARM:
                self._held = _ALARM
                return verdict
            self._held = max(self._held, _ALARM)
            ends = "; latched until acknowledge()" if getattr(temporal, "latched", False) else ""
            return restated(verdict, self._held, f"not clear of the last {_WORDS[self._held]} yet{ends}")
        self._held = _OK
        if status is _ALARM:
            return restated(verdict, _WARN, f"{verdict.reason}; not often enough for an alarm")
        return verdict

    def broken(self, status: Status, reason: str) -> Verdict:
        """The verdict on a frame that was not judged."""
        return Verdict(status, np.inf, np.nan, 0.0, -1, self._nothing, (), reason)

    def acknowledge(self) -> None:
        """End a latched alarm, and write that down. Raises OSError where the log does not take it."""
        temporal, status = self.temporal, self.status
        was_latched = getattr(temporal, "active", True) and getattr(temporal, "latched", True)
        temporal.acknowledge()
        if was_latched:
            self.evidence.put("acknowledged", self.broken(status, ""), status, "acknowledged by the caller", 0.0)

    def reset(self) -> None:
        """Forget all frames; the counts stay."""
        self.temporal.reset()
        self.check.reset()
        self.repeated.reset()
        self.metrics.sight.forget()
        self.status = self._held = self.metrics.status = _OK
        self.was_silent = False
        self.safe.last = None
        self.memory = FRESH

    @property
    def status_now(self) -> Status:
        """STALE while the watchdog hears nothing, FAULT where it died; else the status after the last frame."""
        if self.watching and self.watchdog is not None and not self.watchdog.alive:
            return _FAULT
        if self.was_silent or (self.watchdog is not None and self.watchdog.silent):
            return max(_STALE, self.status)
        return self.status

    def watch(self) -> None:
        """Expect frames from now on."""
        if self.watchdog is not None and not self.watching:
            self.heartbeat.beat()
            self.metrics.sight.begin(time.monotonic_ns())
            self.watchdog.start()
        self.watching = True

    def pause(self) -> None:
        """Expect none for a while."""
        self.watching = False
        self.metrics.sight.rest(time.monotonic_ns())
        if self.watchdog is not None:
            self.watchdog.stop()

    def beat_apart(self, whole: Heartbeat) -> None:
        """From now on only frames of this stream count for its watchdog; `whole` counts those of all streams."""
        self.heartbeat = Pulse(whole)
        if self.watchdog is not None:
            self.watchdog.heartbeat = self.heartbeat

    def return_from_silence(self) -> None:
        """A silence is a stale frame to the logic over time, and to the log the status before the next frame."""
        self.was_silent = False
        self.status = max(_STALE, self.status)
        self.over_time(self.broken(_STALE, ""))

    def _act(self, output: Any, verdict: Verdict) -> tuple[Any, Verdict]:
        """What is handed on from ALARM up."""
        output, error = self.safe.apply(output, verdict)
        if error is None:
            return output, verdict
        self._tell(error)
        return output, restated(verdict, _FAULT, f"the fallback raised {words(error)}; {verdict.reason}")

    def _failed(self, error: Exception, verdict: Verdict) -> Verdict:
        """The verdict where the evidence of a frame could not be kept."""
        self._tell(error)
        self._held = _FAULT
        try:
            self.temporal.force()
            self.metrics.status = _FAULT
            self.metrics.counters.log_failures += isinstance(error, LogFailure)
            self.metrics.counters.faults += verdict.status < _FAULT
            self.metrics.counters.episodes += self.status < _ALARM and verdict.status < _ALARM
        except Exception as another:  # noqa: BLE001 (what counts may be what broke)
            self._tell(another)
        reason = f"; {verdict.reason}" if verdict.reason else ""
        return restated(verdict, _FAULT, f"the evidence of the frame was not kept: {words(error)}{reason}")

    def _fell_silent(self, seconds: float) -> None:
        """Called by the watchdog, in its own thread."""
        self.was_silent = True
        self.metrics.counters.silences += 1
        self.metrics.counters.episodes += self.status < _ALARM
        self.metrics.status = _STALE
        verdict = self.broken(_STALE, f"no frame{f' of {self.name}' if self.name else ''} for {seconds:.2f} s")
        self.evidence.put("silence", verdict, self.status, verdict.reason, seconds * 1e6, since_frame=seconds)


class Histories:
    """The streams of a guard by name; `default` is the one without a name, which is always there.

    Every other one has copies of the logic over time and of the drift test that were given, at their start.
    drift: None for the test of each calibration that the streams are held to. names: of all streams there may be;
    without any, the first frame of a stream begins it.
    """

    def __init__(
        self, monitor: Monitor, names: Sequence[str], *, temporal: TemporalLogic, drift: DriftTest | None,
        heartbeat: Heartbeat, frozen: int | None, stuck: int | None, silence: PerStream, fallback: Fallback | None,
        deadline: Any, log: EventLog | None, tell: Callable[[Exception], None], warns: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(names, str):
            raise TypeError(f"expected a list of the names of streams, got the text {names!r}")
        nothing = np.full(len(monitor.columns), np.nan, np.float32)
        nothing.flags.writeable = False
        self._network, self._tell, self._frozen, self._fallback = monitor.network, tell, frozen, fallback
        self._stuck = stuck
        self._own_drift, self._heartbeat = drift is None, heartbeat
        for settings in (silence, deadline):
            if isinstance(settings, Mapping) and names and not settings.keys() <= set(names):
                others = ", ".join(sorted(settings.keys() - set(names)))
                raise ValueError(f"expected settings of streams among {', '.join(names)}, got some of {others}")
        self._silence, self._deadline = silence, deadline
        self._same: dict[str, Any] = {"log": log, "nothing": nothing, "tell": tell, "warns": warns}
        self._calibration: Calibration | None = None
        self.default = self._made(DEFAULT, temporal, drift, heartbeat)
        self._by_name = {DEFAULT: self.default}
        for name in names:
            self._begin(name)
        if len(names):
            self.default.refusal = f"expected a stream among {', '.join(names)}"

    def __iter__(self) -> Iterator[History]:
        """All of them; any thread may ask."""
        return iter(tuple(self._by_name.values()))

    def in_use(self) -> list[History]:
        """Those with a name, and the default one unless it is one of several and has seen nothing."""
        named = [at for at in self if at.name]
        return [self.default, *named] if not named or self.default.metrics.counters.frames else named

    def named(self, stream: str | None) -> list[History]:
        """One stream, or all for None. Raises ValueError for one that there is not."""
        if stream is not None and stream not in self._by_name:
            there = ", ".join(repr(at.name) for at in self.in_use())
            raise ValueError(f"expected a stream among {there}, got {stream!r}")
        return list(self) if stream is None else [self._by_name[stream]]

    def found(self, name: Any, refusal: str) -> tuple[History, str]:
        """A stream, begun where it is new, with the refusal; the default one, and why, for a name that cannot be."""
        try:
            at = self._by_name.get(name)
            if at is None:
                if self.default.refusal:
                    return self.default, f"{self.default.refusal}, got {name!r:.200}"
                at = self._begin(name)
        except Exception as error:  # noqa: BLE001 (the frame is a FAULT, as any that cannot be judged)
            self._tell(error)
            return self.default, words(error)
        return at, refusal

    def close(self) -> None:
        """Leave the log; frames are FAULT from now on."""
        self._same["log"] = None
        for at in self:
            at.metrics.status, at.evidence.log = _FAULT, None

    def leave(self) -> None:
        """In the child of a fork: touch neither log nor heartbeat of the parent; frames are FAULT from now on."""
        self.close()
        self._heartbeat = Heartbeat()
        for at in self:
            at.heartbeat, at.watching = Heartbeat(), False

    def hold_to(self, calibration: Calibration) -> None:
        """Have counters and drift tests speak of a calibration."""
        self._calibration = calibration
        for at in self:
            self._hold(at, calibration)

    def _hold(self, at: History, calibration: Calibration) -> None:
        at.metrics.false_alarm_rate = calibration.false_alarm_rate
        if self._own_drift:
            at.metrics.drift = DriftTest.for_calibration(calibration)

    def _begin(self, name: Any) -> History:
        default = self.default
        if not isinstance(name, str):
            raise TypeError(f"expected the name of a stream as text, got {type(name).__name__}")
        if not 0 < len(name) <= _LONGEST_NAME:
            raise ValueError(f"expected a name of a stream of 1 to {_LONGEST_NAME} characters, got {len(name)}")
        if len(self._by_name) > _MOST:
            raise ValueError(f"expected at most {_MOST} streams, got one more: {name!r}")
        if len(self._by_name) == 1:  # from here on frames of others are none of the default stream
            default.beat_apart(self._heartbeat)
            if not default.metrics.counters.frames:
                default.pause()
        temporal = copy.deepcopy(default.temporal)
        temporal.reset()
        drift = None if self._own_drift else copy.deepcopy(default.metrics.drift)
        if drift is not None:
            drift.reset()
        at = self._made(str(name), temporal, drift, Pulse(self._heartbeat))
        if self._calibration is not None:
            self._hold(at, self._calibration)
        self._by_name = self._by_name | {at.name: at}  # never changed: other threads read it
        default.metrics.streams = {**default.metrics.streams, at.name: at.metrics}
        return at

    def _made(self, name: str, temporal: TemporalLogic, drift: DriftTest | None, heartbeat: Heartbeat) -> History:
        deadline, silence = of_stream(self._deadline, name), of_stream(self._silence, name)
        metrics = Metrics(deadline_us=None if deadline is None else deadline / 1e3, drift=drift, patience=silence)
        check = frame_check_of(self._network.inputs, self._frozen)
        own: dict[str, Any] = {
            "check": check,
            "repeated": RepeatedOutput(self._stuck),
            "safe": SafeOutput(self._fallback),
            "metrics": metrics,
            "temporal": temporal,
            "deadline": deadline,
            "silence": silence,
        }
        return History(name, heartbeat=heartbeat, **own, **self._same)


def restated(verdict: Verdict, status: Status, reason: str) -> Verdict:
    """The same verdict with another status and reason."""
    return _verdict((status, *verdict[1:7], reason, *verdict[8:]))


def words(error: Exception) -> str:
    """The kind and message of an exception; a message that is long is cut, and one that cannot be had is left out."""
    try:
        return f"{type(error).__name__}: {str(error)[:_MESSAGE]}"
    except Exception:  # noqa: BLE001 (its own __str__ may be what is broken)
        return f"{type(error).__name__}, whose message cannot be read"
