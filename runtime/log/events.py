"""What the event log holds: the records, and each as one line of JSON.

A line is an ASCII JSON object and a newline; it exists once its newline is there. All of them have `seq`, counted from
0 in each run without a gap, and `type`:

header   the first line of a file, and of every run; once more where a guard knows what the log was not told, and the
         last one holds: format, outrider, run, part, network, profile (SHA-256), false_alarm_rate, started_wall_ns,
         started_monotonic_ns, repaired_bytes, aside, source
event    an `Event`: kind, time (ISO 8601 UTC of wall_ns), wall_ns, monotonic_ns, stamp_ns, elapsed_ns, frame, status,
         before, score, threshold, confidence, prediction, layers, neurons, reason, latency_us, network, profile
summary  counters since the run began (see `Metrics.snapshot`), with time, wall_ns and monotonic_ns; ended: whether its
         guard was closed there, null where that is not known
dropped  how many events were lost since the last such line (count) and in the run (total)

JSON has no numbers for infinity and NaN; they are the strings "inf", "-inf" and "nan".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from ...monitor import Status

FORMAT = "outrider-events/1"
MAX_LINE = 4 << 20
"""Bytes that a line has at most; a reader refuses longer ones."""
_TEXT, _NAME, _NAMES = 4000, 256, 256
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_STATUS = {status: status.name.lower() for status in Status}  # the class is slow to ask
_JSON = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_quoted = json.encoder.encode_basestring_ascii


class Event(NamedTuple):
    """Something that happened in the loop. A named tuple, as the loop makes one of every alarm.

    kind: "status", "alarm", "fault", "stale", "silence", "acknowledged", "drift", "unreadable" or a word of your
    own. frame: its number in the stream. wall_ns: since 1970, UTC; monotonic_ns: the clock that never steps.
    status, before: of the loop, now and until now. score, threshold, confidence, prediction, layers, reason: as in
    a `Verdict`. latency_us: from frame to verdict. neurons: the neurons that spoke, e.g. "relu1:unit[17]", where
    they are known. stamp_ns: when the frame was taken, by the clock of the recording that it is from; elapsed_ns: of
    recordings so far, see `Metrics.stamped`; both None live.
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


@dataclass(frozen=True, slots=True)
class Header:
    """The start of a run, and of each of its files. part: how many files the run had before this one.

    network, profile: SHA-256 in hexadecimal, or empty. repaired_bytes: of a line cut off by a crash, removed.
    aside: the name that the file gets when it is full; a file of that name is known by it as an older one of its log.
    source: where frames come from, in the user's words.
    """

    outrider: str
    run: str
    part: int
    network: str
    profile: str
    false_alarm_rate: float | None
    started_wall_ns: int
    started_monotonic_ns: int
    repaired_bytes: int = 0
    aside: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """Counters since the run began. values: what `Metrics.snapshot` returned, in JSON types, and `ended`."""

    wall_ns: int
    monotonic_ns: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dropped:
    """Events that were offered and lost: `count` since the last such line, `total` in the run."""

    wall_ns: int
    monotonic_ns: int
    count: int
    total: int


Record = Event | Header | Summary | Dropped


def encode(record: Record, network: str = "", profile: str = "") -> bytes:
    """The body of a line, without `seq` and newline: `number` puts them on.

    Texts are cut to 4,000 characters, names to 256 of 256. Raises ValueError or TypeError for what cannot be written.
    """
    body: dict[str, Any]
    if isinstance(record, Event):
        return _checked(_event(record, network, profile))
    if isinstance(record, Header):
        body = {"type": "header", "format": FORMAT} | _plain(record)
    elif isinstance(record, Summary):
        clocks = {"time": iso(record.wall_ns), "wall_ns": record.wall_ns, "monotonic_ns": record.monotonic_ns}
        body = {"type": "summary"} | clocks | _finite(record.values)
    else:
        body = {"type": "dropped", "time": iso(record.wall_ns)} | _plain(record)
    return _checked(_JSON.encode(body))


def _checked(body: str) -> bytes:
    line = body.encode("ascii")
    if len(line) > MAX_LINE - 64:
        raise ValueError(f"expected a line of at most {MAX_LINE} bytes, got {len(line)}")
    return line


def number(body: bytes, seq: int) -> bytes:
    """The whole line of an encoded body."""
    return b'{"seq":%d,%b\n' % (seq, body[1:])


def decode(line: bytes) -> tuple[int, Record]:
    """(seq, record) of a whole line. Raises ValueError that says what is wrong with it."""
    try:
        fields = json.loads(line.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ValueError("no JSON: it is not text") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise ValueError("no JSON object")
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in _DECODERS:
        raise ValueError(f"type {str(kind)[:40]!r}")
    try:
        seq = _integer(fields["seq"])
        if seq < 0:
            raise ValueError(f"seq {seq}")
        return seq, _DECODERS[kind](fields)
    except KeyError as error:
        raise ValueError(f"no field {error}") from None


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


def _event(event: Event, network: str, profile: str) -> str:
    """The body of the line of an event, put together by hand: in the time between two frames."""
    if event.status not in _STATUS or event.before not in _STATUS:
        raise ValueError(f"expected statuses, got {event.status!r} and {event.before!r}")
    time = iso(event.wall_ns)
    return (
        f'{{"type":"event","kind":{_quoted(event.kind[:_NAME])},"time":{"null" if time is None else _quoted(time)},'
        f'"wall_ns":{int(event.wall_ns)},"monotonic_ns":{int(event.monotonic_ns)},'
        f'"stamp_ns":{_optional(event.stamp_ns)},"elapsed_ns":{_optional(event.elapsed_ns)},'
        f'"frame":{int(event.frame)},'
        f'"status":"{_STATUS[event.status]}","before":"{_STATUS[event.before]}","score":{_figure(event.score)},'
        f'"threshold":{_figure(event.threshold)},"confidence":{_figure(event.confidence)},'
        f'"prediction":{int(event.prediction)},"layers":{_names(event.layers)},"neurons":{_names(event.neurons)},'
        f'"reason":{_quoted(event.reason[:_TEXT])},"latency_us":{_figure(event.latency_us)},'
        f'"network":{_quoted(network)},"profile":{_quoted(profile)}}}'
    )


def _optional(value: int | None) -> str:
    return "null" if value is None else str(int(value))


def _figure(value: float) -> str:
    """A number, or a word for what JSON has no number for."""
    value = float(value)
    return repr(value) if math.isfinite(value) else f'"{value!r}"'


def _names(names: Sequence[str]) -> str:
    return f"[{','.join([_quoted(name[:_NAME]) for name in names[:_NAMES]])}]"


def _plain(record: Header | Dropped) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__slots__}


def _number(value: float) -> float | str:
    value = float(value)
    return value if math.isfinite(value) else repr(value)


def _finite(value: Any) -> Any:
    """JSON types with a word for every float that JSON has no number for."""
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _decode_event(fields: dict[str, Any]) -> Event:
    return Event(
        _text(fields["kind"]),
        _integer(fields["frame"]),
        _integer(fields["wall_ns"]),
        _integer(fields["monotonic_ns"]),
        _status(fields["status"]),
        _status(fields["before"]),
        _float(fields["score"]),
        _float(fields["threshold"]),
        _float(fields["confidence"]),
        _integer(fields["prediction"]),
        _texts(fields["layers"]),
        _text(fields["reason"]),
        _float(fields["latency_us"]),
        _texts(fields.get("neurons", [])),
        *(None if fields.get(name) is None else _integer(fields[name]) for name in ("stamp_ns", "elapsed_ns")),
    )


def _decode_header(fields: dict[str, Any]) -> Header:
    if fields["format"] != FORMAT:
        raise ValueError(f"format {str(fields['format'])[:40]!r} where {FORMAT!r} is read")
    rate = fields["false_alarm_rate"]
    if rate is not None and not 0 < _float(rate) < 1:
        raise ValueError(f"false_alarm_rate {str(rate)[:40]}")
    return Header(
        _text(fields["outrider"]),
        _text(fields["run"]),
        _integer(fields["part"]),
        _text(fields["network"]),
        _text(fields["profile"]),
        rate,
        _integer(fields["started_wall_ns"]),
        _integer(fields["started_monotonic_ns"]),
        _integer(fields["repaired_bytes"]),
        _text(fields.get("aside", "")),
        _text(fields.get("source", "")),
    )


def _decode_summary(fields: dict[str, Any]) -> Summary:
    values = {name: fields[name] for name in fields.keys() - {"seq", "type", "time", "wall_ns", "monotonic_ns"}}
    return Summary(_integer(fields["wall_ns"]), _integer(fields["monotonic_ns"]), values)


def _decode_dropped(fields: dict[str, Any]) -> Dropped:
    return Dropped(*(_integer(fields[name]) for name in ("wall_ns", "monotonic_ns", "count", "total")))


_DECODERS: dict[str, Callable[[dict[str, Any]], Record]] = {
    "event": _decode_event,
    "header": _decode_header,
    "summary": _decode_summary,
    "dropped": _decode_dropped,
}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _integer(value: Any) -> int:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise ValueError(f"{str(value)[:40]!r} where an integer belongs")
    return value


def _float(value: Any) -> float:
    if value in ("inf", "-inf", "nan"):
        return float(value)
    if type(value) not in (int, float):
        raise ValueError(f"{str(value)[:40]!r} where a number belongs")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]!r} where a text belongs")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{str(value)[:40]!r} where a list belongs")
    return tuple(map(_text, value))


def _status(value: Any) -> Status:
    try:
        return Status[_text(value).upper()]
    except KeyError:
        raise ValueError(f"status {str(value)[:40]!r}") from None
