"""The monitor in a control loop: every frame ends in an output and a verdict, whatever breaks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import FrameJudge, Monitor, NotReadyError, Status, Verdict
from ...monitor.attributes import strict
from ..forks import forked, left_by_forks
from .drift import DriftTest
from .evidence import OnLogFailure, check_log
from .fallback import Fallback
from .frame_check import batch_of_one
from .history import DEFAULT, FRESH, Histories, History, words
from .moments import NO_TIME, PerStream, deadline_ns, each, moment, of_stream, stamp_ns, times
from .temporal import TemporalLogic, logic_of
from .together import Checked, Entry, Judged, Together, is_finite, lock_of
from .watchdog import Heartbeat

if TYPE_CHECKING:
    from typing_extensions import Self

    from ..log.log import EventLog

_UNCALIBRATED = "expected a calibrated monitor, got one without a threshold; call profile() and calibrate()"
_OK, _FAULT = Status.OK, Status.FAULT  # the class is slow to ask


@strict
class Guard:
    """Wraps a calibrated monitor: `output, verdict = guard(frame)`, one frame (*input_shape) at a time.

    frame: a numpy array or a torch tensor; of a network with several inputs a tuple in their order, or a mapping by
    their names. The verdict's status is that of the loop. It is ALARM once k of the last n frames exceed their
    threshold, `alarm` = (k, n); a single one before that gives WARN. It stays until k' of the last n' frames do not,
    `clear` = (k', n'); with `latch`, also until `acknowledge`. Until it is clear, after a FAULT or a STALE frame too, a
    single frame above its threshold is ALARM. `temporal` replaces the three: a `Cusum`, or `RegionsKOfN`.
    FAULT and STALE act at once:
    - FAULT: the frame holds NaN or Inf, has another shape or dtype or is of one colour; `captured` is of another clock
      or `stamp` is no time; the network or the monitor raised.
    - STALE: the verdict came more than `deadline` seconds after the frame was captured (or handed in); `frozen` frames
      in a row had the same bytes, or `stuck` that differ the same scores and neurons, to the last bit (not of `many`);
      a watchdog heard of no frame for `silence` seconds (see `status`).

    No Exception reaches the caller, and none takes the network's output away. Whatever breaks is a FAULT: the counters
    too, or a log that does not take an event. While the status is ALARM, FAULT or STALE the output is what
    `fallback(output, verdict, last_safe)` returns, `last_safe` where that raises; without one the network's, or None.

    log: keeps changes of status and alarms, of one guard at a time; close it yourself, after the guard. log_failure:
    "fault", as a loop without evidence is not safe: an event that the log does not take makes its frame FAULT. With
    "warn" frames are at least WARN while the log cannot write, and outputs go out. heartbeat: counts frames for a
    watchdog in another process. drift: tests whether frames alarm more often than calibrated; by default
    `DriftTest.for_calibration`, which tests one of every 30 frames. `metrics` counts each frame by its own status,
    before `alarm` and `clear`. Only one frame is judged at a time; a lock sees to it, and waiting for it counts towards
    the deadline. `frame_check` judges a frame before the network sees it, `watchdog` is None without `silence`.

    Several cameras share a guard as streams: `guard(frame, stream="left")`, or `many`. All that lasts longer than a
    frame is kept apart for each: alarms and their end, last safe output, frozen pictures, silence, drift, counters
    (`metrics.streams`), and what a recurrent network remembers. The first frame of a stream begins it; `streams` names
    all there are, so that they are warmed up and their silence is noticed from the start, and another is a FAULT.
    `deadline` and `silence` may be mappings by stream; one that is missing there has none.

    After `warm_up` nothing is compiled, and a frame leaves nothing behind but its output and verdict, the caller's own.
    `gc.collect(); gc.freeze()` after it keeps the garbage collector from going through all that the program holds.
    Raises NotReadyError for a monitor that is not calibrated, ValueError for a setting out of range and for a log that
    is closed or in use by another guard, TypeError for a fallback that is not callable and a log that is no EventLog.
    """

    def __init__(
        self, monitor: Monitor, *, deadline: PerStream = None, frozen: int | None = None, stuck: int | None = 5,
        silence: PerStream = None, alarm: tuple[int, int] = (1, 1), clear: tuple[int, int] = (1, 1),
        latch: bool = False, temporal: TemporalLogic | None = None, fallback: Fallback | None = None,
        log: EventLog | None = None, heartbeat: Heartbeat | None = None, drift: DriftTest | None = None,
        streams: Sequence[str] = (), log_failure: OnLogFailure = "fault",
    ) -> None:  # fmt: skip
        if not isinstance(monitor, Monitor):
            got = type(monitor).__name__
            raise TypeError(f"expected a Monitor, got {got}; Guard.load(profile, network) opens a profile file")
        if monitor.calibration is None:
            raise NotReadyError(_UNCALIBRATED)
        check_log(log, log_failure)
        self.monitor = monitor
        self.heartbeat = Heartbeat() if heartbeat is None else heartbeat
        self.raised: Exception | None = None
        self.judge: FrameJudge | None = None
        self._log = log
        self._lock = threading.RLock()  # a fallback may call `reset`
        self._ended = ""  # why no frame is judged any more
        self._forgets = False  # whether the network is known to carry nothing from frame to frame
        self._together = Together(monitor)
        self._streams = Histories(
            monitor, streams, temporal=logic_of(temporal, alarm, clear, latch), drift=drift,
            heartbeat=self.heartbeat, frozen=frozen, stuck=stuck, silence=silence, fallback=fallback,
            deadline=each(deadline, deadline_ns), log=log, tell=self._tell, warns=log_failure == "warn",
        )  # fmt: skip
        self._default = self._streams.default
        self.metrics, self.evidence = self._default.metrics, self._default.evidence
        self.frame_check, self.watchdog = self._default.check, self._default.watchdog
        self._hold_to_calibration()
        left_by_forks(self, Guard._leave)

    # The life of a guard: load, warm_up, check (or call), pause, close. They are configure, activate, callback,
    # deactivate and cleanup of a lifecycle node.

    @classmethod
    def load(cls, profile: str | os.PathLike[str], network: Any, *, key: Any = None, **options: Any) -> Self:
        """The guard of a profile file; options as for `Guard`. key, and what is raised: as for `Monitor.load`."""
        return cls(Monitor.load(profile, network, key=key), **options)

    def warm_up(self, frames: int = 3) -> Self:
        """Run some frames of noise, so that nothing is built or compiled in the loop, and start the watchdog.

        With `streams`, a batch of a frame of each is warmed up too, for `many`. Raises what the network or the monitor
        raises, so that a guard that cannot work says so before the loop begins, and RuntimeError after `close`.
        """
        if self._ended:
            raise RuntimeError(f"expected an open guard, got another: {self._ended}; make a new Guard")
        network = self.monitor.network
        with self._lock, lock_of(network):
            judge = self._bind_judge()
            (frame,) = self._together.noise(1)
            for _ in range(frames):
                self.frame_check.judge(frame)
                judge(frame, finite=True)
                self._forgets = network.memory is None
            self.frame_check.reset()
            network.reset()
            several = len(self._streams.in_use())
            if several > 1 and self._forgets and self._together.able():
                self._together.judged(self._together.noise(several))
            for at in self._streams.in_use():
                at.watch()
        return self

    def __call__(
        self, frame: Any, captured: float | None = None, stamp: float | None = None, stream: str = DEFAULT
    ) -> tuple[Any, Verdict]:
        """The output for a frame, and the verdict. captured: `time.monotonic()` when the frame was taken.

        stamp: when a frame of a recording was taken, in seconds by the clock of the recording. It goes to the log, so
        that a report speaks of the drive that was recorded. stream: whose frame it is, where there are several.
        """
        began, refusal, stamped = time.monotonic_ns(), "", None
        if type(frame) is not np.ndarray:
            frame = self.frame_check.taken(frame)
        if captured is not None:
            began, refusal = moment(captured, began)
        if stamp is not None:
            stamped = stamp_ns(stamp)
            if stamped is None:
                refusal = NO_TIME
        with self._lock:
            at = self._default
            if stream is not DEFAULT:
                at, refusal = self._streams.found(stream, refusal)
            if at.was_silent:
                at.return_from_silence()
            if self._forgets:
                output, own = self._judge(at, frame, refusal)
            else:
                output, own = self._recall(at, frame, refusal)
            return at.conclude(output, own, began, stamp, stamped, frame, self.judge)

    check = __call__

    def many(
        self, frames: Mapping[str, Any], captured: Any = None, stamp: Any = None
    ) -> dict[str, tuple[Any, Verdict]]:
        """The output and verdict of a frame of each of several streams, `{stream: frame}`, run in one batch.

        captured, stamp: as for one frame, of all or by stream. A frame that is broken or of another form than the
        network takes is judged on its own. So are all frames where the network carries something from frame to frame,
        and where it does not say the same of frames in a batch (see `Together.able`). Whatever breaks in the batch is a
        FAULT of every frame that was in it. Events of these frames name no neurons.
        Raises TypeError for `frames` that are no mapping.
        """
        if not isinstance(frames, Mapping):
            raise TypeError(f"expected a frame by the name of each stream, got {type(frames).__name__}")
        came = time.monotonic_ns()
        with self._lock:
            several = [
                self._entered(name, frame, of_stream(captured, name), of_stream(stamp, name), came)
                for name, frame in frames.items()
            ]
            put_off = [one for one in several if one.checked is not None]
            self._together.judge(put_off, self._judge, self._run_bare, self._tell)
            return {one.name: one.concluded() for one in several}

    def pause(self, stream: str | None = None) -> None:
        """Expect no frames, of one stream or of all, for a while: the watchdog rests until the next or `warm_up`."""
        with self._lock:
            for at in self._streams.named(stream):
                at.pause()

    def close(self) -> None:
        """End the watch and leave the log. Monitor and network stay open; frames handed in from now on are FAULT."""
        with self._lock:
            self._ended, self._forgets = self._ended or "the guard is closed", True
            self.pause()
            self._streams.close()
            if self._log is not None:
                self._log.detach(self.metrics)
                self._log = None

    def _leave(self) -> None:
        """In the child of a fork: frames are FAULT, and nothing of the parent's is run, written or waited for."""
        self._lock = threading.RLock()
        self._ended, self._forgets, self._log = forked("the guard"), True, None
        self._streams.leave()

    def __enter__(self) -> Self:
        try:
            return self if any(at.watching for at in self._streams.in_use()) else self.warm_up()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def status(self) -> Status:
        """The status of the loop now, the worst of its streams.

        It is STALE while the watchdog hears nothing; FAULT if that died, after `close`, and in a fork.
        """
        return _FAULT if self._ended else max(at.status_now for at in self._streams.in_use())

    def history(self, stream: str) -> History:
        """What is kept of a stream: metrics, evidence, heartbeat. Raises ValueError for one that there is not."""
        return self._streams.named(stream)[0]

    @property
    def statuses(self) -> dict[str, Status]:
        """The status of each stream now; "" is the one without a name."""
        return {at.name: _FAULT if self._ended else at.status_now for at in self._streams.in_use()}

    def acknowledge(self, stream: str | None = None) -> None:
        """End a latched alarm, of one stream or of all, and write it down; it returns when enough frames are clean.

        Raises OSError where the log does not take it; the alarm is acknowledged all the same. Raises ValueError for a
        stream that there is not.
        """
        failed = None
        for at in self._streams.named(stream):
            try:
                at.acknowledge()
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def reset(self, stream: str | None = None) -> None:
        """Forget all frames, of one stream or of all, as at the start of another drive; the counts stay.

        A recurrent network forgets them too. Raises ValueError for a stream that there is not.
        """
        with self._lock, lock_of(self.monitor.network):
            for at in self._streams.named(stream):
                at.reset()
            self.monitor.network.reset()  # what it remembers of other streams is set before their next frames

    def __repr__(self) -> str:
        return f"Guard({self.monitor!r}, {self._default.temporal!r}, {self.status.name})"

    # One frame.

    def _judge(self, at: History, frame: Any, refusal: str, checked: Checked | None = None) -> Judged:
        """The network's own output and the verdict on this frame alone.

        refusal: what is wrong with its time or its stream. checked: what its frame check said, where that was asked.
        """
        running: FrameJudge | None = None
        try:
            if checked is None:
                at.heartbeat.beat()
                dog = at.watchdog
                if refusal or not at.watching or (dog is not None and not dog.alive):
                    refusal = self._hindrance(at, refusal)
                    if refusal:
                        return None if self._ended else self._run_bare(frame), at.broken(_FAULT, refusal)
                status, reason, runs = at.check.judge(frame)
            else:
                status, reason, runs = checked
            if not runs:
                return None, at.broken(status, reason)
            judge = self.judge
            if judge is None or judge.calibration is not self.monitor.calibration:
                judge = self._bind_judge()
            running = judge
            output, verdict = judge(frame, finite=status is not _FAULT)
            return output, at.checked(verdict, status, reason, judge)
        except Exception as error:  # noqa: BLE001 (whatever broke, the loop goes on and is told)
            self.raised = error
            return self._run_bare(frame, running), at.broken(_FAULT, words(error))

    def _hindrance(self, at: History, refusal: str) -> str:
        """Why a frame is not judged, empty where it is; a watchdog that rested watches again."""
        if self._ended:
            return self._ended
        if at.refusal:
            return refusal or at.refusal
        if not at.watching:
            at.watch()
        return "the watchdog is dead" if at.watchdog is not None and not at.watchdog.alive else refusal

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

    def _recall(self, at: History, frame: Any, refusal: str) -> Judged:
        """`_judge` for a network that may carry something from frame to frame, which every stream has for itself.

        A frame that is not finite leaves no trace in it.
        """
        network = self.monitor.network
        with lock_of(network):
            before = None
            try:
                if at.memory is FRESH:
                    network.reset()
                else:
                    network.memory = at.memory
                before = network.memory
            except Exception as error:  # noqa: BLE001 (a network of the user's own)
                self.raised, refusal = error, words(error)
            output, own = self._judge(at, frame, refusal)
            try:
                at.memory = before if own.status is _FAULT and not is_finite(frame) else network.memory
                self._forgets = at.memory is None and own.status is not _FAULT
            except Exception as error:  # noqa: BLE001
                self.raised = error
                own = at.broken(_FAULT, words(error))
            return output, own

    # Frames of several streams.

    def _entered(self, name: Any, frame: Any, captured: Any, stamp: Any, came: int) -> Entry:
        """A frame of `many`; judged already, or checked and put off for the batch."""
        began, stamped, refusal = times(captured, stamp, came)
        at, refusal = self._streams.found(name, refusal)
        if at.was_silent:
            at.return_from_silence()
        entry = Entry(name, at, at.check.taken(frame), began, stamp, stamped)
        if not self._forgets:
            entry.judged = self._recall(at, entry.frame, refusal)
            return entry
        try:
            at.heartbeat.beat()
            refusal = self._hindrance(at, refusal)
            if not refusal:
                self._bind_judge()
                entry.checked = at.check.judge(entry.frame)
        except Exception as error:  # noqa: BLE001 (as in `_judge`)
            self.raised, refusal = error, words(error)
        if refusal:
            entry.judged = None if self._ended else self._run_bare(entry.frame), at.broken(_FAULT, refusal)
        elif entry.checked is not None and entry.checked[0] is _FAULT:
            entry.judged = self._judge(at, entry.frame, "", entry.checked)
            entry.checked = None
        return entry

    # What lasts longer than a frame.

    def _tell(self, error: Exception) -> None:
        self.raised = error

    def _bind_judge(self) -> FrameJudge:
        """The judge of the calibration as it is now."""
        if self._calibration is not self.monitor.calibration:
            self._hold_to_calibration()
        if self.judge is None or self.judge.calibration is not self._calibration:
            self.judge = self.monitor.bind()
        return self.judge

    def _hold_to_calibration(self) -> None:
        """Have counters, drift test and log speak of the calibration as it is now."""
        calibration = self.monitor.calibration
        if calibration is None:
            raise NotReadyError(_UNCALIBRATED)
        self._calibration = calibration
        self._streams.hold_to(calibration)
        if self._log is not None:
            self._log.attach(
                self.metrics, network=self.monitor.network.fingerprint, profile=self.monitor.profile_sha256,
                false_alarm_rate=calibration.false_alarm_rate, promise=calibration.promise,
            )  # fmt: skip
