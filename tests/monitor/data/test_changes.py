from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor.data.changes import MOST, Change, thresholds_in_words, thresholds_of, with_change


def test_a_change_keeps_both_thresholds_and_comes_back_from_json(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    change = Change.made("threshold set", np.full(3, 2.5), np.array([1.0, 2.0, 4.0]), reason="too many alarms")
    assert (change.when, change.before, change.after) == ("1970-01-02T00:00:00Z", 2.5, (1.0, 2.0, 4.0))
    assert change.by.startswith("outrider")
    assert Change.from_dict(change.to_dict()) == change
    first = Change.made("calibrated", None, np.full(3, 2.5), rate=0.01)
    assert Change.from_dict(first.to_dict()) == first


@pytest.mark.parametrize("wrong", [float("nan"), -1.0, [[1.0]], [], "x", {}])
def test_thresholds_of_a_history_that_cannot_be_are_refused(wrong):
    change = Change.made("calibrated", None, np.ones(1), rate=0.5).to_dict() | {"after": wrong}
    with pytest.raises((TypeError, ValueError)):
        Change.from_dict(change)


def test_a_history_is_bounded():
    history = ()
    for rate in range(1, MOST + 3):
        history = with_change(history, Change.made("calibrated", None, np.ones(2), rate=1 / (rate + 1)))
    assert len(history) == MOST
    assert history[-1].rate == 1 / (MOST + 3)


def test_thresholds_are_said_in_words():
    assert [thresholds_in_words(each) for each in (None, 5.25, (1.0, 3.5))] == ["none", "5.25", "1 to 3.5"]
    assert thresholds_of(None) is None
