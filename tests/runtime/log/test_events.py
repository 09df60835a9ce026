"""Lines of the event log: what is written is read, and nothing else is."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.monitor import OutriderWarning, Status
from outrider.runtime.log import events
from outrider.runtime.log.events import Dropped, Event, Header, Summary, decode, encode, iso, number
from outrider.runtime.log.reader import read_events, read_records

EVENT = Event(
    "alarm", 7, 1_769_860_800_123_456_789, 5_000_000_000, Status.ALARM, Status.OK, 1.5, 1.0, 0.35, 3,
    ("relu1:unit single_range",), "score 1.5 is above the threshold 1", 812.5, ("relu1:unit[17]",),
)  # fmt: skip
HEADER = Header(
    "0.1.0",
    "a" * 32,
    0,
    "n" * 64,
    "p" * 64,
    0.01,
    1_769_860_800_000_000_000,
    4_000_000_000,
    0,
    "e.1.jsonl",
    "drive.mcap",
)
SUMMARY = Summary(8, 9, {"counters": {"frames": 3}, "latency_us": [[8.0, 3]], "drift": None})
DROPPED = Dropped(8, 9, 2, 5)

integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(), max_size=60)  # lone surrogates too
numbers = st.floats() | st.floats(width=32)
event_strategy = st.builds(
    Event, texts, integers, integers, integers, st.sampled_from(Status), st.sampled_from(Status), numbers, numbers,
    numbers, integers, st.lists(texts, max_size=3).map(tuple), texts, numbers, st.lists(texts, max_size=3).map(tuple),
    st.none() | integers, st.none() | integers,
)  # fmt: skip


def same(left, right):
    """Equal field by field, NaN being NaN."""
    return all(
        a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)) for a, b in zip(left, right, strict=True)
    )


@given(event_strategy, st.integers(0, 2**40))
def test_an_event_is_one_ascii_line_and_comes_back(event, seq):
    line = number(encode(event, "n", "p"), seq)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    back_seq, back = decode(line)
    assert back_seq == seq
    assert same(event, back)


@given(st.lists(event_strategy, max_size=5))
def test_a_file_of_events_comes_back(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    path.write_bytes(b"".join(number(encode(record), seq) for seq, record in enumerate([HEADER, *written])))
    read = list(read_events(path))
    assert len(read) == len(written)
    assert all(map(same, written, read))


@pytest.mark.parametrize("record", [HEADER, SUMMARY, DROPPED, replace(HEADER, false_alarm_rate=None, part=3)])
def test_the_other_records_come_back(record):
    assert decode(number(encode(record), 4)) == (4, record)


def test_a_line_holds_time_status_and_hashes_in_words():
    line = json.loads(number(encode(EVENT, "n" * 64, "p" * 64), 12))
    assert line["seq"] == 12
    assert line["time"] == "2026-01-31T12:00:00.123456Z"
    assert (line["status"], line["before"]) == ("alarm", "ok")
    assert (line["network"], line["profile"]) == ("n" * 64, "p" * 64)


def test_long_texts_are_cut():
    event = EVENT._replace(kind="k" * 999, reason="r" * 99_999, layers=("l" * 999,) * 999, neurons=("\0",) * 999)
    _, back = decode(number(encode(event), 0))
    assert (len(back.kind), len(back.reason), len(back.layers), len(back.layers[0])) == (256, 4000, 256, 256)
    widest = event._replace(layers=("\U0001f600" * 256,) * 256, neurons=("\U0001f600" * 256,) * 256)
    assert len(encode(widest)) < events.MAX_LINE


@pytest.mark.parametrize("wall_ns", [2**63 - 1, -(2**63), 10**30, -1])
def test_a_time_without_a_date_is_no_error(wall_ns):
    assert iso(wall_ns) is None or iso(wall_ns).endswith("Z")


def test_times_are_those_of_datetime():
    for wall_ns in (0, 1, -1, 999_999_999, 1_769_860_800_123_456_789, -62_135_596_800 * 10**9, 253_402_300_799 * 10**9):
        date = datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=wall_ns // 1000)
        assert iso(wall_ns) == date.strftime("%Y-%m-%dT%H:%M:%S.%fZ").zfill(27)


@pytest.mark.parametrize("wrong", [{"status": 99}, {"before": "ok"}, {"status": []}])
def test_a_status_that_is_none_is_refused(wrong):
    with pytest.raises((ValueError, TypeError)):
        encode(EVENT._replace(**wrong))


def test_a_header_of_an_earlier_version_says_no_name():
    line = json.loads(encode(HEADER))
    del line["aside"]
    assert decode(json.dumps(line | {"seq": 0}).encode() + b"\n")[1] == replace(HEADER, aside="")


def line_with(**changes):
    return (json.dumps({"seq": 1} | json.loads(encode(EVENT)) | changes) + "\n").encode()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\n", "no JSON: "),
        (b"garbage\n", "no JSON: "),
        (b'{"seq":1,\n', "no JSON: "),
        (b"\xff\xfe\n", "no JSON: "),
        (b"[" * 100_000 + b"\n", "no JSON: "),
        (b'{"seq":' + b"9" * 5000 + b"}\n", "no JSON: "),
        (b"[1]\n", "no JSON object"),
        (b'{"seq":0,"type":"header","format":"outrider-events/9"}\n', "format 'outrider-events/9' where"),
        (line_with(type="verdict"), "type 'verdict'"),
        (line_with(type=["event"]), "type "),
        (b'{"seq":0,"type":"event"}\n', "no field 'kind'"),
        (line_with(seq=-1), "seq -1"),
        (line_with(seq=True), "'True' where an integer belongs"),
        (line_with(frame=1.5), "'1.5' where an integer belongs"),
        (line_with(frame=2**63), "where an integer belongs"),
        (line_with(score="much"), "'much' where a number belongs"),
        (line_with(score=None), "'None' where a number belongs"),
        (line_with(status="fine"), "status 'fine'"),
        (line_with(reason=3), "'3' where a text belongs"),
        (line_with(layers="relu"), "'relu' where a list belongs"),
        (line_with(layers=[1]), "'1' where a text belongs"),
        (line_with(score=float("nan")), "NaN is no JSON"),
        (
            (json.dumps({"seq": 0} | json.loads(encode(HEADER)) | {"false_alarm_rate": 2}) + "\n").encode(),
            "alarm_rate 2",
        ),
    ],
)
def test_a_broken_line_in_the_middle_is_refused_by_number(tmp_path, line, message):
    path = tmp_path / "events.jsonl"
    path.write_bytes(number(encode(HEADER), 0) + line + number(encode(EVENT), 2))
    with pytest.raises(ValueError, match="expected a line of an event log, got ") as error:
        list(read_records(path))
    assert str(error.value).startswith(f"{path}:2: ")
    assert message in str(error.value)
    complaints = []
    assert [seq for seq, _ in read_records(path, broken=complaints.append)] == [0, 2]
    assert complaints == [str(error.value)]


def test_a_last_line_is_tolerated_wherever_it_was_cut(tmp_path):
    path = tmp_path / "events.jsonl"
    whole, last = number(encode(HEADER), 0) + number(encode(EVENT), 1), number(encode(EVENT), 2)
    for cut in range(1, len(last)):
        path.write_bytes(whole + last[:cut])
        with pytest.warns(OutriderWarning, match=rf"events.jsonl:3: the last line is cut off after {cut} bytes"):
            assert list(read_events(path)) == [EVENT]
    path.write_bytes(whole + last)
    assert list(read_events(path)) == [EVENT, EVENT]


def test_a_line_that_never_ends_is_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("outrider.runtime.log.reader.MAX_LINE", 4096)
    path = tmp_path / "events.jsonl"
    path.write_bytes(number(encode(HEADER), 0) + b"x" * 10_000 + b"\n" + number(encode(EVENT), 1))
    with pytest.raises(
        ValueError, match=r"events.jsonl:2: expected a line of an event log, got longer than 4,096 bytes"
    ):
        list(read_records(path))
    assert [seq for seq, _ in read_records(path, broken=lambda _: None)] == [0, 1]


def test_no_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.jsonl"):
        list(read_events(tmp_path / "nothing.jsonl"))
