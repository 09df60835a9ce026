from __future__ import annotations

import numpy as np

from benchmarks.detection.kept import Scores, kept

MADE = Scores(
    [np.float64([1, np.nan, np.inf]), np.float64([2])], [np.array([False, True, True]), np.array([True])],
    [np.array([0, 4, 5]), np.array([7])], {"bytes": 12, "warnings": ["ä"]},
)  # fmt: skip


def never() -> Scores:
    raise AssertionError("made again")


def test_scores_come_back_as_they_were(tmp_path):
    assert kept("cifar10 A, b (κ=5)", "key", lambda: MADE, folder=tmp_path) is MADE
    again = kept("cifar10 A, b (κ=5)", "key", never, folder=tmp_path)
    for group in ("values", "flagged", "chosen"):
        for before, after in zip(getattr(MADE, group), getattr(again, group), strict=True):
            np.testing.assert_array_equal(before, after)
            assert before.dtype == after.dtype
    assert again.facts == MADE.facts
    assert [path.suffix for path in tmp_path.iterdir()] == [".npz"]


def test_another_key_or_name_is_made_and_anew_is_made_again(tmp_path):
    whole = Scores(MADE.values, MADE.flagged)
    kept("row", "key", lambda: whole, folder=tmp_path)
    assert kept("row", "key", never, folder=tmp_path).chosen is None
    for name, key, anew in (("row", "other", False), ("rows", "key", False), ("row", "key", True)):
        other = Scores([np.zeros(1)], [np.zeros(1, bool)])
        assert kept(name, key, lambda other=other: other, anew=anew, folder=tmp_path) is other
