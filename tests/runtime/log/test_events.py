"""Lines of the event log: what is written is read, and nothing else is."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outrider.monitor import Status
from outrider.runtime.log import events
from outrider.runtime.log.events import Clean, Dropped, Event, Header, Summary, decode, encode, iso, number

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
    "of frames like the held-out ones at most 0.01 alarm",
)
SUMMARY = Summary(8, 9, {"counters": {"frames": 3}, "latency_us": [[8.0, 3]], "drift": None})
DROPPED = Dropped(8, 9, 2, 5)

integers = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(), max_size=60)  # lone surrogates too
numbers = st.floats() | st.floats(width=32)
event_strategy = st.builds(
    Event, texts, integers, integers, integers, st.sampled_from(Status), st.sampled_from(Status), numbers, numbers,
    numbers, integers, st.lists(texts, max_size=3).map(tuple), texts, numbers, st.lists(texts, max_size=3).map(tuple),
    st.none() | integers, st.none() | integers, texts, st.sampled_from(["", "sensor", "unknown"]),
)  # fmt: skip


def same(left, right):
    """Equal field by field, NaN being NaN."""
    return all(
        a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)) for a, b in zip(left, right, strict=True)
    )


@given(event_strategy, st.integers(0, 2**40))
@example(EVENT._replace(reason="\ud800, \x7f, \u20ac", layers=("\udcff",), score=-math.inf, threshold=math.nan), 0)
def test_an_event_is_one_ascii_line_and_comes_back(event, seq):
    line = number(encode(event, "n", "p"), seq)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    back_seq, back = decode(line)
    assert back_seq == seq
    assert same(event, back)


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
        (b"\n", "Input data was truncated"),
        (b"garbage\n", "JSON is malformed"),
        (b'{"seq":1,\n', "Input data was truncated"),
        (b"\xff\xfe\n", "JSON is malformed"),
        (b"[" * 100_000 + b"\n", "Expected `object`, got `array`"),
        (b'{"seq":0,"type":"event","x":' + b"[" * 100_000 + b"\n", "recursion"),
        (b'{"seq":' + b"9" * 5000 + b"}\n", "Integer value out of range"),
        (b"[1]\n", "Expected `object`, got `array`"),
        (
            b'{"seq":0,"type":"header","format":"outrider-events/9"}\n',
            "format 'outrider-events/9', expected 'outrider-e",
        ),
        (line_with(type="verdict"), "Invalid enum value 'verdict' - at `$.type`"),
        (line_with(type=["event"]), "Expected `str`, got `array` - at `$.type`"),
        (b'{"seq":0,"type":"event"}\n', "missing required field `kind`"),
        (line_with(seq=-1), "Expected `int` >= 0 - at `$.seq`"),
        (line_with(seq=True), "Expected `int`, got `bool` - at `$.seq`"),
        (line_with(frame=1.5), "Expected `int`, got `float` - at `$.frame`"),
        (line_with(frame=2**63), "Expected `int` <= 9223372036854775807 - at `$.frame`"),
        (line_with(score="much"), "Invalid enum value 'much' - at `$.score`"),
        (line_with(score=None), "Expected `float | str`, got `null` - at `$.score`"),
        (line_with(status="fine"), "Invalid enum value 'fine' - at `$.status`"),
        (line_with(reason=3), "Expected `str`, got `int` - at `$.reason`"),
        (line_with(layers="relu"), "Expected `array`, got `str` - at `$.layers`"),
        (line_with(layers=[1]), "Expected `str`, got `int` - at `$.layers[0]`"),
        (line_with(score=float("nan")), "JSON is malformed"),
        (line_with(reason="\ud800", frame=1.5), "Expected `int`, got `float` - at `$.frame`"),
        (
            (json.dumps({"seq": 0} | json.loads(encode(HEADER)) | {"false_alarm_rate": 2}) + "\n").encode(),
            "Expected `float` < 1.0 - at `$.false_alarm_rate`",
        ),
    ],
)
def test_a_line_that_is_none_is_refused(line, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        decode(line)


OF_0_1 = r"""
{"seq":0,"type":"header","format":"outrider-events/1","outrider":"0.1.0","run":"aa","part":0,"network":"nn","profile":"pp","false_alarm_rate":0.01,"started_wall_ns":1769860800000000000,"started_monotonic_ns":4000000000,"repaired_bytes":0,"aside":"e.1.jsonl","source":"drive.mcap"}
{"seq":1,"type":"event","kind":"alarm","time":"2026-01-31T12:00:00.123456Z","wall_ns":1769860800123456789,"monotonic_ns":5000000000,"stamp_ns":null,"elapsed_ns":7,"frame":7,"status":"alarm","before":"ok","score":"inf","threshold":1.0,"confidence":0.35,"prediction":3,"layers":["relu1:unit single_range"],"neurons":["relu1:unit[17]"],"reason":"a \ud800 caf\u00e9","latency_us":812.5,"network":"nn","profile":"pp"}
{"seq":2,"type":"summary","time":"1970-01-01T00:00:00.000000Z","wall_ns":8,"monotonic_ns":9,"counters":{"frames":3},"latency_us":[["inf",3]],"drift":null,"ended":true}
{"seq":3,"type":"dropped","time":"1970-01-01T00:00:00.000000Z","wall_ns":8,"monotonic_ns":9,"count":2,"total":5}
""".strip().encode()  # noqa: E501


def test_a_log_of_version_0_1_is_read():
    lines = OF_0_1.splitlines(keepends=True)
    assert [decode(line) for line in lines] == [
        (0, Header("0.1.0", "aa", 0, "nn", "pp", 0.01, 1769860800 * 10**9, 4 * 10**9, 0, "e.1.jsonl", "drive.mcap")),
        (1, EVENT._replace(score=math.inf, reason="a \ud800 caf\u00e9", elapsed_ns=7)),
        (2, Summary(8, 9, {"counters": {"frames": 3}, "latency_us": [["inf", 3]], "drift": None, "ended": True})),
        (3, Dropped(8, 9, 2, 5)),
    ]
    for seq, line in enumerate(lines):
        again = number(encode(decode(line)[1], "nn", "pp"), seq)
        assert json.loads(again) == json.loads(line)


def test_numbers_and_texts_of_numpy_are_written_as_what_they_are():
    event = EVENT._replace(score=np.float64(0.5), layers=(np.str_("relu1"),), frame=np.int64(3))
    assert decode(number(encode(event), 1))[1] == EVENT._replace(score=0.5, layers=("relu1",), frame=3)
    header = replace(HEADER, false_alarm_rate=np.float64(0.05))
    assert decode(number(encode(header), 1))[1] == replace(HEADER, false_alarm_rate=0.05)
    summary = replace(SUMMARY, values={"x": np.float64(0.5), "y": [np.float64("inf"), np.float32("-inf"), np.int32(7)]})
    assert decode(number(encode(summary), 1))[1].values == {"x": 0.5, "y": ["inf", "-inf", 7]}
    header = replace(HEADER, false_alarm_rate=np.float32(0.25))
    assert decode(number(encode(header), 1))[1] == replace(HEADER, false_alarm_rate=0.25)
    with pytest.raises(TypeError, match="expected numbers, texts and lists of them, got object"):
        encode(replace(SUMMARY, values={"x": object()}))


@pytest.mark.parametrize("line", [b'{"seq":1,"y":"\\ud800","x":' + b"[" * 100_000, b'{"seq":1,"y":"\\ud800","x":NaN}'])
def test_a_hostile_line_with_half_a_surrogate_is_a_broken_line(line):
    with pytest.raises(ValueError, match=r"recursion|expected JSON, got NaN"):
        decode(line + b"\n")


@given(
    st.builds(
        Clean, integers, integers, st.integers(0, 2**40), integers, st.floats(0, 1e30), st.floats(0, 1e30),
        st.lists(st.floats(0, width=32, allow_nan=False, allow_infinity=False), max_size=5),
        st.integers(0, 2**40), st.integers(0, 2**40), texts,
    )
)  # fmt: skip
def test_a_clean_frame_comes_back_to_the_last_bit(clean):
    deviation = np.array(clean.deviation, np.float32)
    line = number(encode(clean._replace(deviation=deviation)), 3)
    assert line.isascii()
    seq, back = decode(line)
    assert seq == 3
    assert np.array(back.deviation, np.float32).tobytes() == deviation.tobytes()
    assert back._replace(deviation=()) == clean._replace(deviation=())


@pytest.mark.parametrize("wrong", [{"deviation": [-1.0]}, {"score": "inf"}, {"clean": -1}, {"deviation": "x"}])
def test_a_clean_frame_of_other_numbers_is_refused(wrong):
    line = number(encode(Clean(1, 2, 3, 0, 0.5, 1.0, np.ones(2, np.float32), 4, 0)), 0)
    with pytest.raises(ValueError, match=r"deviation|score|clean"):
        decode(json.dumps(json.loads(line) | wrong).encode() + b"\n")


def test_only_events_with_a_stream_or_a_kind_say_so():
    for stream, kind in (("", ""), ("left", ""), ("", "sensor"), ("left", "unsure")):
        line = number(encode(EVENT._replace(stream=stream, alarm_kind=kind)), 0)
        fields = json.loads(line)
        assert fields.get("stream", "") == stream
        assert fields.get("alarm_kind", "") == kind
        assert ("stream" in fields) == bool(stream or kind)
        assert ("alarm_kind" in fields) == bool(kind)
        assert decode(line)[1][-2:] == (stream, kind)
