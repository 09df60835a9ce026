from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")
pytest.importorskip("torch")

from benchmarks.heads.rivals import RIVALS, crossed
from outrider.monitor import auroc

SEES = {
    "prompt length": "length",
    "words (naive Bayes)": "texts",
    "linear probe, best layer": "states",
    "probe on 16 heads (SAHs)": "heads",
    "cosine to refusal words (HiddenDetect)": "words",
    "refusal log-probability": "refusal",
    "log-probability of “Sorry”": "refusal",
    "cluster distance of MLPs": "mlp",
}


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_sees_its_own_part_and_nothing_where_nothing_differs(name, toy):
    moved = SEES[name]
    score = RIVALS[name](toy(30, unsafe=True, seed=0, moved=moved), toy(30, unsafe=False, seed=1))
    unsafe, safe, other = (
        toy(40, unsafe=True, seed=2, moved=moved),
        toy(40, unsafe=False, seed=3),
        toy(40, unsafe=True, seed=4),
    )
    if name == "log-probability of “Sorry”":  # the toy moves another token of refusal
        assert 0.25 < auroc(score(safe), score(unsafe)) < 0.75
    else:
        assert auroc(score(safe), score(unsafe)) == 1
    assert 0.25 < auroc(score(safe), score(other)) < 0.75


def test_length_takes_the_direction_of_the_search_prompts(toy):
    long, short = toy(10, unsafe=True, seed=0, moved="length"), toy(10, unsafe=False, seed=1)
    assert (RIVALS["prompt length"](short, long)(long) < RIVALS["prompt length"](short, long)(short).min()).all()


def test_cross_validation_does_not_flatter():
    x, y = np.random.default_rng(0).standard_normal((60, 2, 50)), np.repeat([1, 0], 30)
    x[:, 1] += 3 * y[:, None]
    chance, apart = crossed(x, y)
    assert abs(chance - 0.5) < 0.2
    assert apart == 1


def test_all_parts_at_once_are_each_part_alone():
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rng, y = np.random.default_rng(1), np.repeat([1, 0], 20)
    x = rng.standard_normal((40, 3, 6)) + 0.4 * y[:, None, None]
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for part, found in enumerate(crossed(x, y)):
        scores = cross_val_predict(make_pipeline(StandardScaler(), Ridge(alpha=6)), x[:, part], y, cv=folds)
        assert found == pytest.approx(auroc(scores[y == 0], scores[y == 1]))
