"""The closed loop: camera, network, guard, wheel and pedals, once a frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ....monitor import Monitor, Status, Verdict
from ....networks import Network
from ....networks.zoo.steering import steering_of
from ...loop.fallback import Fallback, hand_over
from ...loop.guard import Guard
from .expert import pedals, speed_for
from .faults import Fault
from .world import FRAMES_PER_SECOND, World

FROZEN, ALARM, CLEAR = 3, (3, 5), (10, 12)
"""The settings of the guard: frozen pictures, and k of n frames for an alarm and for its end."""
BRAKING = 20.0
"""Of the fallback, in m/s²: from cruising speed to rest in a little more than a second."""
FRAMES, FAULT_AT = 500, 250
"""Twenty seconds, and the fault half-way."""
_AT_REST = 0.3


def standard_guard(monitor: Monitor, fallback: Fallback | None = None) -> Guard:
    """The guard of this loop. It has no deadline, so drives are the same on a slow machine."""
    return Guard(monitor, frozen=FROZEN, alarm=ALARM, clear=CLEAR, fallback=fallback)


class Pilot:
    """The network at the wheel, alone or under a guard. `command` gives steering and the speed wanted.

    While the guard does not trust the camera, the fallback keeps the steering of the last frame judged OK and asks
    for less speed with every frame until the car stands. Frames that were only suspicious (WARN) are not kept.
    """

    def __init__(self, network: Network, monitor: Monitor | None = None) -> None:
        self._network = network
        self.guard = None if monitor is None else standard_guard(monitor, hand_over(self.keep_course)).warm_up()
        self.verdict: Verdict | None = None

    def begin(self) -> None:
        """Another drive."""
        self._trusted: Any = None
        self._wanted = 0.0
        self.verdict = None
        if self.guard is not None:
            self.guard.reset()

    def command(self, frame: np.ndarray, speed: float) -> tuple[float, float]:
        """Steering in radians and the wanted speed for a frame (3, 84, 96) float32; speed: that of now."""
        if self.guard is None:
            steering = steering_of(self._network.run(frame[None])[0])
            return steering, speed_for(steering)
        output, self.verdict = self.guard(frame)
        steering = 0.0 if output is None else steering_of(output)
        if self.verdict.alarm:
            self._wanted = max(0.0, min(speed, self._wanted) - BRAKING / FRAMES_PER_SECOND)
            return steering, self._wanted
        if self.verdict.status == Status.OK:
            self._trusted = output
        self._wanted = speed_for(steering)
        return steering, self._wanted

    def keep_course(self, _output: Any, _verdict: Verdict) -> Any:
        """The output of the last frame that was judged OK."""
        return self._trusted


@dataclass(frozen=True)
class DriveTrial:
    """One drive to be made, of so many frames at most; `fault` comes up at frame `fault_at`.

    push: up to so much steering is added for a third of a second every three seconds; it leads to places that a good
    drive never sees. keep: with all its frames.
    """

    track: int
    fault: str = ""
    guarded: bool = False
    push: float = 0.0
    frames: int = FRAMES
    fault_at: int = FAULT_AT
    keep: bool = False


@dataclass
class DriveRecord:
    """What happened, a value per frame. distance: along the road; offset: to the left of its middle, in metres.

    road: (n, 2) the middle of the road, a closed line. fault_at: the frame from which the camera was at fault, None for
    a clean drive. left_at: the frame at which no wheel touched the road any more. stopped_at: the frame at which the
    guard had brought the car to rest. A drive ends at either. status, reason: the guard's. ratio: the score in units of
    its threshold, 0 without a guard. seconds: that network and guard took. frames: of the camera, all or none.
    """

    track: int
    fault: str
    fault_at: int | None
    road: np.ndarray
    left_at: int | None = None
    stopped_at: int | None = None
    position: list[np.ndarray] = field(default_factory=list)
    distance: list[float] = field(default_factory=list)
    offset: list[float] = field(default_factory=list)
    speed: list[float] = field(default_factory=list)
    steering: list[float] = field(default_factory=list)
    status: list[Status] = field(default_factory=list)
    reason: list[str] = field(default_factory=list)
    ratio: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)

    def note(self, world: World, verdict: Verdict | None, steering: float, frame: np.ndarray | None) -> None:
        """Add what one frame brought."""
        for name in ("position", "distance", "offset", "speed"):
            getattr(self, name).append(getattr(world, name))
        self.steering.append(steering)
        self.status.append(Status.OK if verdict is None else verdict.status)
        self.reason.append("" if verdict is None else verdict.reason)
        self.ratio.append(0.0 if verdict is None else float(verdict.score / verdict.threshold))
        if frame is not None:
            self.frames.append(np.round(frame * 255).astype(np.uint8))

    @property
    def alarm_at(self) -> int | None:
        """The first frame at which the guard raised an alarm, from the fault on or, in a clean drive, at all."""
        first = self.fault_at or 0
        return next((i for i in range(first, len(self.status)) if self.status[i] >= Status.ALARM), None)

    @property
    def delay(self) -> int | None:
        """Frames from the fault to the alarm, 1 for an alarm on the first faulty frame."""
        return None if self.fault_at is None or self.alarm_at is None else self.alarm_at - self.fault_at + 1

    @property
    def false_alarm(self) -> bool:
        """Whether the guard raised an alarm before there was a fault."""
        return any(status >= Status.ALARM for status in self.status[: self.fault_at])

    @property
    def travelled(self) -> float:
        """Metres of road after the fault, or after the start of a clean drive."""
        return self.distance[-1] - self.distance[self.fault_at or 0]


def drive(
    world: World, pilot: Pilot, trial: DriveTrial, begin: Callable[[np.random.Generator], Fault] | None = None
) -> DriveRecord:
    """Drive a track until its frames are over, or the car is off the road or stopped by the guard.

    begin: makes the fault, from random numbers of this drive.
    """
    world.reset(trial.track)
    pilot.begin()
    random = np.random.default_rng([trial.track, 1])
    record = DriveRecord(trial.track, trial.fault, trial.fault_at if begin else None, world.middle)
    change: Fault | None = None
    pushed = 0.0
    for index in range(trial.frames):
        if begin and index == trial.fault_at:
            change = begin(random)
        frame = world.frame()
        if change:
            frame = change(frame)
        began = time.perf_counter()
        steering, wanted = pilot.command(frame, world.speed)
        record.seconds.append(time.perf_counter() - began)
        record.note(world, pilot.verdict, steering, frame if trial.keep else None)
        if world.off_road:
            record.left_at = index
            break
        if pilot.verdict is not None and pilot.verdict.alarm and world.speed < _AT_REST:
            record.stopped_at = index
            break
        moment = index % (3 * FRAMES_PER_SECOND)
        if moment == 0:
            pushed = random.uniform(-trial.push, trial.push)
        world.act(steering + (pushed if moment < FRAMES_PER_SECOND // 3 else 0), *pedals(world.speed, wanted))
    return record
