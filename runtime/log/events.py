"""What the event log holds: the records, and each as one line of JSON.

A line is an ASCII JSON object and a newline. It counts only once its newline is there. Every line has `seq`, which
numbers the lines of a run from 0 without a gap, and `type`:

header   the first line of a file and of every run. A guard that knows what the log was not told has it written once
         more; the last one holds. Keys: format, outrider, run, part, network, profile (SHA-256), false_alarm_rate,
         started_wall_ns, started_monotonic_ns, repaired_bytes, aside, source, promise
event    an `Event`. Keys: kind, time (ISO 8601 UTC of wall_ns), wall_ns, monotonic_ns, frame, status, before, score,
         threshold, confidence, prediction, layers, reason, latency_us, neurons, stamp_ns, elapsed_ns, network,
         profile; stream, where that has a name; and alarm_kind, where the alarm has a kind
summary  counters since the run began (see `Metrics.snapshot`), with time, wall_ns, monotonic_ns, and ended: whether
         the guard was closed there, null where that is not known; with several streams, streams: those of each by name
clean    one of many frames that the loop believed clean, where the log was asked for them: what a threshold may be
         set anew on. Keys: time, wall_ns, monotonic_ns, frame, prediction, score, threshold, deviation (of each
         column), clean (frames believed clean so far), flagged (frames above their threshold so far), stream
dropped  how many events were lost since the last such line (count) and in the run (total)

JSON has no infinity and no NaN; the words "inf", "-inf" and "nan" stand for them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from numbers import Integral, Real
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from ...monitor import Status

FORMAT = "outrider-events/1"
MAX_LINE = 4 << 20
"""Bytes that a line has at most. A reader refuses a longer one."""
_TEXT, _NAME, _NAMES = 4000, 256, 256
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_WORDS: dict[Status, Any] = {status: status.name.lower() for status in Status}  # the class is slow to ask
_STATUSES = {word: status for status, word in _WORDS.items()}

Integer = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
_From0 = Annotated[float, Meta(ge=0)]
_Figure = float | Literal["inf", "-inf", "nan"]
_NOT_VALUES = {"seq", "type", "time", "wall_ns", "monotonic_ns"}
_Word = Literal["ok", "warn", "alarm", "fault", "stale"]


class Event(NamedTuple):
    """Something that happened in the loop. A named tuple: the loop makes one of every alarm, and a tuple is cheap.

    kind: "status", "alarm", "fault", "stale", "silence", "acknowledged", "drift", "unreadable" or a word of your own.
    frame: its number in the stream. wall_ns: since 1970, UTC. monotonic_ns: by the clock that never steps.
    status, before: of the loop, after and before the event. score, threshold, confidence, prediction, layers, reason:
    as in a `Verdict`. latency_us: from frame to verdict. neurons: those that spoke, where known: "relu1:unit[17]".
    stamp_ns: when the frame was taken, by the clock of its recording. elapsed_ns: of recordings so far, see
    `Metrics.stamped`. Both are None live. stream: which of several streams of frames it is of; frames are numbered in
    each. alarm_kind: `Verdict.kind`.
    """

    kind: str
    frame: int
    wall_ns: int
    monotonic_ns: int
    status: Status
    before: Status
    score: float
    threshold: float
    confidence: float
    prediction: int
    layers: tuple[str, ...]
    reason: str
    latency_us: float
    neurons: Sequence[str] = ()
    stamp_ns: int | None = None
    elapsed_ns: int | None = None
    stream: str = ""
    alarm_kind: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """The start of a run and of each of its files. part: how many files the run had before this one.

    network, profile: SHA-256 in hexadecimal, or empty. repaired_bytes: of a line that a crash cut off, removed.
    aside: the name that the file gets when it is full, by which it is known as an older file of its log.
    source: where frames come from, in the user's words. promise: on which frames the rate holds, in the words of the
    calibration; empty in logs of older versions.
    """

    outrider: str
    run: str
    part: Integer
    network: str
    profile: str
    false_alarm_rate: Annotated[float, Meta(gt=0, lt=1)] | None
    started_wall_ns: Integer
    started_monotonic_ns: Integer
    repaired_bytes: Integer = 0
    aside: str = ""
    source: str = ""
    promise: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Counters since the run began. values: what `Metrics.snapshot` returned, in JSON types, and `ended`."""

    wall_ns: Integer
    monotonic_ns: Integer
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Events that the log was offered and lost: `count` since the last such line, `total` in the run."""

    wall_ns: Integer
    monotonic_ns: Integer
    count: Integer
    total: Integer


class Clean(NamedTuple):
    """A frame that the loop believed clean: not above its threshold, and no alarm of the loop held on.

    prediction, score, threshold, deviation: as in its `Verdict`; deviation (columns,) float32. clean, flagged: how many
    frames of its stream were believed clean, and how many were above their threshold, up to this one.
    """

    wall_ns: int
    monotonic_ns: int
    frame: int
    prediction: int
    score: float
    threshold: float
    deviation: Sequence[float]
    clean: int
    flagged: int
    stream: str = ""


Record = Event | Header | Summary | Dropped | Clean


class _EventLine(Struct, tag_field="type", tag="event"):
    """An event as its line has it, in the order of the line."""

    kind: str
    time: str | None
    wall_ns: Integer
    monotonic_ns: Integer
    frame: Integer
    status: _Word
    before: _Word
    score: _Figure
    threshold: _Figure
    confidence: _Figure
    prediction: Integer
    layers: Sequence[str]
    reason: str
    latency_us: _Figure
    neurons: Sequence[str] = ()
    stamp_ns: Integer | None = None
    elapsed_ns: Integer | None = None
    network: str = ""
    profile: str = ""


class _StreamLine(_EventLine, tag_field="type", tag="event"):
    """The event of a stream with a name."""

    stream: str = ""


class _KindLine(_StreamLine, tag_field="type", tag="event"):
    """An event with the kind of its alarm."""

    alarm_kind: str = ""


class _CleanLine(Struct):
    """A clean frame as its line has it."""

    wall_ns: Integer
    monotonic_ns: Integer
    frame: _Count
    prediction: Integer
    score: _From0
    threshold: _From0
    deviation: tuple[_From0, ...]
    clean: _Count
    flagged: _Count
    stream: str = ""


class _Envelope(Struct):
    """What is read of a line before all else."""

    seq: _Count
    type: Literal["event", "header", "summary", "dropped", "clean"]
    format: str = FORMAT


class _Clocks(Struct):
    wall_ns: Integer
    monotonic_ns: Integer


def _plain(value: Any) -> Any:
    """A number or text of another class, such as numpy's, as the built-in type that it is."""
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _finite(float(value))
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"expected numbers, texts and lists of them, got {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode
_TYPES: dict[str, Any] = {
    "envelope": _Envelope, "event": _KindLine, "header": Header, "summary": _Clocks, "dropped": Dropped,
    "values": dict[str, Any], "clean": _CleanLine,
}  # fmt: skip
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {kind: msgspec.json.Decoder(of) for kind, of in _TYPES.items()}


def encode(record: Record, network: str = "", profile: str = "") -> bytes:
    """The body of a line, without `seq` and newline, which `number` adds.

    Texts are cut to 4,000 characters, names to 256, lists to 256 names. Raises ValueError or TypeError for what cannot
    be written.
    """
    body: Any
    if isinstance(record, Event):
        body = _event_line(record, network, profile)
    elif isinstance(record, Header):
        body = {"type": "header", "format": FORMAT} | asdict(record)
        body |= {"promise": record.promise[:_TEXT]} if body.pop("promise") else {}
    elif isinstance(record, Summary):
        clocks = {"time": iso(record.wall_ns), "wall_ns": record.wall_ns, "monotonic_ns": record.monotonic_ns}
        body = {"type": "summary"} | clocks | _finite(record.values)
    elif isinstance(record, Clean):
        body = {"type": "clean", "time": iso(record.wall_ns)} | record._asdict()
        body["deviation"] = [float(str(value)) for value in record.deviation]  # the shortest digits of a float32
    else:
        body = {"type": "dropped", "time": iso(record.wall_ns)} | asdict(record)
    try:
        line = _encode(body)
    except UnicodeEncodeError:  # half of a surrogate pair, for which UTF-8 has no bytes
        line = b"\xff"
    if not line.isascii():
        line = json.dumps(msgspec.to_builtins(body), separators=(",", ":")).encode()
    if len(line) > MAX_LINE - 64:
        raise ValueError(f"expected a line of at most {MAX_LINE} bytes, got {len(line)}")
    return line


def number(body: bytes, seq: int) -> bytes:
    """The whole line of an encoded body."""
    return b'{"seq":%d,%b\n' % (seq, body[1:])


def decode(line: bytes) -> tuple[int, Record]:
    """(seq, record) of a whole line. Raises ValueError that says what is wrong with it."""
    try:
        try:
            return _record(lambda kind: _DECODERS[kind].decode(line))
        except msgspec.DecodeError:
            if b"\\ud" not in line.lower():
                raise
        # Half of a surrogate pair, maybe, which msgspec does not read.
        fields = json.loads(line, parse_constant=_refuse_constant)
        return _record(lambda kind: msgspec.convert(fields, _TYPES[kind]))
    except RecursionError as error:
        raise ValueError(str(error)) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"expected JSON, got {name}")


def _record(read: Callable[[str], Any]) -> tuple[int, Record]:
    """(seq, record) of what `read` makes of a line for each kind of `_TYPES`."""
    envelope = read("envelope")
    if envelope.format != FORMAT:
        raise ValueError(f"format {envelope.format[:40]!r}, expected {FORMAT!r}")
    record = read(envelope.type)
    if envelope.type == "event":
        record = _event(record)
    elif envelope.type == "summary":
        values = {name: value for name, value in read("values").items() if name not in _NOT_VALUES}
        record = Summary(record.wall_ns, record.monotonic_ns, values)
    elif envelope.type == "clean":
        record = Clean(*msgspec.structs.astuple(record))
    return envelope.seq, record


def iso(wall_ns: int) -> str | None:
    """``2026-01-31T12:00:00.123456Z``; None for a time that has no date."""
    seconds, rest = divmod(wall_ns, 1_000_000_000)
    second = _second(seconds)
    return None if second is None else f"{second}.{rest // 1000:06d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str | None:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:-6]
    except OverflowError:
        return None


def _event_line(event: Event, network: str, profile: str) -> _EventLine:
    (
        kind, frame, wall_ns, monotonic_ns, status, before, score, threshold, confidence, prediction, layers, reason,
        latency_us, neurons, stamp_ns, elapsed_ns, stream, alarm_kind,
    ) = event  # fmt: skip
    if status not in _WORDS or before not in _WORDS:
        raise ValueError(f"expected statuses, got {status!r} and {before!r}")
    figures: list[Any] = [float(score), float(threshold), float(confidence), float(latency_us)]
    if not math.isfinite(sum(figures)):
        figures = _finite(figures)
    score, threshold, confidence, latency_us = figures
    line = _KindLine if alarm_kind else _StreamLine if stream else _EventLine
    rest = [stream[:_NAME], alarm_kind[:_NAME]] if alarm_kind else [stream[:_NAME]] if stream else []
    return line(
        kind[:_NAME], iso(wall_ns), int(wall_ns), int(monotonic_ns), int(frame), _WORDS[status], _WORDS[before], score,
        threshold, confidence, int(prediction), _names(layers), reason[:_TEXT], latency_us, _names(neurons),
        stamp_ns if stamp_ns is None else int(stamp_ns), elapsed_ns if elapsed_ns is None else int(elapsed_ns),
        network, profile, *rest,
    )  # fmt: skip


def _event(line: _KindLine) -> Event:
    return Event(
        line.kind, line.frame, line.wall_ns, line.monotonic_ns, _STATUSES[line.status], _STATUSES[line.before],
        float(line.score), float(line.threshold), float(line.confidence), line.prediction, tuple(line.layers),
        line.reason, float(line.latency_us), tuple(line.neurons), line.stamp_ns, line.elapsed_ns,
        line.stream, line.alarm_kind,
    )  # fmt: skip


def _names(names: Sequence[str]) -> Sequence[str]:
    names = names[:_NAMES]
    return names if len("".join(names)) <= _NAME else [name[:_NAME] for name in names]


def _finite(value: Any) -> Any:
    """JSON types, with a word for every float that JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(float(value))
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
