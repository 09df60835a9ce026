"""Columns of one criterion in a graph."""

from __future__ import annotations

import numpy as np

from outrider.coverage import SingleRange
from outrider.runtime.in_graph.group import Group, parts, row

from .fragments import learned, session

VALUES = np.arange(12, dtype=np.float32).reshape(2, 6)


def test_tables_stand_beside_each_other():
    group = Group(SingleRange(), learned(SingleRange(), VALUES, np.array([0, 2]), (4, 2)), "prediction")
    assert group.sizes == [4, 2]
    (low, high), (other, _) = group.tables()
    assert (low.shape, other.shape) == ((3, 4), (3, 2))
    joined = group.joined_tables()
    np.testing.assert_array_equal(joined[0], np.concatenate([low, other], axis=1))
    np.testing.assert_array_equal(joined[1][0], VALUES[0])
    np.testing.assert_array_equal(high[2], VALUES[1, :4])


def test_the_row_of_a_class_and_the_neurons_of_a_column():
    table = np.arange(9, dtype=np.float32).reshape(3, 3)

    def build(ops):
        last = parts(ops, "y", [1, 2, 3])[2]
        return ops("Add", last, row(ops, table, "prediction"))

    labels = np.array([2, 0])
    got = session(build, columns=6).run(None, {"x": VALUES, "prediction": labels})[1]
    np.testing.assert_array_equal(got, VALUES[:, 3:] + table[labels])
    alone = session(
        lambda ops: ops("Add", parts(ops, "y", [6])[0], row(ops, np.ones((3, 6), np.float32), None)), columns=6
    )
    np.testing.assert_array_equal(alone.run(None, {"x": VALUES, "prediction": labels})[1], VALUES + 1)
