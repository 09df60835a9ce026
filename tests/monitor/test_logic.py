from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import (
    HarmonicP,
    Logic,
    MaxZ,
    Normalised,
    SmallestP,
    Sum,
    Votes,
    ZScore,
    describe_logic,
    make_logic,
)

LOGICS = [
    Sum(),
    Normalised(),
    ZScore(),
    ZScore(log=False),
    MaxZ(),
    MaxZ(log=False),
    Votes(),
    Votes(2),
    Votes(0),
    SmallestP(),
    HarmonicP(),
    HarmonicP(log=False),
]
GROUPS = np.array([0, 0, 1, 2])


def held_out(n=400, seed=0):
    return np.random.default_rng(seed).gamma(2, [1, 5, 0.1, 30], (n, 4)).astype(np.float32)


@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_scores_are_finite_not_negative_and_grow_with_every_deviation(logic):
    scales = logic.fit(held_out(), GROUPS)
    new = held_out(200, seed=1)
    score = logic.score(scales, new, GROUPS)
    assert score.shape == (200,)
    assert (score >= 0).all()
    assert np.isfinite(score).all()
    assert (logic.score(scales, new * 3, GROUPS) > score).all()
    np.testing.assert_array_equal(logic.score(scales, new[:1], GROUPS), score[:1])


def test_a_score_that_is_no_number_is_infinite():
    logic = Votes(1)
    scales = logic.fit(held_out(), GROUPS) | {"excess": np.zeros(4)}
    top = scales["value"][-1:]
    assert np.isposinf(logic.score(scales, top, GROUPS)).all()


@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_one_infinite_column_is_an_infinite_score(logic):
    scales = logic.fit(held_out(), GROUPS)
    new = held_out(5)
    new[2, 1] = np.inf
    score = logic.score(scales, new, GROUPS)
    assert np.isposinf(score[2])
    assert np.isfinite(np.delete(score, 2)).all()


@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_columns_that_never_moved_on_held_out_data_do_not_spoil_the_score(logic):
    still = np.zeros((50, 4), np.float32)
    scales = logic.fit(still, GROUPS)
    at_rest, moved = logic.score(scales, np.array([[0, 0, 0, 0], [1, 1, 1, 1]], np.float32), GROUPS)
    assert np.isfinite(moved)
    assert moved > at_rest


def test_formulas_against_plain_numpy():
    data, new = held_out().astype(np.float64), held_out(50, seed=2).astype(np.float64)

    def score(logic):
        return logic.score(logic.fit(data, GROUPS), new, GROUPS)

    def order(values):
        return np.argsort(values, kind="stable").tolist()

    np.testing.assert_allclose(score(Sum()), new.sum(axis=1))
    np.testing.assert_allclose(score(Normalised()), (new / data.mean(axis=0)).sum(axis=1))
    z = (np.log1p(new) - np.log1p(data).mean(axis=0)) / np.log1p(data).std(axis=0)
    np.testing.assert_allclose(np.diff(score(ZScore())), np.diff(z.sum(axis=1)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.diff(score(MaxZ())), np.diff(z.max(axis=1)), rtol=1e-9, atol=1e-9)
    plain = (new - data.mean(axis=0)) / data.std(axis=0)
    assert order(score(ZScore(log=False))) == order(plain.sum(axis=1).round(12))


def test_votes_alarm_when_k_columns_exceed_a_common_level():
    data = held_out(2000)
    for k in (1, 2, 3, 4):
        logic = Votes(k)
        scales = logic.fit(data, GROUPS)
        level = -np.log(0.1)
        over = (data > np.quantile(data, 0.9, axis=0)).sum(axis=1) >= k
        assert ((logic.score(scales, data, GROUPS) > level) == over).mean() > 0.995
    everyone = Votes(0)
    np.testing.assert_array_equal(
        everyone.score(everyone.fit(data, GROUPS), data, GROUPS),
        Votes(4).score(Votes(4).fit(data, GROUPS), data, GROUPS),
    )


def test_surprise_is_minus_log_of_the_share_of_held_out_data_beyond():
    data = held_out(4000)[:, :1]
    logic = Votes(1)
    scales = logic.fit(data, GROUPS[:1])
    new = np.quantile(data, [0.1, 0.5, 0.9, 0.94])[:, None]
    expected = [-np.log((1 + (data >= x).sum()) / 4001) for x in new]
    np.testing.assert_allclose(logic.score(scales, new, GROUPS[:1]), expected, atol=0.02)


def test_the_tail_of_exponential_data_goes_on_as_it_began():
    data = np.random.default_rng(0).exponential(size=(20_000, 1))
    logic = Votes(1)
    score = logic.score(logic.fit(data, GROUPS[:1]), np.array([[5.0], [8.0], [12.0]]), GROUPS[:1])
    np.testing.assert_allclose(score, [5, 8, 12], rtol=0.1)


def test_smallest_p_hears_one_loud_criterion_among_quiet_ones():
    data = held_out(1000)
    logic = SmallestP()
    scales = logic.fit(data, GROUPS)
    quiet = np.median(data, axis=0, keepdims=True)
    loud = quiet.copy()
    loud[0, 2] *= 40
    assert logic.score(scales, quiet, GROUPS) < 2
    assert logic.score(scales, loud, GROUPS) > 8


@pytest.mark.parametrize("log", [True, False])
def test_the_harmonic_mean_of_p_values_that_are_counted_by_hand(log):
    data = held_out(200).astype(np.float64)
    logic = HarmonicP(log=log)
    values = np.log1p(data) if log else data
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    parts = np.stack([z[:, :2].sum(axis=1), z[:, 2], z[:, 3], z[:, :2].max(axis=1)], axis=1)
    # The frames that set the curves lie on its knots; behind the upper 5 % begins the tail.
    body = (parts <= np.sort(parts, axis=0)[189] + 1e-9).all(axis=1)
    p = np.array([[(1 + (parts[:, j] >= row[j] - 1e-9).sum()) / 201 for j in range(4)] for row in parts])
    score = logic.score(logic.fit(data, GROUPS), data, GROUPS)
    assert 140 < body.sum() < 200
    np.testing.assert_allclose(score[body], -np.log(4 / (1 / p[body]).sum(axis=1)), rtol=1e-9, atol=1e-12)


def test_the_harmonic_mean_hears_several_parts_that_speak_a_little():
    data = held_out(1000)
    smallest, harmonic = SmallestP(), HarmonicP()
    scales = harmonic.fit(data, GROUPS)
    for name, array in smallest.fit(data, GROUPS).items():
        np.testing.assert_array_equal(scales[name], array)
    quiet = np.median(data, axis=0)
    one, all_of_them = quiet.copy(), np.quantile(data, 0.98, axis=0)
    one[2] = all_of_them[2]
    new = np.stack([quiet, one, all_of_them, 1e30 * quiet])
    high, mean = smallest.score(scales, new, GROUPS), harmonic.score(scales, new, GROUPS)
    assert (mean <= high).all()
    assert (mean >= high - np.log(4) - 1e-9).all()
    assert mean[2] > mean[1] + 1
    alone = harmonic.fit(data[:, :1], GROUPS[:1])
    np.testing.assert_array_equal(  # of one part it is that part
        *(logic.score(alone, data[:, :1], GROUPS[:1]) for logic in (smallest, harmonic))
    )


@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_a_logic_is_made_again_from_its_description(logic):
    assert make_logic(**describe_logic(logic)) == logic


def test_every_logic_is_in_the_table_above():
    assert {type(logic) for logic in LOGICS} == set(Logic.__subclasses__())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make_logic("median"),
            "expected a logic among harmonic_p, max_z, normalised, smallest_p, sum, votes, z, got 'median'",
        ),
        (lambda: make_logic("z", log=1), "expected settings of z to be"),
        (lambda: make_logic("votes", n=1), "expected settings of votes to be"),
        (lambda: Votes(-1), "expected k >= 1, or 0 for all, got -1"),
        (lambda: Votes(5).fit(held_out(), GROUPS), "expected at most 4 votes, one per column, got 5"),
        (lambda: ZScore().fit(held_out(1), GROUPS), "expected at least 2 held-out samples"),
    ],
)
def test_bad_settings_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
