"""The monitor in a control loop: every frame ends in an output and a verdict, whatever breaks."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from ..monitor import FramePlan, Monitor, NotReadyError, Status, Verdict
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

_MESSAGE = 500
_OK, _ALARM, _FAULT = Status.OK, Status.ALARM, Status.FAULT  # the class is slow to ask
_WORDS = {Status.ALARM: "alarm", Status.FAULT: "fault", Status.STALE: "stale frame"}


class Guard:
    """Wraps a calibrated monitor: `output, verdict = guard(frame)`, one frame (*input_shape) at a time.

    The verdict's status is that of the loop: ALARM once `alarm` = (k, n), k of the last n frames, exceed their
    threshold (a single one before that gives WARN), until `clear` = (k', n') frames do not; with `latch`, until
    `acknowledge`. `temporal` takes the place of the three, `Cusum` for one. FAULT and STALE act at once:
    - FAULT: the frame holds NaN or Inf, has another shape or dtype, is of one colour; network or monitor raised.
    - STALE: the verdict came more than `deadline` seconds after the frame was captured (or handed in); the same bytes
      for `frozen` frames in a row; no frame for `silence` seconds, which a watchdog notices: see `status`.

    Nothing that is raised on the way reaches the caller (but KeyboardInterrupt and its like), and nothing of it takes
    the network's output away: whatever breaks, the log and the counters too, is a FAULT. While the status is ALARM,
    FAULT or STALE the output is what `fallback(output, verdict, last_safe)` makes of it; without one the network's
    own, None where the network could not run. log: keeps changes of status and alarms; close it yourself.
    heartbeat: counts frames for a watchdog in another process. drift: tests while the loop is calm whether frames
    alarm more often than calibrated; one of every 30 frames by default. `metrics` counts it all, each frame by its own
    status, before `alarm` and `clear`. Frames are handed in one at a time: a lock sees to it.

    After `warm_up` nothing is compiled, and nothing is made of a frame but its output and verdict; both stay as they
    are. Only a network opened with `buffers=1` lends its outputs until the next frame, which saves a copy. Python's
    garbage collector is left alone; `gc.collect(); gc.freeze()` after `warm_up` keeps it, when it runs, from going
    through all that the program holds.
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
        if log is not None and not log.attached:
            log.attach(self.metrics, network=network.fingerprint, profile=monitor.profile_sha256, false_alarm_rate=rate)
        self._watchdog = None if silence is None else Watchdog(self.heartbeat, silence, self._fell_silent)
        self._lock = threading.RLock()  # a fallback may call `reset`
        self._plan: FramePlan | None = None
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
        with self._lock:
            plan = self._plan = self.monitor.frame_plan()
            for _ in range(frames):
                self._check_frame.judge(frame)
                plan(frame, finite=True)
            self._check_frame.reset()
        if self._watchdog is not None and not self._warm:
            self.heartbeat.beat()
            self._watchdog.start()
        self._warm = True
        return self

    def __call__(self, frame: Any, captured: float | None = None) -> tuple[Any, Verdict]:
        """The output for a frame, and the verdict. captured: `time.monotonic()` when the frame was taken."""
        with self._lock:
            moment = time.monotonic_ns() if captured is None else _nanoseconds(captured)
            began = time.monotonic_ns() if moment is None else moment
            own_output, own = self._judge(frame, moment)
            verdict = self._over_time(own)
            output, before = own_output, self._status
            if verdict.status >= _ALARM:
                output, verdict = self._act(own_output, verdict)
            try:
                microseconds = (time.monotonic_ns() - began) / 1e3
                self._count(own, verdict, before, microseconds)
                if self._log is not None and (verdict.status != before or own.status >= _ALARM):
                    self._write_down(own, verdict, before, frame, microseconds)
            except Exception as error:  # noqa: BLE001 (a loop without evidence is not safe, but goes on)
                failed = self._failed(error, verdict)
                if verdict.status < _ALARM:
                    output, failed = self._act(own_output, failed)
                verdict = failed
            self._status = verdict.status
            if verdict.status is _OK and self._fallback is not None:
                self._keep(output)
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

    def _judge(self, frame: Any, began: int | None) -> tuple[Any, Verdict]:
        """The network's own output and the verdict on this frame alone. began: None for a time that is none."""
        output = None
        try:
            self.heartbeat.beat()
            if self._closed:
                return None, self._broken(_FAULT, "the guard is closed")
            if self._watchdog is not None and not self._watchdog.alive and self._warm:
                return self._run_bare(frame), self._broken(_FAULT, "the watchdog is dead")
            if began is None:
                return self._run_bare(frame), self._broken(_FAULT, "expected `captured` in seconds, got no number")
            status, reason, runs = self._check_frame.judge(frame)
            if not runs:
                return None, self._broken(status, reason)
            plan = self._plan
            if plan is None or plan.calibration is not self.monitor.calibration:
                plan = self._plan = self.monitor.frame_plan()
            output, verdict = plan(frame, finite=status is not _FAULT)
            if status is not _OK:
                verdict = self._restated(verdict, status, reason)
            if self._deadline is not None:
                late = time.monotonic_ns() - began
                if late > self._deadline and verdict.status < _FAULT:
                    allowed = self._deadline / 1e6
                    verdict = self._restated(
                        verdict, Status.STALE, f"{late / 1e6:.1f} ms old, expected {allowed:.1f} ms at most"
                    )
        except Exception as error:  # noqa: BLE001 (whatever broke, the loop goes on and is told)
            self.raised = error
            output = self._run_bare(frame) if output is None else output
            verdict = self._broken(_FAULT, _words(error))
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
        try:
            if status >= _FAULT:
                temporal.force()
                self._held = status
                return verdict
            active = temporal.update(status is _ALARM, verdict.confidence)
        except Exception as error:  # noqa: BLE001 (a logic of the user's own)
            self.raised = error
            self._held = _FAULT
            return self._restated(verdict, _FAULT, f"the logic over time raised {_words(error)}")
        if active:
            if status is _ALARM:
                self._held = max(self._held, status)
                return verdict
            self._held = max(self._held, _ALARM)
            return self._restated(verdict, self._held, f"not clear of the last {_WORDS[self._held]} yet")
        self._held = _OK
        if status is _ALARM:
            return self._restated(verdict, Status.WARN, f"{verdict.reason}; not often enough for an alarm")
        return verdict

    def _act(self, output: Any, verdict: Verdict) -> tuple[Any, Verdict]:
        """What is handed on from ALARM up: what the fallback makes of the output."""
        if self._fallback is None:
            return output, verdict
        try:
            return self._fallback(output, verdict, self._last_safe), verdict
        except Exception as error:  # noqa: BLE001 (a fallback that fails must not end the loop)
            self.raised = error
            reason = f"the fallback raised {_words(error)}; {verdict.reason}"
            return self._last_safe, self._restated(verdict, _FAULT, reason)

    def _keep(self, output: Any) -> None:
        """Remember the output of a frame that is OK; a copy where it will not stay as it is."""
        lent = self._plan is not None and self._plan.lends
        self._last_safe = _copied(output) if lent else output

    def _failed(self, error: Exception, verdict: Verdict) -> Verdict:
        """The verdict where the evidence of a frame could not be kept."""
        self.raised = error
        self._held = _FAULT
        try:
            self._temporal.force()
            self.metrics.counters.faults += verdict.status < _FAULT
        except Exception as another:  # noqa: BLE001 (what counts may be what broke)
            self.raised = another
        return self._restated(verdict, _FAULT, f"the evidence of the frame was not kept: {_words(error)}")

    def _broken(self, status: Status, reason: str) -> Verdict:
        return Verdict(status, np.inf, np.nan, 0.0, -1, self._nothing, (), reason)

    @staticmethod
    def _restated(verdict: Verdict, status: Status, reason: str) -> Verdict:
        return verdict._replace(status=status, reason=reason)

    # Evidence.

    def _count(self, own: Verdict, verdict: Verdict, before: Status, microseconds: float) -> None:
        metrics, status = self.metrics, own.status
        metrics.record(status, own.score, own.threshold, microseconds)
        if before >= _ALARM:
            return
        if verdict.status >= _ALARM:
            metrics.counters.episodes += 1
        drift = metrics.drift
        if drift is not None and status < _FAULT and drift.update(status is _ALARM):
            self._put("drift", verdict, before, drift.message, microseconds)

    def _write_down(self, own: Verdict, verdict: Verdict, before: Status, frame: Any, microseconds: float) -> None:
        """An event for a change of status and for every frame that alarms; at most one picture a second."""
        kind = "status" if verdict.status != before else own.status.name.lower()
        neurons = self._plan.neurons(verdict.layers) if verdict.layers and self._plan is not None else ()
        self._put(kind, verdict, before, verdict.reason, microseconds, neurons)
        if own.alarm and isinstance(frame, np.ndarray) and self._log is not None:
            self._log.thumbnail(self.metrics.counters.frames, frame)

    def _put(
        self, kind: str, verdict: Verdict, before: Status, reason: str, microseconds: float,
        neurons: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        if self._log is None:
            return
        self._log.put(
            Event(
                kind, self.metrics.counters.frames, time.time_ns(), time.monotonic_ns(), verdict.status, before,
                verdict.score, verdict.threshold, verdict.confidence, verdict.prediction, verdict.layers, reason,
                microseconds, neurons,
            )
        )  # fmt: skip

    def _fell_silent(self, seconds: float) -> None:
        """Called by the watchdog, in its own thread."""
        verdict = self._broken(Status.STALE, f"no frame for {seconds:.2f} s")
        self._put("silence", verdict, self._status, verdict.reason, seconds * 1e6)


def _nanoseconds(seconds: Any) -> int | None:
    try:
        return round(seconds * 1e9)
    except Exception:  # noqa: BLE001 (NaN, infinity, or no number at all)
        return None


def _words(error: Exception) -> str:
    """The kind and message of an exception; a message that is long is cut, and one that cannot be had is left out."""
    try:
        return f"{type(error).__name__}: {str(error)[:_MESSAGE]}"
    except Exception:  # noqa: BLE001 (its own __str__ may be what is broken)
        return f"{type(error).__name__}, whose message cannot be read"


def _copied(output: Any) -> Any:
    return tuple(map(_copied, output)) if isinstance(output, tuple) else np.array(output)
