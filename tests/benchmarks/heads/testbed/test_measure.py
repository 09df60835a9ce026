from __future__ import annotations

import numpy as np
import pytest

from benchmarks.heads.testbed import jailbreaks, measure, pictures, tables
from benchmarks.heads.testbed.cases import plain
from benchmarks.heads.testbed.concepts import CONCEPTS, TASKS, Pair
from outrider.monitor.heads import deflection_angle

COUNTS = measure.Counts(search=16, threshold=32, test=48, jailbreak=16, turned=3)


@pytest.fixture(scope="module")
def sets(decoder, things):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "split", lambda seed: dict.fromkeys(pictures.SHARES, things))
        patch.setattr(jailbreaks, "KINDS", {"role-play": jailbreaks.role_play, "soft tokens": jailbreaks.soft_prompt})
        return measure.made(decoder, COUNTS)


@pytest.fixture(scope="module")
def scores(decoder, sets):
    turned = measure.turn(decoder, sets, COUNTS.turned)
    return measure.scores(decoder, sets, angles=False) | measure.scores(decoder, turned, angles=True)


def test_sets_are_balanced_and_of_the_tasks_and_concepts_they_say(sets):
    for name, kinds in sets.items():
        for unsafe, found in kinds.items():
            pairs = [case.pair for case in found.cases]
            assert all(pair.unsafe == unsafe for pair in pairs)
            all_of_them = name == measure.WIDER
            assert {pair.task.left_out for pair in pairs} == (
                {True, False} if all_of_them else {name == "left-out tasks"}
            )
            assert {p.concept.left_out for p in pairs} == (
                {True, False} if all_of_them else {name == "left-out concepts"}
            )
    assert {name: {u: len(f.cases) for u, f in kinds.items()} for name, kinds in sets.items()} == {
        "search": {True: 16, False: 16},
        "threshold": {False: 32},
        measure.WIDER: {False: 44},
        **{name: {True: 48, False: 48} for name in tables.TESTS},
        **{name: {True: 16, False: 16} for name in ("role-play", "soft tokens")},
    }


def test_the_threshold_knows_neither_task_nor_concept_of_the_search(sets):
    pairs = {
        name: [case.pair for found in sets[name].values() for case in found.cases] for name in ("search", "threshold")
    }
    for of in (lambda pair: pair.task, lambda pair: pair.concept):
        searched, other = ({of(pair) for pair in pairs[name]} for name in ("search", "threshold"))
        assert searched
        assert other
        assert not searched & other


def test_words_and_length_are_at_chance_on_every_set_of_plain_pairs(scores):
    for row in ("words (naive Bayes)", "prompt length"):
        for name in (*tables.TESTS, "role-play"):
            unsafe, safe = scores[row][name][True], scores[row][name][False]
            assert measure.auroc(safe, unsafe) == pytest.approx(0.5, abs=0.02), (row, name)


def test_what_is_measured_is_that_of_each_case_alone(decoder, things):
    cases = plain([Pair(TASKS[i], CONCEPTS[i], 0) for i in range(10)], things)
    found = measure.turn(decoder, {"test": {True: measure.collect(decoder, cases)}}, 4)["test"][True]
    for i, case in enumerate(cases):
        prefill = decoder.prefill(decoder.encode([case.prompt]))
        np.testing.assert_allclose(found.measured.heads[i], prefill.heads[0], atol=1e-5)
        assert found.measured.length[i] == prefill.lengths[0]
        if i < 4:
            masked = decoder.full(prefill, (decoder.layers - 1, 2))  # in the last layer both ways are one
            angle = found.measured.angles[i].reshape(decoder.layers, decoder.heads)[-1, 2]
            assert angle == pytest.approx(deflection_angle(prefill.final, masked)[0], abs=1e-3)
        else:
            assert np.isnan(found.measured.angles[i]).all()


def test_every_row_has_every_set_and_angles_only_where_measured(sets, scores):
    assert {measure.FULL, *measure.RIVALS, *measure.OURS} == set(scores)
    for row, found in scores.items():
        for name, kinds in sets.items():
            for unsafe in kinds:
                there = int(np.isfinite(found[name][unsafe]).sum())
                angular = row.startswith(("deflection", "logistic on all angles"))
                assert there == (3 if angular and name not in measure.LEARNED_FROM else len(kinds[unsafe].cases))


def test_jailbreaks_that_are_answered_are_counted(sets):
    found = sets["role-play"]
    outcome = np.array(["answered"] * 4 + ["refused"] * 11 + ["other"], object)
    kinds = {True: measure.replace(found[True], outcome=outcome), False: found[False]}
    scores = {True: np.array([5.0, 1, 5, np.nan] + [5] * 12), False: np.linspace(0, 2, 16)}
    judged = measure._judged(scores, kinds, threshold=1.9, wider=2.0)
    assert (judged["answered"], judged["answered_caught"]) == (3, 2)
    assert judged["caught"] == pytest.approx(14 / 15)
    assert judged["flagged"] == pytest.approx(1 / 16)
    assert (judged["caught_wider"], judged["flagged_wider"]) == (pytest.approx(14 / 15), 0)
    assert judged["answered_auroc"] == pytest.approx(2 / 3 + 1 / 3 * 8 / 16)
    assert measure._does(kinds[True])["refused"] == 11 / 16


def test_all_figures_stand_in_the_tables(decoder, sets, scores, monkeypatch):
    monkeypatch.setattr(measure, "scores", lambda *_, angles: scores)
    built = {
        "named": {"dog": 1.0, "bomb": 0.5}, "recognised": {"dog": 1.0, "bomb": 0.9}, "seconds": 300.0,
        "processor_seconds": 420.0, "tower_steps": 1500, "lora_steps": 160,
    }  # fmt: skip
    rows = measure.figures(decoder, sets, angles=False)
    does, said, told, wider, attacked, answered, counts = tables.testbed(measure.described(decoder, sets, built, rows))
    assert [row[0] for row in does.rows] == list(sets)
    assert "Built in 5 minutes (7 of processor time)" in said
    assert "names 75.0 % of test pictures" in said
    assert told.header == wider.header == ["", *tables.TESTS]
    assert attacked.header == answered.header == ["", "role-play", "soft tokens"]
    assert len(told.rows) == len(attacked.rows) == len(answered.rows) == 1 + len(measure.RIVALS) + len(measure.OURS)
    assert "new images 48 (angles: 3)" in counts
