"""Detection logics as nodes in ONNX Runtime, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import HarmonicP, MaxZ, Normalised, SmallestP, Sum, Votes, ZScore
from outrider.monitor.data.groups import Groups, as_groups
from outrider.runtime.in_graph import logics

from .fragments import session

LOGICS = [
    Sum(), Normalised(), ZScore(), ZScore(log=False), MaxZ(), MaxZ(log=False), Votes(), Votes(k=2), Votes(k=0),
    SmallestP(), SmallestP(log=False), HarmonicP(), HarmonicP(log=False),
]  # fmt: skip


@pytest.mark.parametrize("opset", [9, 18])
@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_scores_are_those_of_numpy(logic, opset):
    rng = np.random.default_rng(0)
    groups = as_groups(np.array([0, 0, 0, 1, 2, 2]))
    held_out = rng.gamma(2, 1, (700, 6)).astype(np.float32)
    held_out[:, 1] = rng.integers(0, 4, 700)
    held_out[:, 3] = 10.0 ** rng.uniform(-11, 1, 700)
    held_out[:, 5] = 0
    scales = logic.fit(held_out, groups)
    new = np.concatenate([held_out[:200], rng.gamma(2, 2, (100, 6)), np.zeros((1, 6)), [[50] * 6]]).astype(np.float32)
    expected = logic.score(scales, new, groups)
    found = session(lambda ops: logics.add_score(ops, logic, scales, logics.Deviations("y", groups)), opset, 6)
    got = found.run(None, {"x": new, "prediction": np.zeros(len(new), np.int64)})[1]
    assert got.shape == expected.shape
    # A mean looks at every part, also where its curve is so steep that the seventh digit of a value counts.
    off = 2e-4 if isinstance(logic, HarmonicP) else 2e-5
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=off)
    assert (got >= 0).all()
    assert (got[expected == 0] == 0).all()


GIVEN = (
    Groups(np.array([0, 0, 1, 2, 2, 2]), np.array([True, True, False, False, True, True]), 3),
    Groups(np.array([0, 1, 2, 3, 4, 4]), np.ones(6, bool), 0),
)


@pytest.mark.parametrize("opset", [9, 18])
@pytest.mark.parametrize("groups", GIVEN)
@pytest.mark.parametrize("log", [True, False])
def test_parts_given_the_confidence_are_those_of_numpy(groups, log, opset):
    rng = np.random.default_rng(1)
    held_out = rng.gamma(2, 1, (700, 6)).astype(np.float32)
    sure = groups.confidence
    held_out[:, sure] = np.where(rng.random(700) < 0.3, 0.25, rng.gamma(2, 1, 700))  # knots at one place
    held_out[:, groups.following[:2]] *= 1 + held_out[:, sure : sure + 1]
    logic = HarmonicP(log=log)
    scales = logic.fit(held_out, groups)
    assert len(np.unique(scales["given_at"])) < 8
    new = np.concatenate([held_out[:200], rng.gamma(2, 2, (100, 6)), np.zeros((1, 6)), [[50] * 6]]).astype(np.float32)
    on_knots = np.repeat(new[:1], 8, axis=0)
    on_knots[:, sure] = np.expm1(scales["given_at"]) if log else scales["given_at"]
    new = np.concatenate([new, on_knots])
    expected = logic.score(scales, new, groups)
    found = session(lambda ops: logics.add_score(ops, logic, scales, logics.Deviations("y", groups)), opset, 6)
    got = found.run(None, {"x": new, "prediction": np.zeros(len(new), np.int64)})[1]
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-4)
    assert (got[expected == 0] == 0).all()
    lost = np.repeat(new[:1], 6, axis=0)
    lost[range(6), range(6)] = np.inf
    assert not np.isfinite(found.run(None, {"x": lost, "prediction": np.zeros(6, np.int64)})[1]).any()


@pytest.mark.parametrize("narrow", [0, 1e-39, 1e-30, 1e-20])
def test_a_confidence_that_hardly_moves_leaves_a_score(narrow):
    """Steps that are too small for a float, as between frames of which a network is as sure as can be."""
    rng = np.random.default_rng(2)
    held_out = (rng.gamma(2, 1, (400, 6)) * [1, 1, 1, narrow, 1, 1]).astype(np.float32)
    held_out[:200, :2] *= 3
    held_out[:200, 3] = 0
    logic = HarmonicP()
    scales = logic.fit(held_out, GIVEN[0])
    found = session(lambda ops: logics.add_score(ops, logic, scales, logics.Deviations("y", GIVEN[0])), 17, 6)
    got = found.run(None, {"x": held_out, "prediction": np.zeros(400, np.int64)})[1]
    assert np.isfinite(got).all()
    if narrow != 1e-39:  # which one engine takes for 0, and the other does not
        np.testing.assert_allclose(got, logic.score(scales, held_out, GIVEN[0]), rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("groups", [[0, 1, 2], [0, 0, 1], [*range(7)], [*range(23)]])
def test_where_nothing_surprises_a_score_is_no_higher_than_a_threshold_of_0(groups):
    """Of columns that hardly ever deviate. A part that is too large for a float is not taken for 0."""
    groups, logic, columns = as_groups(np.array(groups)), HarmonicP(log=False), len(groups)
    held_out = np.zeros((300, columns), np.float32)
    held_out[:20] = np.random.default_rng(3).random((20, columns))
    scales = logic.fit(held_out, groups)
    found = session(lambda ops: logics.add_score(ops, logic, scales, logics.Deviations("y", groups)), 17, columns)
    new = np.stack([np.zeros(columns), np.full(columns, 3e38)]).astype(np.float32)
    quiet, loud = found.run(None, {"x": new, "prediction": np.zeros(2, np.int64)})[1]
    assert quiet == logic.score(scales, new[:1], groups) == 0
    assert not loud <= 1e30
