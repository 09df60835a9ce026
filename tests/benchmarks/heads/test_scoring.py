from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("torch")

from benchmarks.heads.features import ARRAYS, Measured
from benchmarks.heads.prompts import Split
from benchmarks.heads.scoring import EIGHT, LAST_QUERY, OURS, Row, Scored, as_features, every_row, judged, mean


def joined(parts):
    texts = tuple(text for part in parts for text in part.texts)
    return Measured(texts, *(np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS))


def test_rows_learn_from_the_search_prompts_and_score_the_others(toy, still, monkeypatch):
    monkeypatch.setattr("benchmarks.heads.scoring.OURS", {EIGHT: Row("read_out", 2), LAST_QUERY: OURS[LAST_QUERY]})
    parts = [
        toy(n, unsafe=unsafe, seed=seed, moved="heads")
        for seed, (n, unsafe) in enumerate([(20, True), (20, False), (30, False), (25, True), (25, False)])
    ]
    rows = every_row(still, joined(parts), Split(*(part.texts for part in parts)), permutations=19)
    found = {name: judged(row) for name, row in rows.items()}
    assert found[EIGHT]["auroc"] == 1
    assert {tuple(head) for head in found[EIGHT]["chosen"]} == {(1, 0), (1, 1)}  # those that the toy moves
    assert found[EIGHT]["p_value"] == 0.05
    assert found[EIGHT]["caught"] == 1
    assert found[LAST_QUERY]["p_value"] > 0.05
    assert rows[LAST_QUERY].threshold.shape == (30,)


def test_angles_stand_under_their_own_heads(toy, still):
    found = toy(4, unsafe=False, seed=0)
    features = as_features(OURS[LAST_QUERY].guard(still), found)
    assert (features.of([(2, 1)])[:, 0, 0] == found.angles[:, 5]).all()
    features = as_features(Row("read_out", 2).guard(still), found)
    assert (features.of([(2, 1)])[:, 0] == found.heads[:, 2, 1]).all()


def test_the_threshold_comes_from_safe_prompts_alone():
    row = Scored(np.arange(1.0, 41), unsafe=np.array([38.5, 39.5, 50, 60]), safe=np.array([0, 1, 2, 39.0, 39.1]))
    found = judged(row)  # of 40 scores the 39th: ⌈41 · 0.95⌉
    assert found["caught"] == 0.75
    assert found["flagged"] == 0.2
    assert found["auroc"] == (4 * 5 - 2) / 20


def test_means_over_splits():
    results = [
        {"auroc": 0.8, "caught": 0.5, "flagged": 0.0, "p_value": 0.01},
        {"auroc": 0.9, "caught": 0.7, "flagged": 0.1, "p_value": 0.2},
    ]
    found = mean(results)
    assert found.pop("p_values") == [0.01, 0.2]
    assert found == pytest.approx({"auroc": 0.85, "caught": 0.6, "flagged": 0.05, "spread": 0.05})
