"""The monitor in a control loop: every frame ends in an output and a verdict, whatever breaks."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..monitor import Monitor, NotReadyError, Status, Verdict
from .drift import DriftTest
from .events import Event
from .fallback import Fallback
from .frame_check import FrameCheck
from .metrics import Metrics
from .temporal import KOfN, TemporalLogic
from .watchdog import Heartbeat, Watchdog

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..networks import Network
    from .event_log import EventLog

_WORDS = {Status.ALARM: "alarm", Status.FAULT: "fault", Status.STALE: "stale frame"}


class Guard:
    """Wraps a calibrated monitor: `output, verdict = guard(frame)`, one frame (*input_shape) at a time.

    The verdict's status is that of the loop: ALARM once `alarm` = (k, n), k of the last n frames, exceed their
    threshold (a single one before that gives WARN), until `clear` = (k', n') frames do not; with `latch`, until
    `acknowledge`. `temporal` takes the place of the three, `Cusum` for one. FAULT and STALE act at once:
    - FAULT: the frame holds NaN or Inf, has another shape or dtype, is of one value; network or monitor raised.
    - STALE: the verdict came more than `deadline` seconds after the frame was captured (or handed in); the same bytes
      for `frozen` frames in a row; no frame for `silence` seconds, which a watchdog notices: see `status`.

    Nothing the monitor raises reaches the caller, and nothing of it takes the network's output away. While the status
    is ALARM, FAULT or STALE the output is what `fallback(output, verdict, last_safe)` makes of it; without one the
    network's own, None where the network could not run. log: keeps changes of status and alarms; close it yourself.
    heartbeat: counts frames for a watchdog in another process. drift: tests while the loop is calm whether frames
    alarm more often than calibrated; one of every 30 frames by default. `metrics` counts it all, each frame by its own
    status, before `alarm` and `clear`. Frames are handed in one at a time: a lock sees to it.
    Raises NotReadyError for a monitor that is not calibrated, ValueError for a setting out of range.
    """

    def __init__(
        self,
        monitor: Monitor,
        *,
        deadline: float | None = None,
        frozen: int | None = None,
        silence: float | None = None,
        alarm: tuple[int, int] = (1, 1),
        clear: tuple[int, int] = (1, 1),
        latch: bool = False,
        temporal: TemporalLogic | None = None,
        fallback: Fallback | None = None,
        log: EventLog | None = None,
        heartbeat: Heartbeat | None = None,
        drift: DriftTest | None = None,
    ) -> None:
        if monitor.calibration is None:
            raise NotReadyError("expected a calibrated monitor, got one without a threshold; call calibrate()")
        if deadline is not None and not deadline > 0:
            raise ValueError(f"expected a deadline above 0 seconds, got {deadline}")
        network = monitor.network
        self.monitor = monitor
        self.heartbeat = heartbeat or Heartbeat()
        rate = monitor.calibration.false_alarm_rate
        self.metrics = Metrics(
            false_alarm_rate=rate,
            deadline_us=None if deadline is None else deadline * 1e6,
            drift=drift or DriftTest(rate),
        )
        self.raised: Exception | None = None
        self._deadline = None if deadline is None else round(deadline * 1e9)
        self._check_frame = FrameCheck(network.input_shape, getattr(network, "dtype", "float32"), frozen)
        self._temporal = temporal or KOfN(alarm, clear, latch)
        self._fallback, self._log = fallback, log
        self._watchdog = None if silence is None else Watchdog(self.heartbeat, silence, self._fell_silent)
        self._lock = threading.Lock()
        self._nothing = np.full(len(monitor.columns), np.nan, np.float32)
        self._nothing.flags.writeable = False
        self._status, self._held = Status.OK, Status.OK
        self._last_safe: Any = None
        self._warm = self._closed = False

    # The life of a guard: load, warm_up, check (or call), close. They map one to one on a lifecycle node's configure,
    # activate, its callback, and cleanup.

    @classmethod
    def load(cls, profile: str | os.PathLike[str], network: Network, **options: Any) -> Self:
        """The guard of a profile file; options as for `Guard`. Raises what `Monitor.load` raises."""
        return cls(Monitor.load(profile, network), **options)

    def warm_up(self, frames: int = 3) -> Self:
        """Run some frames of noise, so that nothing is built or compiled in the loop, and start the watchdog.

        Raises what network or monitor raise: a guard that cannot work says so before the loop begins.
        """
        network = self.monitor.network
        shape = tuple(1 if size is None else size for size in network.input_shape)
        noise = np.random.default_rng(0).random(shape, np.float32)
        dtype = np.dtype(getattr(network, "dtype", "float32"))
        frame = (noise * 255).astype(dtype) if dtype.kind in "iu" else noise.astype(dtype)
        for _ in range(frames):
            self._check_frame.judge(frame)
            self.monitor(frame)
        self._check_frame.reset()
        if self._watchdog is not None and not self._warm:
            self.heartbeat.beat()
            self._watchdog.start()
        self._warm = True
        return self

    def __call__(self, frame: Any, captured: float | None = None) -> tuple[Any, Verdict]:
        """The output for a frame, and the verdict. captured: `time.monotonic()` when the frame was taken."""
        with self._lock:
            began = time.monotonic_ns() if captured is None else round(captured * 1e9)
            self.heartbeat.beat()
            output, own = self._judge(frame, began)
            verdict = self._over_time(own)
            if verdict.status < Status.ALARM:
                self._last_safe = output
            elif self._fallback is not None:
                output, verdict = self._fall_back(output, verdict)
            before, self._status = self._status, verdict.status
            microseconds = (time.monotonic_ns() - began) / 1e3
            self._count(own, verdict, before, microseconds)
            if self._log is not None and (verdict.status != before or own.alarm):
                self._write_down(own, verdict, before, frame, microseconds)
            return output, verdict

    check = __call__

    def close(self) -> None:
        """End the watch. The monitor and its network stay open; frames handed in from now on are FAULT."""
        self._closed = True
        if self._watchdog is not None:
            self._watchdog.stop()

    def __enter__(self) -> Self:
        return self if self._warm else self.warm_up()

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def status(self) -> Status:
        """The status of the loop now: STALE as well while the watchdog hears nothing."""
        if self._watchdog is not None and self._watchdog.silent:
            return max(Status.STALE, self._status)
        return self._status

    def acknowledge(self) -> None:
        """End a latched alarm; the loop returns when enough frames are clean."""
        self._temporal.acknowledge()

    def reset(self) -> None:
        """Forget all frames, as at the start of another drive; the counts stay."""
        with self._lock:
            self._temporal.reset()
            self._check_frame.reset()
            self._status = self._held = Status.OK
            self._last_safe = None

    def __repr__(self) -> str:
        return f"Guard({self.monitor!r}, {self._temporal!r}, {self.status.name})"

    # One frame.

    def _judge(self, frame: Any, began: int) -> tuple[Any, Verdict]:
        """The network's own output and the verdict on this frame alone."""
        output = None
        try:
            if self._closed:
                return None, self._broken(Status.FAULT, "the guard is closed")
            if self._watchdog is not None and not self._watchdog.alive and self._warm:
                return self._run_bare(frame), self._broken(Status.FAULT, "the watchdog is dead")
            refusal = self._check_frame.refusal(frame)
            if refusal:
                return None, self._broken(Status.FAULT, refusal)
            status, reason = self._check_frame.judge(frame)
            output, verdict = self.monitor(frame)
            if status != Status.OK:
                verdict = self._restated(verdict, status, reason)
        except Exception as error:  # noqa: BLE001 (whatever broke, the loop goes on and is told)
            self.raised = error
            output = self._run_bare(frame)
            verdict = self._broken(Status.FAULT, f"{type(error).__name__}: {error}")
        late = time.monotonic_ns() - began
        if self._deadline is not None and late > self._deadline and verdict.status < Status.FAULT:
            allowed = self._deadline / 1e6
            verdict = self._restated(
                verdict, Status.STALE, f"{late / 1e6:.1f} ms old, expected {allowed:.1f} ms at most"
            )
        return output, verdict

    def _run_bare(self, frame: Any) -> Any:
        """The network's output where the monitor failed; None where the network fails too."""
        try:
            output = self.monitor.network.run(frame[None])
            return tuple(value[0] for value in output) if isinstance(output, tuple) else output[0]
        except Exception:  # noqa: BLE001 (the verdict says FAULT already)
            return None

    def _over_time(self, verdict: Verdict) -> Verdict:
        temporal, status = self._temporal, verdict.status
        if status >= Status.FAULT:
            temporal.force()
            self._held = status
            return verdict
        active = temporal.update(status == Status.ALARM, verdict.confidence)
        if active:
            if status == Status.ALARM:
                self._held = max(self._held, status)
                return verdict
            self._held = max(self._held, Status.ALARM)
            return self._restated(verdict, self._held, f"not clear of the last {_WORDS[self._held]} yet")
        self._held = Status.OK
        if status == Status.ALARM:
            return self._restated(verdict, Status.WARN, f"{verdict.reason}; not often enough for an alarm")
        return verdict

    def _fall_back(self, output: Any, verdict: Verdict) -> tuple[Any, Verdict]:
        try:
            return self._fallback(output, verdict, self._last_safe), verdict  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001 (a fallback that fails must not end the loop)
            self.raised = error
            reason = f"the fallback raised {type(error).__name__}: {error}; {verdict.reason}"
            return self._last_safe, self._restated(verdict, Status.FAULT, reason)

    def _broken(self, status: Status, reason: str) -> Verdict:
        return Verdict(status, np.inf, np.nan, 0.0, -1, self._nothing, (), reason)

    @staticmethod
    def _restated(verdict: Verdict, status: Status, reason: str) -> Verdict:
        return Verdict(
            status, verdict.score, verdict.threshold, verdict.confidence, verdict.prediction, verdict.deviation,
            verdict.layers, reason,
        )  # fmt: skip

    # Evidence.

    def _count(self, own: Verdict, verdict: Verdict, before: Status, microseconds: float) -> None:
        metrics = self.metrics
        metrics.record(own.status, own.score, own.threshold, microseconds)
        metrics.counters.episodes += before < Status.ALARM <= verdict.status
        calm = before < Status.ALARM and own.status < Status.FAULT
        if calm and metrics.drift is not None and metrics.drift.update(own.status == Status.ALARM):
            self._put("drift", verdict, before, metrics.drift.message, microseconds)

    def _write_down(self, own: Verdict, verdict: Verdict, before: Status, frame: Any, microseconds: float) -> None:
        """An event for a change of status and for every frame that alarms; at most one picture a second."""
        kind = "status" if verdict.status != before else own.status.name.lower()
        self._put(kind, verdict, before, verdict.reason, microseconds)
        if own.alarm and isinstance(frame, np.ndarray) and self._log is not None:
            self._log.thumbnail(self.heartbeat.count, frame)

    def _put(self, kind: str, verdict: Verdict, before: Status, reason: str, microseconds: float) -> None:
        if self._log is None:
            return
        self._log.put(
            Event(
                kind, self.heartbeat.count, time.time_ns(), time.monotonic_ns(), verdict.status, before, verdict.score,
                verdict.threshold, verdict.confidence, verdict.prediction, verdict.layers, reason, microseconds,
            )
        )  # fmt: skip

    def _fell_silent(self, seconds: float) -> None:
        """Called by the watchdog, in its own thread."""
        verdict = self._broken(Status.STALE, f"no frame for {seconds:.2f} s")
        self._put("silence", verdict, self._status, verdict.reason, seconds * 1e6)
