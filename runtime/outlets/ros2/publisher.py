"""Verdicts and diagnostics for ROS 2, published by a thread of its own."""

from __future__ import annotations

import atexit
import contextlib
import platform
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from ....monitor import Status, Verdict
from ....networks.packages import require
from ...dds.names import domain_id, topic_name
from ...forks import forked, left_by_forks
from .statements import Heard, Loop, Statement, Watched, ended, of_loop, of_streams, of_verdict, text

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

_NS = 1_000_000_000
_of_parents: list[object] = []


class Ros2Publisher:
    """Publishes a guard to ROS 2 over DDS; no ROS is needed here, and no package of ours there.

    On /diagnostics: a `diagnostic_msgs/msg/DiagnosticArray` every `period` seconds, with the worst status of the loop
    since the message before and what `guard.metrics` counts. On <namespace>/outrider/verdict: one for every verdict
    handed to `verdict`, with the frame's stamp in its header. Its values are status, score, threshold, confidence,
    prediction and layers. Every ROS 2 has this type, and no other with a header, named values and a level. On
    the topic `maps`, where one is named: the map of every verdict that has one, as a `sensor_msgs/msg/Image` of
    encoding 32FC1 with the same header. Where the
    guard has several streams, the message on /diagnostics has the worst of them first and then a status of each,
    "outrider: name/stream", and a verdict has the name of its stream.

    name: of the component, e.g. "front camera"; in the messages it is "outrider: front camera". namespace, diagnostics,
    verdicts, maps: ROS names; a topic that begins with "/" stands outside the namespace. frame_id: of the camera.
    domain: None for ROS_DOMAIN_ID, or 0. hardware_id: this machine's name if None. network, profile: their SHA-256
    (`Monitor.profile_sha256`). CYCLONEDDS_URI configures the network, as in every program of Cyclone DDS.

    `verdict` never waits: a thread writes. Where it does not keep up, the oldest of `capacity` verdicts is dropped.
    published: verdicts written. dropped: verdicts lost. failures: of DDS, or in reading the guard; error: the last of
    them. After the constructor nothing is raised. In the child of a fork it drops and counts what it is offered.
    Raises ImportError naming the extra `dds`, ValueError for a name, domain or number out of range, OSError where the
    domain cannot be joined.
    """

    def __init__(
        self,
        guard: Watched,
        name: str,
        *,
        namespace: str = "",
        frame_id: str = "",
        domain: int | None = None,
        diagnostics: str = "/diagnostics",
        verdicts: str = "outrider/verdict",
        maps: str = "",
        hardware_id: str | None = None,
        network: str = "",
        profile: str = "",
        capacity: int = 64,
        period: float = 1.0,
    ) -> None:
        if not name or text(name) != name:
            raise ValueError(f"expected a name of 1 to 4000 characters, got {name[:80]!r}")
        if not (capacity >= 1 and period > 0):
            raise ValueError(f"expected capacity >= 1 and period > 0 seconds, got {capacity} and {period}")
        self.domain = domain_id(domain)
        topics = [topic_name(topic, namespace) for topic in (verdicts, diagnostics, maps) if topic]
        self.guard, self.name, self._maps = guard, name, bool(maps)
        self.published = self.dropped = self.failures = 0
        self.error: Exception | None = None
        self._hardware = text(platform.node() if hardware_id is None else hardware_id)
        self._hashes = tuple((key, text(value)) for key, value in (("network", network), ("profile", profile)) if value)
        self._frame_id, self._period = text(frame_id), period
        self._queue: SimpleQueue[Heard | None] = SimpleQueue()  # wakes the thread at less cost than an Event
        self._capacity = capacity
        self._lock = threading.Lock()
        self._seq = 0
        self._last: dict[str, Heard] = {}
        self._worst: dict[str, Status] = {}
        self._episodes = {"": guard.metrics.counters.episodes}
        self._closing = False
        self._writers: _Writers | None = _Writers(self.domain, *topics)
        self._thread = threading.Thread(target=self._serve, name="outrider ros2", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        left_by_forks(self, Ros2Publisher._leave)

    # In the loop.

    def verdict(
        self, verdict: Verdict, wall_ns: int | None = None, frame_id: str | None = None, stream: str = ""
    ) -> bool:
        """Hand a verdict over: whether it was accepted. Never waits and raises nothing; any thread.

        wall_ns: when the frame was taken, in nanoseconds since 1970; None for now. frame_id: None for the publisher's.
        stream: of which the frame is, where the guard has several.
        """
        try:
            with self._lock:
                seq = self._seq
                self._seq += 1
                if self._closing:
                    self.dropped += 1
                    return False
                wall_ns = time.time_ns() if wall_ns is None else wall_ns
                frame_id = self._frame_id if frame_id is None else frame_id
                self._last[stream] = heard = Heard(seq, wall_ns, frame_id, verdict, stream)
                self._worst[stream] = max(self._worst.get(stream, Status.OK), verdict.status)
                if self._queue.qsize() >= self._capacity:
                    self._drop_oldest()
                self._queue.put(heard)
        except Exception as error:  # noqa: BLE001 (the loop goes on)
            self._note(error)
            return False
        return True

    def _drop_oldest(self) -> None:
        with contextlib.suppress(Empty):  # the writer was quicker
            self._queue.get_nowait()
            self.dropped += 1

    # Beside the loop.

    def close(self, timeout: float = 3.0) -> bool:
        """Publish what was accepted, say on /diagnostics that the watch is over, and leave the domain: whether it did.

        Waits `timeout` seconds at most.
        """
        with self._lock:
            if not self._closing:
                self._closing = True
                self._queue.put(None)
        atexit.unregister(self.close)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _leave(self) -> None:
        """In the child of a fork, where DDS has no threads: publish nothing, and take nothing of it apart."""
        self._lock, self._queue, self._closing, self._writers = threading.Lock(), SimpleQueue(), True, None
        self._note(RuntimeError(forked("the publisher")))
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ros2Publisher({self.name!r}, domain {self.domain}: {self.published} published, {self.dropped} dropped)"

    # The writer's thread.

    def _serve(self) -> None:
        due = time.monotonic()
        while True:
            late = time.monotonic() - due
            if late >= 0:
                due += self._period * (1 + late // self._period)
                self._put_diagnostics(self._loop)
                continue
            try:
                heard = self._queue.get(timeout=min(-late, 3600))
            except Empty:
                continue
            if heard is None:
                break
            self._publish(heard)
        self._put_diagnostics(lambda: (ended(), {}))
        self._writers = None

    def _publish(self, heard: Heard) -> None:
        try:
            self._write(0, heard.wall_ns, text(heard.frame_id), heard.stream, of_verdict(heard))
            if self._maps and heard.verdict.map is not None and self._writers is not None:
                self._writers.write_map(heard.wall_ns, text(heard.frame_id), heard.verdict.map)
            self.published += 1
        except Exception as error:  # noqa: BLE001 (a verdict less, and counted)
            self._note(error)
            with self._lock:
                self.dropped += 1

    def _loop(self) -> tuple[Statement, dict[str, Statement]]:
        """What there is to say of the loop now, and of each of its streams, where those have names."""
        with self._lock:
            last, worst, self._worst = dict(self._last), self._worst, {}
        guard = self.guard
        statuses = guard.statuses if guard.metrics.streams else {"": guard.status}
        each = {}
        for name, status in statuses.items():
            history = guard.history(name) if guard.metrics.streams else guard
            episodes = history.metrics.counters.episodes
            if episodes > self._episodes.get(name, 0):  # also where nobody hands verdicts over
                worst[name] = max(worst.get(name, Status.OK), Status.ALARM)
            self._episodes[name] = episodes
            one = Loop(status, history.metrics, history.heartbeat)
            each[name] = of_loop(one, last.get(name), worst.get(name, Status.OK))
        whole = of_streams(each) if guard.metrics.streams else each.pop("")
        dropped = ("dropped_verdicts", str(self.dropped))
        return whole._replace(values=(*whole.values, dropped, *self._hashes)), each

    def _put_diagnostics(self, say: Callable[[], tuple[Statement, dict[str, Statement]]]) -> None:
        try:
            whole, each = say()
            self._write(1, time.time_ns(), self._frame_id, "", whole, *each.items())
        except Exception as error:  # noqa: BLE001 (the next message comes in a second)
            self._note(error)

    def _write(
        self, topic: int, wall_ns: int, frame_id: str, stream: str, statement: Statement, *more: tuple[str, Statement]
    ) -> None:
        if self._writers is not None:
            named = [(self._named(name), one) for name, one in ((stream, statement), *more)]
            self._writers.write(topic, wall_ns, frame_id, self._hardware, named)

    def _named(self, stream: str) -> str:
        return text(f"outrider: {self.name}/{stream}" if stream else f"outrider: {self.name}")

    def _note(self, error: Exception) -> None:
        self.failures += 1
        self.error = error


class _Writers:
    """A participant in a DDS domain with a writer for each topic, as a node of ROS 2 would have."""

    def __init__(self, domain: int, *topics: str) -> None:
        core, dds_domain, pub, qos, dds_topic = (
            require(f"cyclonedds.{part}", "publishing to ROS 2 needs one more package", "dds")
            for part in ("core", "domain", "pub", "qos", "topic")
        )
        from . import messages

        self._messages = messages
        policy = qos.Policy
        diagnostics = messages.DiagnosticArray, messages.TYPE_HASH
        kinds = diagnostics, diagnostics, (messages.MapImage, messages.IMAGE_HASH)
        try:
            participant = dds_domain.DomainParticipant(domain)
            self._writers = [
                pub.DataWriter(
                    participant,
                    dds_topic.Topic(participant, topic, kind),
                    qos=qos.Qos(
                        # rclcpp's defaults, but that a write never waits: cyclonedds holds Python's lock meanwhile.
                        policy.Reliability.Reliable(0),
                        policy.Durability.Volatile,
                        policy.History.KeepLast(10),
                        # What rmw_cyclonedds_cpp sets as well.
                        policy.WriterDataLifecycle(autodispose=False),
                        policy.DataRepresentation(use_cdrv0_representation=True),
                        policy.Userdata(f"typehash={type_hash};".encode()),
                    ),
                )
                for topic, (kind, type_hash) in zip(topics, kinds, strict=False)
            ]
            for entity in (participant, *self._writers):  # to take one apart in a child would wait for threads of DDS
                left_by_forks(entity, _of_parents.append)
        except core.DDSException as error:
            raise OSError(
                f"expected to join the DDS domain {domain}, got {str(error).strip()};"
                " name a network interface that is up in CYCLONEDDS_URI"
            ) from None

    def write(
        self, topic: int, wall_ns: int, frame_id: str, hardware_id: str, statements: Sequence[tuple[str, Statement]]
    ) -> None:
        messages = self._messages
        self._writers[topic].write(
            messages.DiagnosticArray(
                messages.RosHeader(messages.Time(*divmod(wall_ns, _NS)), frame_id),
                [
                    messages.DiagnosticStatus(
                        one.level, name, one.message, hardware_id, [messages.KeyValue(*value) for value in one.values]
                    )
                    for name, one in statements
                ],
            )
        )

    def write_map(self, wall_ns: int, frame_id: str, values: np.ndarray) -> None:
        header = self._messages.RosHeader(self._messages.Time(*divmod(wall_ns, _NS)), frame_id)
        self._writers[2].write(self._messages.MapImage.of(header, values))
