from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from outrider.coverage import (
    CoverageBitmap,
    Criterion,
    Gaussian,
    Mahalanobis,
    MultiRange,
    NearestNeighbour,
    NeuronRank,
    SingleRange,
    Softmax,
    check_criterion,
    criterion_names,
    parse_criterion,
)

CRITERIA = [
    SingleRange(),
    SingleRange(quantile=0.05),
    SingleRange(magnitude=True),
    SingleRange(quantile=0.02, magnitude=True),
    MultiRange(),
    MultiRange(sections=1),
    MultiRange(sections=8, cost="log"),
    CoverageBitmap(),
    CoverageBitmap(sections=3),
    NeuronRank(),
    NeuronRank(top=200),
    NearestNeighbour(capacity=20),
    NearestNeighbour(k=3),
    Gaussian(),
    Mahalanobis(),
    Softmax(),
]


@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
def test_every_criterion_conforms(criterion):
    check_criterion(criterion)


def test_the_table_above_holds_every_criterion_of_ours():
    assert {criterion.name for criterion in CRITERIA} <= set(criterion_names())
    ours = {cls.name for cls in Criterion.__subclasses__() if cls.__module__.startswith("outrider.")}
    assert {criterion.name for criterion in CRITERIA} == ours


@dataclass(frozen=True)
class _LargestValue(Criterion):
    """A third party's criterion, right but for what a test breaks: how far above the largest value of the class."""

    broken: str = ""
    name: ClassVar[str] = "test_largest_value"
    takes_codes: ClassVar[bool] = True

    def _specification(self, neurons, classes):
        return {"largest": ((classes,), np.float32, -np.inf)}

    def _observe(self, arrays, counts, values, labels):
        if self.broken == "order":
            arrays["largest"][labels[-1]] = values[-1].max()
        largest = values.max(axis=1)
        if self.broken == "learns codes" and values.dtype == np.uint8:
            largest = largest + np.uint8(20)
        np.maximum.at(arrays["largest"], labels, largest)

    def _merge(self, into, other):
        if self.broken != "merge":
            np.maximum(into.arrays["largest"], other.arrays["largest"], out=into.arrays["largest"])

    def _deviation(self, tables, values, labels, out):
        largest = values.max(axis=1)
        if self.broken == "compares codes" and values.dtype == np.uint8:
            largest = largest + np.uint8(20)
        above = largest - tables["largest"][labels]
        out[:] = above if self.broken == "sign" else np.maximum(above, 0)
        if self.broken == "changes":
            tables["largest"] += 1


def test_a_third_party_can_run_the_suite_on_its_own_criterion():
    check_criterion(_LargestValue())


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("merge", "merging shards differs"),
        ("order", "merging"),
        ("sign", "negative deviation"),
        ("changes", "comparing changed|treats a row alone"),
        ("learns codes", "codes are not learned as the same numbers"),
        ("compares codes", "codes deviate unlike the same numbers"),
    ],
)
def test_the_suite_names_the_rule_that_a_broken_criterion_breaks(broken, rule):
    with pytest.raises(AssertionError, match=rule):
        check_criterion(_LargestValue(broken))


@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
def test_text_form_of_the_command_line_makes_the_same_criterion(criterion):
    settings = ", ".join(f"{key}={value!r}" for key, value in dataclasses.asdict(criterion).items())
    assert parse_criterion(f"{criterion.name}({settings})") == criterion


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("multirange", r"expected a criterion among .*, got 'multirange'; did you mean 'multi_range'\?"),
        ("multi_range(section=3)", "expected parameters of multi_range among sections, cost, got 'section'"),
        ("multi_range(sections='3')", "expected sections of multi_range to be int, got '3'"),
        ("multi_range(sections=0)", "expected 1 to 256 sections, got 0"),
        ("multi_range(cost=square)", "expected cost 'share' or 'log', got 'square'"),
        ("bitmap(sections=9)", "expected 2 to 8 sections, got 9"),
        ("single_range(quantile=0.5)", r"expected quantile in \[0, 0.5\), got 0.5"),
        ("nearest_neighbour(k=0)", r"expected 1 <= k <= capacity, got \(0, 256\)"),
        ("neuron_rank(top=0)", "expected top of at least 1, got 0"),
        ("gaussian(width=0)", "expected width above 0, got 0.0"),
        ("__import__('os').system('true')", "expected a criterion such as"),
        ("multi_range(8)", "expected a criterion such as"),
        ("", "expected a criterion such as"),
    ],
)
def test_a_wrong_text_names_what_was_expected(text, message):
    with pytest.raises(ValueError, match=message):
        parse_criterion(text)


def test_a_signature_of_another_criterion_is_refused():
    signature = SingleRange().empty(4, 2)
    with pytest.raises(ValueError, match=r"expected a signature of MultiRange.*, got one of SingleRange"):
        MultiRange().deviation(signature, np.zeros((1, 4), np.float32), np.zeros(1, int))


def test_stored_arrays_of_another_size_are_refused():
    signature = SingleRange().empty(4, 2)
    with pytest.raises(ValueError, match="expected arrays"):
        SingleRange().restore(5, signature.counts, signature.arrays)


def test_a_covariance_too_large_is_refused():
    with pytest.raises(ValueError, match="expected at most 4096 neurons for a full covariance, got 5000"):
        Mahalanobis().empty(5000, 2)


@pytest.mark.parametrize(("neurons", "classes"), [(0, 1), (1, 0)])
def test_nothing_to_observe_is_refused(neurons, classes):
    with pytest.raises(ValueError, match="expected at least 1 neuron and 1 class"):
        SingleRange().empty(neurons, classes)
