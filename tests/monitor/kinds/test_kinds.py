"""What is said of a set of kinds."""

from __future__ import annotations

import numpy as np

from outrider.monitor import Status
from outrider.monitor.judge import Judge

from .conftest import PictureNetwork, calibrated, pictures


def test_an_infinite_score_has_no_kind_to_be_known(taught):
    judge = Judge(taught.network, taught.learned, 1, taught.logic, taught.calibration)
    seen = judge.observe(pictures(1))
    name = taught.calibration.kinds.bind(taught.learned, judge.indices, judge.by_place)
    for score in (np.inf, np.nan):
        assert name(score, judge.deviations[0], 0, seen.activations, 0) == "unknown"


def test_repr_says_what_can_be_named(taught):
    kinds = taught.calibration.kinds
    assert repr(kinds) == f"Kinds({', '.join(kinds.rule.kinds)}; {len(kinds.rule.causes)} causes, 300 frames)"


def strange(seed):
    """Ten pictures each: clean, with dead columns, with fine noise, broken."""
    clean = pictures(40, seed)
    clean[10:20, :, :, [2, 5, 6]] = -1
    clean[20:30] += np.float32(0.15) * np.random.default_rng(1).choice(np.float32([-1, 1]), clean[20:30].shape)
    clean[35, 0, 0, 0] = np.nan
    return clean


def test_a_frame_alone_and_in_a_batch_is_of_the_same_kind(taught):
    batch, judge = strange(20), taught.bind()
    _, verdicts = taught.check(batch)
    kinds = [verdict.kind for verdict in verdicts]
    assert kinds == [judge(frame)[1].kind for frame in batch]
    assert kinds == verdicts.to_dict()["kind"]
    assert all((verdict.kind == "") == (verdict.status == Status.OK) for verdict in verdicts)
    assert verdicts[35].status == Status.FAULT
    assert kinds[35] == "unknown"
    assert kinds[20:30].count("adversarial") > 5
    assert kinds[10:20].count("sensor") > 5


def test_no_kind_changes_a_verdict(taught):
    plain = calibrated(PictureNetwork())
    batch = strange(21)
    with_kinds, without = taught.check(batch)[1], plain.check(batch)[1]
    for name in ("status", "score", "threshold", "confidence", "deviation"):
        np.testing.assert_array_equal(getattr(with_kinds, name), getattr(without, name))
    assert not any(verdict.kind for verdict in without)
