"""What taps detect, against pairs of frames counted one by one."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, Margin, SingleRange
from outrider.monitor import HarmonicP
from outrider.networks import Tap
from outrider.runtime.budget.gains import Detection, FaultDeviations

FACTS = {"classes": 4, "map_classes": None, "scores": "logits"}
MAP, OTHER, SCORES = (
    Tap("a", "relu", (4, 8, 8), "NCHW", "float32", "channel"),
    Tap("b", "relu", (4, 8, 8), "NCHW", "float32", "sample4"),
    Tap("y", "output", (4,), "NC", "float32", "unit"),
)
CRITERIA = {MAP.id: [SingleRange(), Mahalanobis()], OTHER.id: [SingleRange()], SCORES.id: [Margin()]}
COLUMNS = [(Margin(), SCORES.id), (Mahalanobis(), MAP.id), (SingleRange(), OTHER.id), (SingleRange(), MAP.id)]


def deviations(seed, more=0.0):
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 6, (40, 4)).astype(np.float32)
    return FaultDeviations(clean, {name: rng.integers(0, 6, (30, 4)) + np.float32(more) for name in ("dark", "torn")})


def pairs(low, high):
    """The share of pairs in which the second is higher, ties counting half."""
    low, high = np.asarray(low)[:, None], np.asarray(high)[None]
    return float(((high > low) + 0.5 * (high == low)).mean())


def test_a_single_column_ranks_as_it_deviates():
    frames = deviations(0, 1)
    found = Detection([], FACTS, CRITERIA, COLUMNS, frames)
    expected = {name: pairs(frames.clean[:, 2], faulty[:, 2]) for name, faulty in frames.faults.items()}
    assert found.by_fault([OTHER], frames) == pytest.approx(expected, abs=1e-12)
    assert found.mean([OTHER]) == pytest.approx(sum(expected.values()) / 2, abs=1e-12)


def test_several_columns_are_judged_by_a_logic_fitted_to_the_frames_that_choose():
    choosing, report = deviations(1), deviations(2, 2)
    found = Detection([SCORES], FACTS, CRITERIA, COLUMNS, choosing)
    order = [3, 1, 0]  # as a monitor of a:channel and the class scores has them
    logic, groups = HarmonicP(), found._columns([MAP])[1]
    assert found._columns([MAP])[0] == order
    assert (groups.of.tolist(), groups.confidence) == ([0, 1, 2], 2)
    scales = logic.fit(choosing.clean[:, order], groups)
    scores = [logic.score(scales, each[:, order], groups) for each in (report.clean, *report.faults.values())]
    expected = [pairs(scores[0], each) for each in scores[1:]]
    assert list(found.by_fault([MAP], report).values()) == pytest.approx(expected, abs=1e-12)


def test_columns_on_one_kind_of_neurons_make_a_group():
    thin = Tap("c", "relu", (4, 8, 8), "NCHW", "float32", "sample4")
    criteria = {**CRITERIA, thin.id: [SingleRange()]}
    found = Detection([], FACTS, criteria, [*COLUMNS, (SingleRange(), thin.id)], deviations(0))
    columns, groups = found._columns([MAP, OTHER, thin])
    assert dict(zip(columns, groups.of.tolist(), strict=True)) == {3: 0, 2: 1, 4: 1, 1: 2}


def test_without_a_column_it_is_chance():
    found = Detection([], FACTS, CRITERIA, COLUMNS, deviations(0, 3))
    assert found.mean([]) == 0.5
