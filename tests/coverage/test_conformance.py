"""The suite for criteria: ours pass it, and broken ones do not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from outrider.coverage import Criterion, Gaussian, check_criterion, conformance, criterion_names

from .samples import CRITERIA


@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
def test_every_criterion_conforms(criterion):
    check_criterion(criterion)


def test_the_table_above_holds_every_criterion_of_ours():
    assert {criterion.name for criterion in CRITERIA} <= set(criterion_names())
    several = [cls for base in Criterion.__subclasses__() for cls in (base, *base.__subclasses__())]
    ours = {cls.name for cls in several if cls.__module__.startswith("outrider.")}
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

    def _many_rows(self, tables, n, rows_a_frame):
        def compare(values, labels, out):
            self._deviation(tables, values, labels, out)
            out += 1 if self.broken == "lots" else float(np.isfinite(values[-1]).all()) + len(values)

        return compare if self.broken in ("frames", "lots") else None


@dataclass(frozen=True)
class _SaidExact(Gaussian):
    """Sums, which have other last bits in another order."""

    name: ClassVar[str] = "said_exact"
    merges_exactly: ClassVar[bool] = True


def test_sums_are_not_merged_exactly():
    with pytest.raises(AssertionError, match="merges_exactly, and shards have other bits than one pass"):
        conformance._merges(_SaidExact(), np.random.default_rng(0))
    conformance._merges(Gaussian(), np.random.default_rng(0))


def test_a_third_party_can_run_the_suite_on_its_own_criterion():
    check_criterion(_LargestValue())


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ("merge", "merging shards differs"),
        ("order", "merging"),
        ("frames", "treats a frame of many rows alone unlike"),
        ("lots", "gives rows of a frame of many another deviation"),
        ("sign", "negative deviation"),
        ("changes", "comparing changed|treats a row alone"),
        ("learns codes", "codes are not learned as the same numbers"),
        ("compares codes", "codes deviate unlike the same numbers"),
    ],
)
def test_the_suite_names_the_rule_that_a_broken_criterion_breaks(broken, rule):
    with pytest.raises(AssertionError, match=rule):
        check_criterion(_LargestValue(broken))
