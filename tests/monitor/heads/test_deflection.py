from __future__ import annotations

import math

import numpy as np
import pytest

from outrider.monitor.heads import DeflectionProfile, Exact, Full, HeadGuard, LastQuery, deflection_angle

from .conftest import TELLING, safe, unsafe


def test_the_angle_is_right_where_arccos_is_not():
    for degrees in (1e-6, 1e-3, 0.55, 30, 90, 179.999, 180):
        turned = np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]) * 7
        assert deflection_angle(np.array([2.0, 0.0]), turned) == pytest.approx(degrees, rel=1e-9)
    assert deflection_angle(np.array([1.0, 0.0]), np.array([3.0, 0.0])) == 0
    assert np.isnan(deflection_angle(np.zeros(2), np.array([1.0, 0.0])))


@pytest.mark.parametrize(("statistic", "second"), [(Full(), 4), (Exact(), 4), (LastQuery(), 0)])
def test_a_deflection_is_the_angle_between_the_plain_and_the_masked_state(decoder, statistic, second):
    heads = [(2, 0), TELLING]
    prefill = decoder.prefill(decoder.encode(["harm now", "help"]), statistic.keep(heads))
    values = statistic.measure(decoder, prefill, heads)
    assert values.shape == (2, 2, 1)
    assert decoder.second == second
    for i in range(2):
        for j, head in enumerate(heads):
            a, b = prefill.final[i].astype(float), decoder.last_query(prefill, [head])[i, 0].astype(float)
            cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            assert values[i, j, 0] == pytest.approx(math.degrees(math.acos(cosine)), rel=1e-6)


def test_exact_keeps_the_lowest_layer_of_its_heads_and_the_others_none():
    assert Exact().keep([(5, 0), (3, 1)]) == 3
    assert [one.keep([(5, 0)]) for one in (Full(), LastQuery(), DeflectionProfile())] == [None] * 3


def test_the_profile_of_angles_is_a_logistic_regression_on_their_logarithms(decoder):
    guard = HeadGuard(decoder, "deflection_profile")
    report = guard.search(unsafe(30), safe(30), permutations=9)
    assert len(guard.chosen) == 12
    assert report.p_value == 0.1
    angles = guard.measure([*unsafe(5, 50), *safe(5, 50)]).values[..., 0]
    from sklearn.linear_model import LogisticRegression

    logs = np.log(guard.measure([*unsafe(30), *safe(30)]).values[..., 0] + 1e-3)
    mean, scale = logs.mean(axis=0), logs.std(axis=0)
    theirs = LogisticRegression(tol=1e-10, max_iter=10_000).fit((logs - mean) / scale, np.arange(60) < 30)
    expected = theirs.decision_function((np.log(angles + 1e-3) - mean) / scale)
    np.testing.assert_allclose(guard.scores([*unsafe(5, 50), *safe(5, 50)]), expected, atol=1e-3)


def test_a_penalty_of_0_is_refused():
    with pytest.raises(ValueError, match="positive penalty"):
        DeflectionProfile(0.0)
