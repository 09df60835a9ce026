"""What a signature holds, copies and derives."""

from __future__ import annotations

import numpy as np

from outrider.coverage import Signature, SingleRange


def signature():
    return Signature("Some()", 3, np.array([4, 0], np.int64), {"low": np.arange(6, dtype=np.float32).reshape(2, 3)})


def test_it_says_what_it_holds():
    one = signature()
    assert (one.classes, one.nbytes) == (2, 2 * 8 + 6 * 4)
    assert repr(one) == "<Signature of Some(): 3 neurons, 2 classes, 4 samples>"


def test_a_copy_shares_no_memory():
    one = signature()
    other = one.copy()
    other.arrays["low"] += 1
    other.counts += 1
    assert one.arrays["low"][0].tolist() == [0, 1, 2]
    assert one.counts.tolist() == [4, 0]


def test_what_is_shared_is_observed_once():
    one = signature()
    other = one.shared("Other()")
    one.arrays["low"] += 1
    one.counts += 1
    assert (other.criterion, other.neurons, other.counts.tolist()) == ("Other()", 3, [5, 1])
    assert other.arrays["low"][0].tolist() == [1, 2, 3]
    assert (one.tables(lambda: "mine"), other.tables(lambda: "its own")) == ("mine", "its own")


def test_tables_are_made_once_for_floats_and_once_for_codes_until_forgotten():
    one, made = signature(), iter(range(9))
    assert [one.tables(lambda: next(made), codes) for codes in (False, True, False, True)] == [0, 1, 0, 1]
    one.forget_tables()
    assert one.tables(lambda: next(made)) == 2


def test_observing_forgets_the_tables():
    one = SingleRange().empty(2, 1)
    for value, expected in ((1, 2), (3, 0)):
        SingleRange().observe(one, np.full((1, 2), value, np.float32), np.zeros(1, int))
        assert SingleRange().deviation(one, np.full((1, 2), 2.5, np.float32), np.zeros(1, int)) == expected
