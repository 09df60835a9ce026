"""Which reader a text names, and the column of the frames. The readers themselves are run in test_engine.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from outrider.runtime.cluster import reading


@pytest.fixture
def asked(monkeypatch):
    """What is asked of Ray, which is not there."""
    calls = []

    def reader(name, *columns):
        def read(data, **settings):
            calls.append((name, data))
            return SimpleNamespace(schema=lambda: SimpleNamespace(names=list(columns)))

        return read

    ray = SimpleNamespace(
        read_parquet=reader("parquet", "label", "frame"),
        read_webdataset=reader("webdataset", "__key__", "cls", "jpg"),
        read_binary_files=reader("binary", "bytes", "path"),
    )
    monkeypatch.setattr(reading, "ray_data", lambda: ray)
    return calls


@pytest.mark.parametrize(
    ("data", "reader", "column"),
    [
        ("s3://bucket/set.parquet", "parquet", "frame"),
        ("set.parquet/", "parquet", "frame"),
        ("shards/a.TAR", "webdataset", "jpg"),
        ("s3://bucket/frames", "binary", "bytes"),
    ],
)
def test_the_ending_says_the_reader(asked, data, reader, column):
    assert reading.read(data).column == column
    assert asked == [(reader, data)]
    assert reading.read(data, "other").column == "other"


def test_a_column_that_cannot_be_guessed_is_asked_for(asked, monkeypatch):
    monkeypatch.setitem(reading._COLUMNS, "parquet", ("picture",))
    with pytest.raises(ValueError, match=r"set.parquet: expected a column of frames, such as .*, got label, frame"):
        reading.read("set.parquet")
