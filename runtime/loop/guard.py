"""The monitor in a control loop: every frame ends in an output and a verdict, whatever breaks."""

from __future__ import annotations

import math
import os
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import FrameJudge, Monitor, NotReadyError, Status, Verdict
from .drift import DriftTest
from .evidence import Evidence
from .fallback import Fallback
from .frame_check import batch_of_one, frame_check_of, noise_for
from .metrics import Metrics
from .moments import moment, stamp_ns
from .safe_output import SafeOutput
from .temporal import KOfN, TemporalLogic
from .watchdog import Heartbeat, Watchdog

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..log.log import EventLog

_MESSAGE = 500
_UNCALIBRATED = "expected a calibrated monitor, got one without a threshold; call profile() and calibrate()"
_OK, _WARN, _ALARM, _FAULT, _STALE = Status  # the class is slow to ask
_verdict = partial(tuple.__new__, Verdict)
_WORDS = {_ALARM: "alarm", _FAULT: "fault", _STALE: "stale frame or silence"}


class Guard:
    """Wraps a calibrated monitor: `output, verdict = guard(frame)`, one frame (*input_shape) at a time.

    frame: a numpy array or a torch tensor; of a network with several inputs a tuple in their order, or a mapping by
    their names. The verdict's status is that of the loop. It is ALARM once k of the last n
    frames exceed their threshold, `alarm` = (k, n); a single one before that gives WARN. It stays until k' of the last
    n' frames do not, `clear` = (k', n'); with `latch`, also until `acknowledge`. Until it is clear, after a FAULT or a
    STALE frame too, a single frame above its threshold is ALARM. `temporal`, a `Cusum` for one, replaces the three.
    FAULT and STALE act at once:
    - FAULT: the frame holds NaN or Inf, has another shape or dtype or is of one colour; `captured` is of another clock
      or `stamp` is no time; the network or the monitor raised.
    - STALE: the verdict came more than `deadline` seconds after the frame was captured (or handed in); `frozen` frames
      in a row had the same bytes; no frame came for `silence` seconds, which a watchdog notices (see `status`).

    No Exception reaches the caller, and none takes the network's output away. Whatever breaks is a FAULT: the counters
    too, or a log that does not take an event. While the status is ALARM, FAULT or STALE the output is what
    `fallback(output, verdict, last_safe)` returns; where that raises, it is `last_safe`. Without a fallback it is the
    network's own, None where the network could not run.

    log: keeps changes of status and alarms, of one guard at a time; close it yourself, after the guard. heartbeat:
    counts frames for a watchdog in another process. drift: tests whether frames alarm more often than calibrated; by
    default `DriftTest.for_calibration`, which tests one of every 30 frames. `metrics` counts each frame by its own
    status, before `alarm` and `clear`. Only one frame is judged at a time; a lock sees to it, and waiting for it counts
    towards the deadline. `frame_check` judges a frame before the network sees it, `watchdog` is None without `silence`.

    After `warm_up` nothing is compiled, and a frame leaves nothing behind but its output and verdict, which are the
    caller's. Python's garbage collector goes on as it is set; `gc.collect(); gc.freeze()` after `warm_up` keeps it from
    going through all that the program holds.
    Raises NotReadyError for a monitor that is not calibrated, ValueError for a setting out of range and for a log that
    is closed or in use by another guard, TypeError for a fallback that is not callable and a log that is no EventLog.
    """

    def __init__(
        self, monitor: Monitor, *, deadline: float | None = None, frozen: int | None = None,
        silence: float | None = None, alarm: tuple[int, int] = (1, 1), clear: tuple[int, int] = (1, 1),
        latch: bool = False, temporal: TemporalLogic | None = None, fallback: Fallback | None = None,
        log: EventLog | None = None, heartbeat: Heartbeat | None = None, drift: DriftTest | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(monitor, Monitor):
            got = type(monitor).__name__
            raise TypeError(f"expected a Monitor, got {got}; Guard.load(profile, network) opens a profile file")
        if monitor.calibration is None:
            raise NotReadyError(_UNCALIBRATED)
        if deadline is not None and not 0 < deadline < math.inf:
            raise ValueError(f"expected a deadline above 0 seconds, got {deadline}")
        if temporal is not None and (alarm, clear, latch) != ((1, 1), (1, 1), False):
            raise ValueError("expected `temporal` or else `alarm`, `clear` and `latch`, got both")
        self._safe = SafeOutput(fallback)
        if log is not None and not hasattr(log, "put"):
            raise TypeError(f"expected an EventLog, got {log!r}; open it with EventLog(path)")
        if getattr(log, "closed", False):
            raise ValueError(f"expected an open log, got {log!r} after close()")
        network = monitor.network
        self.monitor = monitor
        self.heartbeat = Heartbeat() if heartbeat is None else heartbeat
        self.metrics = Metrics(deadline_us=None if deadline is None else deadline * 1e6, drift=drift)
        self.evidence = Evidence(self.metrics, log)
        self.raised: Exception | None = None
        self._own_drift = drift is None
        self._deadline = None if deadline is None else round(deadline * 1e9)
        self.frame_check = frame_check_of(network.inputs, frozen)
        self._temporal = KOfN(alarm, clear, latch) if temporal is None else temporal
        self.watchdog = None if silence is None else Watchdog(self.heartbeat, silence, self._fell_silent)
        self._lock = threading.RLock()  # a fallback may call `reset`
        self.judge: FrameJudge | None = None
        self._nothing = np.full(len(monitor.columns), np.nan, np.float32)
        self._nothing.flags.writeable = False
        self._status, self._held = _OK, _OK
        self._watching = self._was_silent = self._closed = False
        self._hold_to_calibration()

    # The life of a guard: load, warm_up, check (or call), pause, close. They are configure, activate, callback,
    # deactivate and cleanup of a lifecycle node.

    @classmethod
    def load(cls, profile: str | os.PathLike[str], network: Any, **options: Any) -> Self:
        """The guard of a profile file; options as for `Guard`. Raises what `Monitor.load` raises."""
        return cls(Monitor.load(profile, network), **options)

    def warm_up(self, frames: int = 3) -> Self:
        """Run some frames of noise, so that nothing is built or compiled in the loop, and start the watchdog.

        Raises what the network or the monitor raises, so that a guard that cannot work says so before the loop begins,
        and RuntimeError after `close`.
        """
        if self._closed:
            raise RuntimeError("expected an open guard, got one after close(); make a new Guard")
        network = self.monitor.network
        frame = noise_for(network.inputs)
        with self._lock:
            judge = self._bind_judge()
            for _ in range(frames):
                self.frame_check.judge(frame)
                judge(frame, finite=True)
            self.frame_check.reset()
            network.reset()
            self._watch()
        return self

    def __call__(self, frame: Any, captured: float | None = None, stamp: float | None = None) -> tuple[Any, Verdict]:
        """The output for a frame, and the verdict. captured: `time.monotonic()` when the frame was taken.

        stamp: when a frame of a recording was taken, in seconds by the clock of the recording. It goes to the log, so
        that a report speaks of the drive that was recorded.
        """
        began, refusal = time.monotonic_ns(), ""
        if type(frame) is not np.ndarray:
            frame = self.frame_check.taken(frame)
        if captured is not None:
            began, refusal = moment(captured, began)
        stamped = None
        if stamp is not None:
            stamped = stamp_ns(stamp)
            if stamped is None:
                refusal = "expected `stamp` in seconds, got no time"
        with self._lock:
            if self._was_silent:
                self._return_from_silence()
            own_output, own = self._judge(frame, refusal)
            verdict = self._over_time(own)
            spent = time.monotonic_ns() - began
            if self._deadline is not None and spent > self._deadline and own.status < _FAULT:
                late = f"{spent / 1e6:.1f} ms old, expected {self._deadline / 1e6:.1f} ms at most"
                own = self._restated(own, _STALE, late)
                verdict = self._over_time(own)
            output, before = own_output, self._status
            if verdict.status >= _ALARM:
                output, verdict = self._act(own_output, verdict)
                spent = time.monotonic_ns() - began
            try:
                microseconds = spent / 1e3
                if stamped is not None or (stamp is None and self.metrics.stamp_ns is not None):
                    self.metrics.stamped(stamped)
                self.evidence.count(own, verdict, before, microseconds)
                if self.evidence.log is not None and (verdict.status is not before or own.status >= _ALARM):
                    neurons = self.judge.neurons(verdict.layers) if verdict.layers and self.judge is not None else ()
                    self.evidence.write_down(own.status, verdict, before, microseconds, neurons, frame)
            except Exception as error:  # noqa: BLE001 (a loop without evidence is not safe, but goes on)
                failed = self._failed(error, verdict)
                if verdict.status < _ALARM:
                    output, failed = self._act(own_output, failed)
                verdict = failed
            self._status = verdict.status
            if verdict.status is _OK and self._safe.fallback is not None:
                self.raised = self._safe.keep(output) or self.raised
            return output, verdict

    check = __call__

    def pause(self) -> None:
        """Expect no frames for a while: the watchdog rests until the next frame or `warm_up`."""
        with self._lock:
            self._watching = False
            if self.watchdog is not None:
                self.watchdog.stop()

    def close(self) -> None:
        """End the watch and leave the log. Monitor and network stay open; frames handed in from now on are FAULT."""
        with self._lock:
            self._closed = True
            self.metrics.status = _FAULT
            self.pause()
            if self.evidence.log is not None:
                self.evidence.log.detach(self.metrics)
                self.evidence.log = None

    def __enter__(self) -> Self:
        try:
            return self if self._watching else self.warm_up()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def status(self) -> Status:
        """The status of the loop now: STALE while the watchdog hears nothing; FAULT if it died, and after `close`."""
        if self._closed or (self._watching and self.watchdog is not None and not self.watchdog.alive):
            return _FAULT
        if self._was_silent or (self.watchdog is not None and self.watchdog.silent):
            return max(_STALE, self._status)
        return self._status

    def acknowledge(self) -> None:
        """End a latched alarm, and write that down; the loop returns when enough frames are clean.

        Raises OSError where the log does not take it; the alarm is acknowledged all the same.
        """
        temporal, status = self._temporal, self._status
        was_latched = getattr(temporal, "active", True) and getattr(temporal, "latched", True)
        temporal.acknowledge()
        if was_latched:
            self.evidence.put("acknowledged", self._broken(status, ""), status, "acknowledged by the caller", 0.0)

    def reset(self) -> None:
        """Forget all frames, as at the start of another drive, a recurrent network's too; the counts stay."""
        with self._lock:
            self._temporal.reset()
            self.frame_check.reset()
            self.monitor.network.reset()
            self._status = self._held = _OK
            self.metrics.status = _OK
            self._was_silent = False
            self._safe.last = None

    def __repr__(self) -> str:
        return f"Guard({self.monitor!r}, {self._temporal!r}, {self.status.name})"

    # One frame.

    def _judge(self, frame: Any, refusal: str) -> tuple[Any, Verdict]:
        """The network's own output and the verdict on this frame alone. refusal: what is wrong with its time."""
        running: FrameJudge | None = None
        try:
            self.heartbeat.beat()
            if self._closed:
                return None, self._broken(_FAULT, "the guard is closed")
            if not self._watching:
                self._watch()
            if self.watchdog is not None and not self.watchdog.alive:
                return self._run_bare(frame), self._broken(_FAULT, "the watchdog is dead")
            if refusal:
                return self._run_bare(frame), self._broken(_FAULT, refusal)
            status, reason, runs = self.frame_check.judge(frame)
            if not runs:
                return None, self._broken(status, reason)
            judge = self.judge
            if judge is None or judge.calibration is not self.monitor.calibration:
                judge = self._bind_judge()
            running = judge
            output, verdict = judge(frame, finite=status is not _FAULT)
            return output, verdict if status is _OK else self._restated(verdict, status, reason)
        except Exception as error:  # noqa: BLE001 (whatever broke, the loop goes on and is told)
            self.raised = error
            return self._run_bare(frame, running), self._broken(_FAULT, _words(error))

    def _run_bare(self, frame: Any, running: FrameJudge | None = None) -> Any:
        """The network's output where the monitor failed, maybe after it had run; None where the network fails too."""
        try:
            output = None if running is None else running.output_so_far()
            if output is not None:
                return output
            network = self.monitor.network
            return network.unbatched(network.run(batch_of_one(frame)))
        except Exception:  # noqa: BLE001 (the verdict says FAULT already)
            return None

    def _over_time(self, verdict: Verdict) -> Verdict:
        temporal, status = self._temporal, verdict.status
        try:
            if status >= _FAULT:
                self._held = status
                temporal.force()
                return verdict
            active = bool(temporal.update(status is _ALARM, verdict.confidence))
        except Exception as error:  # noqa: BLE001 (a logic of the user's own)
            self.raised = error
            self._held = _FAULT
            return self._restated(verdict, _FAULT, f"the logic over time raised {_words(error)}")
        if active:
            if status is _ALARM:
                self._held = _ALARM
                return verdict
            self._held = max(self._held, _ALARM)
            ends = "; latched until acknowledge()" if getattr(temporal, "latched", False) else ""
            return self._restated(verdict, self._held, f"not clear of the last {_WORDS[self._held]} yet{ends}")
        self._held = _OK
        if status is _ALARM:
            return self._restated(verdict, _WARN, f"{verdict.reason}; not often enough for an alarm")
        return verdict

    def _act(self, output: Any, verdict: Verdict) -> tuple[Any, Verdict]:
        """What is handed on from ALARM up."""
        output, error = self._safe.apply(output, verdict)
        if error is None:
            return output, verdict
        self.raised = error
        return output, self._restated(verdict, _FAULT, f"the fallback raised {_words(error)}; {verdict.reason}")

    def _failed(self, error: Exception, verdict: Verdict) -> Verdict:
        """The verdict where the evidence of a frame could not be kept."""
        self.raised = error
        self._held = _FAULT
        try:
            self._temporal.force()
            self.metrics.status = _FAULT
            self.metrics.counters.faults += verdict.status < _FAULT
            self.metrics.counters.episodes += self._status < _ALARM and verdict.status < _ALARM
        except Exception as another:  # noqa: BLE001 (what counts may be what broke)
            self.raised = another
        reason = f"; {verdict.reason}" if verdict.reason else ""
        return self._restated(verdict, _FAULT, f"the evidence of the frame was not kept: {_words(error)}{reason}")

    def _broken(self, status: Status, reason: str) -> Verdict:
        return Verdict(status, np.inf, np.nan, 0.0, -1, self._nothing, (), reason)

    @staticmethod
    def _restated(verdict: Verdict, status: Status, reason: str) -> Verdict:
        return _verdict((status, *verdict[1:-1], reason))

    # What lasts longer than a frame.

    def _bind_judge(self) -> FrameJudge:
        """The judge of the calibration as it is now."""
        if self._calibration is not self.monitor.calibration:
            self._hold_to_calibration()
        if self.judge is None or self.judge.calibration is not self._calibration:
            self.judge = self.monitor.bind()
        return self.judge

    def _hold_to_calibration(self) -> None:
        """Have counters, drift test and log speak of the calibration as it is now."""
        calibration, metrics = self.monitor.calibration, self.metrics
        if calibration is None:
            raise NotReadyError(_UNCALIBRATED)
        self._calibration = calibration
        metrics.false_alarm_rate = calibration.false_alarm_rate
        if self._own_drift:
            metrics.drift = DriftTest.for_calibration(calibration)
        if self.evidence.log is not None:
            self.evidence.log.attach(
                metrics, network=self.monitor.network.fingerprint, profile=self.monitor.profile_sha256,
                false_alarm_rate=calibration.false_alarm_rate,
            )  # fmt: skip

    def _watch(self) -> None:
        """Expect frames from now on."""
        if self.watchdog is not None and not self._watching:
            self.heartbeat.beat()
            self.watchdog.start()
        self._watching = True

    def _fell_silent(self, seconds: float) -> None:
        """Called by the watchdog, in its own thread."""
        self._was_silent = True
        self.metrics.counters.silences += 1
        self.metrics.counters.episodes += self._status < _ALARM
        self.metrics.status = _STALE
        verdict = self._broken(_STALE, f"no frame for {seconds:.2f} s")
        self.evidence.put("silence", verdict, self._status, verdict.reason, seconds * 1e6, since_frame=seconds)

    def _return_from_silence(self) -> None:
        """A silence is a stale frame to the logic over time, and to the log the status before the next frame."""
        self._was_silent = False
        self._status = max(_STALE, self._status)
        self._over_time(self._broken(_STALE, ""))


def _words(error: Exception) -> str:
    """The kind and message of an exception; a message that is long is cut, and one that cannot be had is left out."""
    try:
        return f"{type(error).__name__}: {str(error)[:_MESSAGE]}"
    except Exception:  # noqa: BLE001 (its own __str__ may be what is broken)
        return f"{type(error).__name__}, whose message cannot be read"
