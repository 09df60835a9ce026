from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from outrider.monitor.heads import (
    DeflectionProfile,
    HeadGuard,
    ReadOut,
    Statistic,
    describe_statistic,
    make_statistic,
    statistic_names,
)
from outrider.monitor.heads.statistic import check_model, head_name

from .conftest import TELLING, safe, unsafe


@dataclass(frozen=True)
class LargestOutput(Statistic):
    """A statistic of a third party: the largest number of a head's output."""

    name: ClassVar[str] = "largest_output"
    measured: ClassVar[str] = "read_out"
    passes: ClassVar[str] = "none"

    def measure(self, decoder, prefill, heads):
        layers, places = zip(*heads, strict=True)
        return prefill.heads[:, list(layers), list(places)]

    def layout(self, heads, head_dim):
        return {}

    def fit(self, values, unsafe):
        return {}

    def scorer(self, model):
        return lambda values: values.max(axis=2).astype(np.float64)


def test_a_statistic_of_ones_own_is_found_by_its_name_and_chooses_heads(decoder):
    assert {"exact", "full", "largest_output", "last_query", "deflection_profile", "read_out"} <= set(statistic_names())
    guard = HeadGuard(decoder, "largest_output")
    report = guard.search(unsafe(20), safe(20), permutations=19)
    assert guard.chosen == [TELLING]
    assert report.p_value == 1 / 20


@pytest.mark.parametrize("statistic", [ReadOut("mahalanobis", 0.1), ReadOut(), DeflectionProfile(2.0)])
def test_what_describes_a_statistic_makes_it_again(statistic):
    assert make_statistic(**describe_statistic(statistic)) == statistic


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "readout"}, "did you mean 'read_out'"),
        ({"name": "read_out", "heads": 3}, "among kind, shrinkage, got 'heads'"),
        ({"name": "read_out", "shrinkage": "much"}, "shrinkage of read_out to be float"),
        ({"name": "full", "kind": "x"}, "among none"),
    ],
)
def test_an_unknown_name_or_parameter_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_statistic(**arguments)


def test_arrays_of_another_form_are_no_model():
    model = {"weights": np.zeros((2, 6), np.float32), "bias": np.zeros(2)}
    check_model(ReadOut(), model, 2, 6)
    with pytest.raises(ValueError, match="expected arrays"):
        check_model(ReadOut(), model, 3, 6)
    with pytest.raises(ValueError, match="bias: expected numbers, got NaN"):
        check_model(ReadOut(), model | {"bias": np.array([0, np.nan])}, 2, 6)


def test_heads_are_named_from_0():
    assert head_name((12, 0)) == "layer 12 head 0"
