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
from outrider.monitor.data.groups import Groups
from outrider.monitor.kernels import scores

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
    votes = np.array([1 / 2, 1, 1, 1 / 2]) / 3  # one for each group, which its parts share
    score = logic.score(logic.fit(data, GROUPS), data, GROUPS)
    assert 140 < body.sum() < 200
    np.testing.assert_allclose(score[body], -np.log(1 / (votes / p[body]).sum(axis=1)), rtol=1e-9, atol=1e-12)


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
    assert (mean >= high - np.log(6) - 1e-9).all()  # a part has a sixth of the votes at least
    assert mean[2] > mean[1] + 1
    alone = harmonic.fit(data[:, :1], GROUPS[:1])
    np.testing.assert_array_equal(  # of one part it is that part
        *(logic.score(alone, data[:, :1], GROUPS[:1]) for logic in (smallest, harmonic))
    )


GIVEN = Groups(np.array([0, 0, 1, 2]), np.array([True, True, False, False]), 3)
"""The first two columns follow what the fourth says of the confidence."""


def following(n=400, seed=0):
    """Deviations of which the first two rise with the fourth."""
    found = held_out(n, seed)
    found[:, :2] *= 1 + found[:, 3:]
    return found


def by_hand(data, new, log):
    """All parts of both, as the docstrings of `HarmonicP` and `_fit_given` tell them: loops over the frames."""
    data, new = (np.log1p(x) if log else x.astype(np.float64) for x in (data.astype(float), new.astype(float)))
    order = sorted(range(len(data)), key=lambda i: data[i, 3])
    least, more = divmod(len(data), 8)
    knots, start = [], 0
    for share in range(8):
        size = least + (share < more)
        rows = data[order[start : start + size]]
        start += size
        mean = (rows[:, :2].sum(axis=0) + 10 * data[:, :2].mean(axis=0)) / (size + 10)
        variance = (((rows[:, :2] - mean) ** 2).sum(axis=0) + 10 * data[:, :2].var(axis=0)) / (size + 10)
        knots.append((np.median(rows[:, 3]), mean, variance**0.5))

    def parts(row):
        z = (row - data.mean(axis=0)) / data.std(axis=0)
        sure = min(max(row[3], knots[0][0]), knots[-1][0])
        right = next(i for i in range(1, 8) if sure <= knots[i][0])
        (a, *low), (b, *high) = knots[right - 1], knots[right]
        middle, spread = (one + (sure - a) / (b - a) * (other - one) for one, other in zip(low, high, strict=True))
        given = (row[:2] - middle) / spread
        return [z[0] + z[1], z[2], z[3], max(z[:2]), given.sum(), given.max()]

    return [np.array([parts(row) for row in rows]) for rows in (data, new)]


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("n", [203, 61])
def test_votes_and_what_is_judged_given_the_confidence_by_hand(log, n):
    data = following(n)
    parts, _ = by_hand(data, data[:1], log)
    start = np.sort(parts, axis=0)[n - 1 - max(n // 20, 10)]  # where the tail begins; before, frames lie on knots
    body = (parts <= start + 1e-9).all(axis=1)
    p = np.array([[(1 + (parts[:, j] >= row[j] - 1e-9).sum()) / (n + 1) for j in range(6)] for row in parts])
    votes = np.array([1 / 4, 1, 1, 1 / 4, 1 / 4, 1 / 4]) / 3
    logic = HarmonicP(log=log)
    score = logic.score(logic.fit(data, GIVEN), data, GIVEN)
    assert body.sum() > n / 3
    np.testing.assert_allclose(score[body], -np.log(1 / (votes / p[body]).sum(axis=1)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("log", [True, False])
def test_parts_given_the_confidence_on_its_knots_between_and_beyond(log):
    data, logic = following(200), HarmonicP(log=log)
    scales = logic.fit(data, GIVEN)
    new = following(300, seed=4).astype(np.float64)
    new[:8, 3] = np.expm1(scales["given_at"]) if log else scales["given_at"]
    new[8, 3], new[9, 3] = 0, 1e9
    _, parts = by_hand(data, new, log)
    found = np.empty((300, 6))
    scores.all_parts(new, *logic._of_parts(scales, GIVEN), found)
    np.testing.assert_allclose(found, parts, rtol=1e-9, atol=1e-9)


def test_what_makes_the_network_sure_is_heard():
    """The layers of an unsure frame under the scores of a sure one: each is usual by itself, both together are not."""
    data = following(2000)
    logic, alone = HarmonicP(), Groups(GIVEN.of, np.zeros(4, bool), 3)
    unsure = np.quantile(data[:, 3], 0.9) < data[:, 3]
    attack = np.median(data[unsure], axis=0, keepdims=True)
    attack[:, 3] = np.quantile(data[:, 3], 0.1)
    attack[:, 2] = np.median(data[:, 2])
    heard, before = (logic.score(logic.fit(data, groups), attack, groups).item() for groups in (GIVEN, alone))
    assert heard > before + 1


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("n", [2, 3, 9, 200])
def test_few_frames_ties_and_a_confidence_that_never_moves_leave_finite_scores(log, n):
    logic = HarmonicP(log=log)
    tied, still = following(n), np.ones((n, 4), np.float32)
    tied[:, 3] = np.where(np.arange(n) % 3, 1e6, 0.25)  # scores that tie deviate by 1e6
    for data in (following(n), tied, still):
        scales = logic.fit(data, GIVEN)
        assert [scales[name].shape for name in ("given_at", "given_centre", "given_scale")] == [(8,), (8, 2), (8, 2)]
        assert (np.diff(scales["given_at"]) >= 0).all()
        assert (scales["given_scale"] > 0).all()
        new = np.concatenate([data, following(50, 5), [[0] * 4, [1e6] * 4, [3e38] * 4]]).astype(np.float32)
        score = logic.score(scales, new, GIVEN)
        assert np.isfinite(score).all()
        assert (score >= 0).all()
        for kept in (np.float32, np.float64):
            frames = [logic.score(scales, row[None].astype(kept), GIVEN).item() for row in new]
            assert frames == logic.score(scales, new.astype(kept), GIVEN).tolist() == score.tolist()
        broken = np.repeat(new[:1], 5, axis=0)
        broken[range(4), range(4)] = [np.inf, np.nan, np.inf, np.nan]
        assert np.isposinf(logic.score(scales, broken, GIVEN)).tolist() == [True] * 4 + [False]


def test_all_columns_may_be_given_and_other_logics_look_at_groups_alone():
    every = Groups(np.array([0, 0, 1, 2]), np.ones(4, bool), 3)
    data = following()
    logic = HarmonicP()
    assert np.isfinite(logic.score(logic.fit(data, every), data, every)).all()
    smallest = SmallestP()
    scales = smallest.fit(data, every)
    assert scales.keys() == {"scale", "centre", "value", "surprise", "excess"}
    np.testing.assert_array_equal(*(smallest.score(scales, data, groups) for groups in (every, GROUPS)))


@pytest.mark.parametrize("logic", LOGICS, ids=repr)
def test_a_logic_is_made_again_from_its_description(logic):
    assert make_logic(**describe_logic(logic)) == logic


def test_every_logic_is_in_the_table_above():
    assert {type(logic) for logic in LOGICS} == {kind for kind in Logic.__subclasses__() if not kind.of_places}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make_logic("median"),
            "expected a logic among .*, largest_area, .*, z, got 'median'",
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
