"""Logics as tensors, against those of the host."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor import HarmonicP, LargestArea, MaxZ, Normalised, SmallestP, Sum, Votes, ZScore  # noqa: E402
from outrider.monitor.data.groups import Groups  # noqa: E402
from outrider.monitor.device.logics import joining_of  # noqa: E402

GROUPS = Groups(np.array([0, 1, 1, 2, 2, 2]), np.array([False, True, True, False, False, False]), 0)
LOGICS = [
    Sum(), Normalised(), ZScore(), ZScore(log=False), MaxZ(), MaxZ(log=False), Votes(), Votes(k=3), Votes(k=0),
    SmallestP(), SmallestP(log=False), HarmonicP(), HarmonicP(log=False),
]  # fmt: skip


def held_out(n=200, seed=0):
    """Deviations of six columns; one is whole numbers, one never moves."""
    rng = np.random.default_rng(seed)
    found = rng.gamma(2, 1, (n, 6))
    found[:, 1] = np.floor(found[:, 1])
    found[:, 3] = 0
    return found


@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_scores_are_those_of_the_host_on_knots_between_and_beyond(logic):
    fitted = held_out()
    scales = logic.fit(fitted, GROUPS)
    asked = np.concatenate([fitted[:60], held_out(60, 1) * 3, fitted.max(0, keepdims=True), np.zeros((1, 6))])
    asked[:5, 3] = 2
    found = joining_of(logic, scales, GROUPS)(torch.from_numpy(asked))
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found, logic.score(scales, asked, GROUPS), rtol=1e-9, atol=1e-12)


def test_knots_at_one_place_of_the_confidence():
    fitted = held_out()
    fitted[:, 0] = 1.0
    scales = HarmonicP().fit(fitted, GROUPS)
    asked = held_out(40, 2)
    found = joining_of(HarmonicP(), scales, GROUPS)(torch.from_numpy(asked))
    np.testing.assert_allclose(found, HarmonicP().score(scales, asked, GROUPS), rtol=1e-9)


def test_a_logic_without_a_form_is_refused_by_name():
    with pytest.raises(ValueError, match=r"harmonic_p, max_z, .*, got 'largest_area'; calibrate with one of these"):
        joining_of(LargestArea(), {}, GROUPS)
