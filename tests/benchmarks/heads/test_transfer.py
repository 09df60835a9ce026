from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("torch")

from benchmarks.heads.features import ARRAYS, Measured
from benchmarks.heads.prompts import Split
from benchmarks.heads.scoring import EIGHT, Row
from benchmarks.heads.transfer import pairs


def test_a_change_of_style_is_told_and_recalibrated_away(toy, still, monkeypatch):
    monkeypatch.setattr("benchmarks.heads.transfer.OURS", {EIGHT: Row("read_out", 2)})
    parts, sets = [], {}
    for place, (name, moved) in enumerate([("one", 0.0), ("other", 8.0)]):
        made = [
            toy(n, unsafe=unsafe, seed=10 * place + i, moved="heads")
            for i, (n, unsafe) in enumerate([(20, True), (20, False), (200, False), (25, True), (100, False)])
        ]
        parts += [replace(part, heads=part.heads + np.float32(moved)) for part in made]
        sets[name] = Split(*(part.texts for part in made))
    texts = tuple(text for part in parts for text in part.texts)
    found = Measured(texts, *(np.concatenate([getattr(part, name) for part in parts]) for name in ARRAYS))
    rows = {(row["from"], row["to"]): row for row in pairs(still, found, sets)}
    own, across = rows["one", "one"], rows["one", "other"]
    assert own["before"] == own["after"]
    assert own["before"]["flagged"] < 0.12
    assert own["warnings"] == []
    assert across["before"]["flagged"] > 0.9
    assert len(across["warnings"]) == 1
    assert across["drift"]["changed"]
    assert across["after"]["flagged"] < 0.12
    assert across["after"]["caught"] == 1
