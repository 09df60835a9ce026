"""A log is read back line by line, also one that a crash left in mid-line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.monitor import OutriderWarning
from outrider.runtime.log.events import encode, number
from outrider.runtime.log.reader import read_events, read_records

from .test_events import EVENT, HEADER, event_strategy, same


@given(st.lists(event_strategy, max_size=5))
def test_a_file_of_events_comes_back(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    path.write_bytes(b"".join(number(encode(record), seq) for seq, record in enumerate([HEADER, *written])))
    read = list(read_events(path))
    assert len(read) == len(written)
    assert all(map(same, written, read))


def test_a_broken_line_in_the_middle_is_refused_by_number(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(number(encode(HEADER), 0) + b"garbage\n" + number(encode(EVENT), 2))
    with pytest.raises(ValueError, match="expected a line of an event log, got ") as error:
        list(read_records(path))
    assert str(error.value).startswith(f"{path}:2: ")
    assert str(error.value).endswith("got one that cannot be read (JSON is malformed: invalid character (byte 0))")
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
        ValueError,
        match=r"events.jsonl:2: expected a line of an event log, got one that cannot be read \(longer than 4",
    ):
        list(read_records(path))
    assert [seq for seq, _ in read_records(path, broken=lambda _: None)] == [0, 1]


def test_no_file_is_an_oserror(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing.jsonl"):
        list(read_events(tmp_path / "nothing.jsonl"))
