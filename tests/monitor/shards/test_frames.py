"""Data that can be read from any row on."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.shards.frames import frames_of

FRAMES, LABELS = np.arange(20, dtype=np.float32).reshape(10, 2), np.arange(10)


def read(data, rows=range(3, 8), size=2):
    return list(frames_of(data).batches(rows, size))


def test_an_array():
    assert len(frames_of(FRAMES)) == 10
    found = read(FRAMES)
    assert [len(batch) for batch in found] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(found), FRAMES[3:8])


def test_a_pair_with_labels():
    found = read((FRAMES, LABELS))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in found]), LABELS[3:8])
    np.testing.assert_array_equal(np.concatenate([batch for batch, _ in found]), FRAMES[3:8])


def test_several_inputs_by_name():
    found = read(({"a": FRAMES, "b": -FRAMES}, LABELS))
    np.testing.assert_array_equal(found[1][0]["b"], -FRAMES[5:7])
    np.testing.assert_array_equal(found[1][1], LABELS[5:7])


def test_labels_that_are_boxes():
    boxes = [{"boxes": np.zeros((i, 4)), "labels": np.zeros(i, int)} for i in range(10)]
    for data in ((FRAMES, boxes), list(zip(FRAMES, boxes, strict=True))):
        assert [len(one["labels"]) for _, labels in read(data) for one in labels] == [3, 4, 5, 6, 7]


def test_a_dataset_of_samples():
    found = read(list(zip(FRAMES, LABELS, strict=True)))
    np.testing.assert_array_equal(np.concatenate([batch for batch, _ in found]), FRAMES[3:8])
    assert np.concatenate([labels for _, labels in found]).tolist() == [3, 4, 5, 6, 7]
    found = read([{"a": frame} for frame in FRAMES])
    np.testing.assert_array_equal(found[0]["a"], FRAMES[3:5])


def test_what_reads_itself_stays_as_it_is():
    class Own:
        def __len__(self):
            return 3

        def batches(self, rows, size):
            yield FRAMES

    own = Own()
    assert frames_of(own) is own


@pytest.mark.parametrize("data", [iter(FRAMES), "frames", 3, {"a": 1}])
def test_what_cannot_be_read_from_any_row_on_is_refused(data):
    with pytest.raises(TypeError, match="expected data that can be read from any row on"):
        frames_of(data)


def test_arrays_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="expected as many of everything, got 10, 9"):
        frames_of((FRAMES, LABELS[:9]))
