from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.monitor import Verdicts
from outrider.monitor.verdict import Columns

from .conftest import frames


def test_a_verdict_says_which_layers_spoke(monitor):
    _, verdicts = monitor.check(frames(20, seed=8, far=8))
    alarmed = next(verdict for verdict in verdicts if verdict.alarm)
    assert set(alarmed.layers) <= set(monitor.columns)
    assert alarmed.layers
    assert alarmed.reason.startswith("score ")
    quiet = next(verdict for verdict in monitor.check(frames(20, seed=2))[1] if not verdict.alarm)
    assert (quiet.layers, quiet.reason) == ((), "")


def test_verdicts_behave_as_a_sequence(monitor):
    _, verdicts = monitor.check(frames(7))
    assert len(verdicts) == 7
    assert len(list(verdicts)) == 7
    assert [v.score for v in verdicts[2:4]] == [verdicts[2].score, verdicts[3].score]
    assert verdicts[-1].score == verdicts[6].score
    with pytest.raises(IndexError, match="expected an index within 7 verdicts, got 7"):
        verdicts[7]


def test_verdicts_read_like_what_they_hold(monitor):
    verdicts = monitor.check(np.concatenate([frames(30), frames(2, far=20)]))[1]
    alarms = int(verdicts.alarm.sum())
    assert alarms >= 2
    assert repr(verdicts).startswith(f"Verdicts(32 frames: {32 - alarms} OK, {alarms} ALARM; highest score ")


def test_verdicts_are_a_table(monitor):
    verdicts = monitor.check(np.concatenate([frames(3), frames(1, far=20)]))[1]
    table = verdicts.to_dict()
    assert {len(column) for column in table.values()} == {4}
    assert table["status"] == [verdict.status.name for verdict in verdicts]
    assert table["score"] == [verdict.score for verdict in verdicts]
    assert table["layers"][3] == list(verdicts[3].layers)
    assert table["reason"][3] == verdicts[3].reason != ""
    json.dumps(table)


def test_pandas_makes_a_table_where_it_is_installed(monitor, monkeypatch):
    verdicts = monitor.check(frames(3))[1]
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda columns: ("table", columns)))
    assert verdicts.to_pandas() == ("table", verdicts.to_dict())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="a table of verdicts needs pandas: pip install pandas"):
        verdicts.to_pandas()


def test_no_verdicts_have_a_repr():
    nothing = np.empty(0)
    none = Verdicts(nothing.astype(int), nothing, nothing, nothing, nothing, nothing, Columns((), nothing), {})
    assert repr(none) == "Verdicts(0 frames: none)"
    assert none.to_dict()["reason"] == []


def test_a_mask_or_indices_choose_verdicts(monitor):
    verdicts = monitor.check(np.concatenate([frames(5), frames(2, far=20)]))[1]
    assert [v.score for v in verdicts[verdicts.alarm]] == verdicts.score[verdicts.alarm].tolist()
    for chosen in (np.array([6, 0]), [6, 0]):
        assert [v.score for v in verdicts[chosen]] == [verdicts[6].score, verdicts[0].score]
