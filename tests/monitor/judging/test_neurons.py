"""Neurons are named by what they add, when somebody reads the names."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from outrider.coverage import NearestNeighbour, SingleRange
from outrider.monitor.judging import neurons
from outrider.monitor.judging.neurons import Neurons, namer, naming


@pytest.fixture
def signature():
    """The range 0 to 1 of six neurons, of one class that was seen and one that was not."""
    made = SingleRange(magnitude=False).empty(6, 2)
    SingleRange().observe(made, np.array([[0] * 6, [1] * 6], np.float32), np.zeros(2, int))
    return made


def test_the_neurons_outside_are_named_the_first_of_equals_first(signature):
    names = naming("relu:unit", SingleRange(), signature)
    values = np.float32([0, 2, 1, -1, 3, 0.5])
    assert list(names(values, 0)) == ["relu:unit[1]", "relu:unit[3]", "relu:unit[4]"]


def test_no_more_than_four_of_a_column_and_eight_in_all(signature):
    names = naming("t", SingleRange(), signature)
    assert list(names(np.full(6, 9, np.float32), 0)) == ["t[0]", "t[1]", "t[2]", "t[3]"]
    found = Neurons([namer(names, np.full(6, 9, np.float32), 0)] * 3)
    assert len(found) == 8


def test_criteria_that_are_no_sum_name_nothing():
    made = NearestNeighbour().empty(4, 1)
    NearestNeighbour().observe(made, np.ones((2, 4), np.float32), np.zeros(2, int))
    assert naming("t", NearestNeighbour(), made) is None


def test_values_are_copied_when_few_and_named_at_once_when_many(signature, monkeypatch):
    names, values = naming("t", SingleRange(), signature), np.float32([5, 0, 0, 0, 0, 0])
    for largest in (1024, 3):
        monkeypatch.setattr(neurons, "_LARGEST_COPY", largest)
        values[:] = [5, 0, 0, 0, 0, 0]
        later = namer(names, values, 0)
        values[:] = [0, 5, 0, 0, 0, 0]
        assert list(later()) == ["t[0]"]


def test_names_are_a_sequence_worked_out_once():
    calls = []
    found = Neurons([lambda: calls.append(1) or ("a", "b"), lambda: ("c",)])
    assert not calls
    assert (found[0], found[1:], len(found)) == ("a", ("b", "c"), 3)
    assert calls == [1]
    assert found == ("a", "b", "c") == tuple(found)
    assert found == Neurons([lambda: ("a", "b", "c")])
    assert hash(found) == hash(("a", "b", "c"))
    assert copy.copy(found) == ("a", "b", "c")
