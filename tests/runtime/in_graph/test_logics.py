"""Detection logics as nodes in ONNX Runtime, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import HarmonicP, MaxZ, Normalised, SmallestP, Sum, Votes, ZScore
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
    groups = np.array([0, 0, 0, 1, 2, 2])
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
