"""A worker reads its own rows of a source."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from outrider.runtime.inputs.sharded import SourceFrames, listing_of
from outrider.runtime.inputs.sources import Source

DATA = np.arange(40, dtype=np.float32).reshape(20, 2)


def source(read, **settings):
    return Source(read, [f"set/{i}" for i in range(20)], ready=True, **settings)


def test_the_rows_asked_for_and_no_others():
    read = []

    def take(index):
        read.append(index)
        return DATA[index]

    frames = SourceFrames(source(take, labels=np.arange(20)), None, SimpleNamespace(inputs=()))
    assert len(frames) == 20
    found = list(frames.batches(range(5, 12), 3))
    assert read == list(range(5, 12))
    assert [len(batch) for batch, _ in found] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([batch for batch, _ in found]), DATA[5:12])
    assert np.concatenate([labels for _, labels in found]).tolist() == list(range(5, 12))


def test_no_batch_goes_beyond_a_drive():
    frames = SourceFrames(source(lambda i: DATA[i], starts=(8,)), None, SimpleNamespace(inputs=()))
    assert [len(batch) for batch in frames.batches(range(5, 12), 4)] == [3, 4]


def test_what_cannot_be_read_is_noted_in_the_whole_source():
    def broken(index):
        if index in (3, 9):
            raise ValueError("torn")
        return DATA[index]

    whole = source(broken, problems={})
    frames = SourceFrames(whole, None, SimpleNamespace(inputs=()))
    assert sum(len(batch) for batch in frames.batches(range(8, 12), 4)) == 3
    assert whole.problems == {"set/9": "torn"}


def test_the_listing_is_of_the_names_within_the_data():
    names = source(lambda i: DATA[i])
    elsewhere = Source(names.read, [f"/mnt/{name}" for name in names.names], ready=True)
    assert listing_of(names, "set") == listing_of(elsewhere, "/mnt/set/")
    assert listing_of(names, "set") != listing_of(names[:19], "set")
