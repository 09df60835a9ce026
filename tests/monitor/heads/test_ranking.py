from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from outrider.monitor import auroc
from outrider.monitor.heads.ranking import auroc_of_heads, mid_ranks, separation_of_heads


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 3.0]), min_size=1, max_size=12))
def test_equal_scores_share_their_mean_rank(scores):
    np.testing.assert_array_equal(mid_ranks(np.array(scores)), rankdata(scores))


@pytest.mark.parametrize("many", [1, 3])
def test_auroc_and_separation_are_those_of_each_head_and_labelling_alone(many):
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (4, 15, many)).astype(float)
    labels = np.stack([rng.permutation(np.arange(15) < 6) for _ in range(3)], axis=1)
    found, apart = auroc_of_heads(scores, labels), separation_of_heads(scores, labels)
    for head in range(4):
        for p in range(3):
            own, y = scores[head, :, p % many], labels[:, p]
            assert found[head, p] == pytest.approx(auroc(own[~y], own[y]), abs=1e-12)
            d = (own[y].mean() - own[~y].mean()) / np.sqrt((own[y].var() + own[~y].var()) / 2)
            assert apart[head, p] == pytest.approx(d, abs=1e-9)


def test_a_head_that_says_the_same_of_all_is_worth_nothing():
    scores, labels = np.full((1, 8, 1), 0.3), (np.arange(8) < 4)[:, None]
    assert auroc_of_heads(scores, labels) == 0.5
    assert separation_of_heads(scores, labels) == 0
