from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from outrider.monitor.heads import HeadGuard, ReadOut
from outrider.monitor.heads.statistic import check_model

from .conftest import SIZE, TELLING, safe, unsafe


def rows(guard, prompts, head):
    return guard.measure(prompts, [head]).values[:, 0].astype(np.float64)


@pytest.mark.parametrize("kind", ["lda", "ranges", "bitmap", "mahalanobis"])
def test_every_kind_finds_the_head_that_reacts(decoder, kind):
    guard = HeadGuard(decoder, ReadOut(kind), 1)
    report = guard.search(unsafe(25), safe(25), permutations=19)
    assert guard.chosen == [TELLING]
    assert report.p_value == 1 / 20
    check_model(guard.statistic, guard.model, 1, SIZE)
    scores = guard.scores([*unsafe(20, 500), *safe(20, 500)])
    assert scores[:20].mean() > scores[20:].mean()


def test_mahalanobis_and_ranges_are_learned_on_safe_prompts_alone(decoder):
    guard = HeadGuard(decoder, ReadOut("mahalanobis", 0.1), 1)
    guard.search(unsafe(25), safe(25), permutations=0)
    learned, new = rows(guard, safe(25), TELLING), rows(guard, unsafe(3, 90), TELLING)
    covariance = np.cov(learned.T, bias=True)
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / SIZE * np.eye(SIZE)
    expected = [mahalanobis(row, learned.mean(axis=0), np.linalg.inv(covariance)) for row in new]
    np.testing.assert_allclose(guard.scores(unsafe(3, 90)), expected, rtol=1e-4)

    ranges = HeadGuard(decoder, ReadOut("ranges"), 1)
    ranges.search(unsafe(25), safe(25), permutations=0)
    low, high = learned.min(axis=0), learned.max(axis=0)
    outside = np.maximum(np.maximum(low - new, new - high), 0) / (high - low)
    np.testing.assert_allclose(ranges.scores(unsafe(3, 90)), outside.sum(axis=1), rtol=1e-4)


def test_the_read_out_is_the_mean_of_standardised_discriminants_and_linear(decoder):
    guard = HeadGuard(decoder, heads=3)
    guard.search(unsafe(20), safe(20), permutations=0)
    values, prompts = guard.measure([*unsafe(20), *safe(20)]), [*unsafe(4, 70), *safe(4, 70)]
    each = np.einsum("nhd,hd->nh", values.of(guard.chosen), guard.model["weights"]) + guard.model["bias"]
    np.testing.assert_allclose(each.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(each.std(axis=0), 1, rtol=1e-6)
    heads, weights, bias = guard.read_out_weights()
    assert weights.dtype == np.float32
    by_hand = np.einsum("nhd,hd->n", guard.measure(prompts, heads).values, weights) + bias
    np.testing.assert_allclose(guard.scores(prompts), by_hand, atol=1e-5)


def test_only_a_linear_read_out_has_weights(decoder):
    guard = HeadGuard(decoder, ReadOut("ranges"), 1)
    guard.search(unsafe(10), safe(10), permutations=0)
    with pytest.raises(ValueError, match="kind lda"):
        guard.read_out_weights()
    with pytest.raises(ValueError, match="kind lda"):
        ReadOut().criterion  # noqa: B018


@pytest.mark.parametrize(("arguments", "message"), [(("qda",), "among lda"), (("lda", 0.0), "shrinkage in")])
def test_a_kind_or_a_shrinkage_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ReadOut(*arguments)
