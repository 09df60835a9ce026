from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from outrider.monitor import MismatchError, conformal_threshold
from outrider.monitor.heads import HeadGuard
from outrider.runtime.lab.evaluation.guards import (
    PENALTY,
    GuardSources,
    HeadsGuard,
    LearningPrompts,
    ProbeGuard,
    best_layer,
)

from .laboratory import SAFE, UNSAFE, learning, make_decoder


def states(decoder, prompts):
    return np.stack([decoder.prefill(decoder.encode([prompt])).states[0] for prompt in prompts]).astype(np.float64)


def test_the_probe_is_a_logistic_regression_with_a_conformal_threshold(decoder):
    learned = learning()
    probe = ProbeGuard(decoder, learned, 1, batch=3)
    x = states(decoder, [*learned.unsafe, *learned.safe])[:, 1]
    mean, scale = x.mean(0), x.std(0)
    reference = LogisticRegression(C=1 / PENALTY, tol=1e-8, max_iter=10_000).fit((x - mean) / scale, np.arange(20) < 10)
    asked = [*UNSAFE, *SAFE]
    expected = reference.decision_function((states(decoder, asked)[:, 1] - mean) / scale)
    np.testing.assert_allclose(probe.scores(asked), expected, atol=1e-3)
    scores = probe.scores(learned.threshold)
    assert probe.threshold == conformal_threshold(scores, 0.2)
    assert probe.flags(learned.threshold) == [score > probe.threshold for score in scores]
    assert 0 < sum(probe.flags(learned.threshold)) <= 0.2 * 18


def test_a_score_on_the_threshold_passes_and_one_that_is_none_is_flagged(decoder, monkeypatch):
    probe = ProbeGuard(decoder, learning(), 0)
    monkeypatch.setattr(
        ProbeGuard, "scores", lambda _self, prompts: np.array([probe.threshold, np.nan, np.inf, -np.inf])
    )
    assert probe.flags(["a", "b", "c", "d"]) == [False, True, True, False]


def test_the_layer_is_the_one_that_tells_best():
    rng = np.random.default_rng(0)
    unsafe = np.arange(40) < 20
    x = rng.normal(size=(40, 4, 8)).astype(np.float32)
    assert best_layer(np.zeros_like(x), unsafe) == 0
    x[unsafe, 2] += 1.5
    assert best_layer(x, unsafe) == 2


def test_a_layer_that_is_not_there_is_refused(decoder):
    assert 0 <= ProbeGuard(decoder, learning()).layer < 2
    with pytest.raises(ValueError, match="a layer from 0 to 1, got 2"):
        ProbeGuard(decoder, learning(), 2)


def test_heads_are_searched_and_alarm_as_the_guard_does(decoder):
    learned = learning()
    found = HeadsGuard.searched(decoder, learned)
    other = HeadGuard(decoder)
    other.search(learned.unsafe, learned.safe, permutations=0)
    other.calibrate(learned.threshold, 0.2)
    asked = [*UNSAFE, *SAFE]
    assert found.flags(asked) == [verdict.alarm for verdict in other.check(asked)]
    assert any(found.flags(asked))


def test_a_heads_file_serves_its_own_model(decoder, tmp_path):
    path = tmp_path / "heads.outrider"
    guard = HeadsGuard.searched(decoder, learning()).guard
    guard.save(path)
    asked = [*UNSAFE, *SAFE]
    assert GuardSources(heads=path).guard("heads", decoder).flags(asked) == HeadsGuard(guard).flags(asked)
    other = make_decoder(seed=5)
    with pytest.raises(MismatchError):
        GuardSources(heads=path).guard("heads", other)
    searched = GuardSources(learning(), path).guard("heads", other)
    assert searched.guard.calibration.false_alarm_rate == 0.2


def test_a_heads_file_without_a_threshold_is_refused(decoder, tmp_path):
    learned = learning()
    guard = HeadGuard(decoder)
    guard.search(learned.unsafe, learned.safe, permutations=0)
    guard.save(tmp_path / "heads.outrider")
    with pytest.raises(ValueError, match="a threshold, got one without"):
        GuardSources(heads=tmp_path / "heads.outrider").guard("heads", decoder)


def test_nothing_to_learn_from_is_said(decoder):
    for defence in ("probe", "heads"):
        with pytest.raises(ValueError, match=f"prompts to learn {defence} from, got none"):
            GuardSources().guard(defence, decoder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unsafe": ["a"] * 10}, "each prompt once"),
        ({"threshold": ["s0"]}, "each prompt once"),
        ({"unsafe": ["a"]}, "at least 10 prompts of each kind to learn from, got 1 unsafe and 10 safe"),
        ({"rate": 1.0}, "a rate between 0 and 1, got 1.0"),
        ({"rate": 0.0}, "a rate between 0 and 1"),
    ],
)
def test_prompts_that_nothing_can_be_learned_of(changes, message):
    given = {"unsafe": [f"u{i}" for i in range(10)], "safe": [f"s{i}" for i in range(10)], "threshold": ["t"]}
    LearningPrompts(**given)
    with pytest.raises(ValueError, match=message):
        LearningPrompts(**(given | changes))


def test_the_key_tells_sources_apart(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    sources = (
        GuardSources(), GuardSources(learning()), GuardSources(learning(0.3)), GuardSources(learning(), layer=1),
        GuardSources(heads=tmp_path / "a"), GuardSources(heads=tmp_path / "b"),
    )  # fmt: skip
    assert len({str(one.key_of()) for one in sources}) == len(sources)
