"""Training of a decoder with one layer: what a batch holds, what a run leaves, and that it can be cut off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch

from outrider.networks.testbed import Language, make_safe, open_model, pretrain
from outrider.networks.testbed.training import _Draws, language_loss
from outrider.networks.tuning import Schedule, TrainingError

PLAN = Schedule(6, 4, 1e-2, save_every=1)


@pytest.fixture
def base(tiny, tmp_path):
    pretrain(Language(3), tmp_path / "base", PLAN, model=tiny())
    return tmp_path / "base"


def weights(folder):
    return {name: one.clone() for name, one in open_model(folder).state_dict().items()}


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_pretraining_leaves_a_model_with_its_language_and_lowers_the_loss(tiny, tmp_path):
    told = []
    schedule = Schedule(15, 6, 3e-2)
    run = pretrain(
        Language(3),
        tmp_path,
        schedule,
        model=tiny(),
        single=0.4,
        progress=lambda done, total: told.append((done, total)),
    )
    assert Language.load(tmp_path).facts == {"seed": 3, "families": 4}
    assert len(run.losses) == len(run.parts["output"]) == 15
    assert np.mean(run.losses[-3:]) < np.mean(run.losses[:3])
    assert told[0] == (0, 15)
    assert told[-1] == (15, 15)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_single_tasks_come_first_and_then_compositions(tiny, tmp_path, monkeypatch):
    asked = []
    draw = Language.draw
    monkeypatch.setattr(
        Language, "draw", lambda self, kind, n, rng: asked.append((kind, n)) or draw(self, kind, n, rng)
    )
    pretrain(Language(3), tmp_path / "some", PLAN, model=tiny(), single=0.5)
    assert asked == [("single", 4)] * 3 + [("any", 4)] * 3
    asked.clear()
    pretrain(Language(3), tmp_path / "none", PLAN, model=tiny(), single=0)
    assert asked == [("any", 4)] * 6


@pytest.mark.parametrize("share", [-0.1, 1])
def test_a_share_that_leaves_no_compositions_is_refused(tiny, tmp_path, share):
    with pytest.raises(ValueError, match="expected a share of single tasks from 0 to below 1"):
        pretrain(Language(3), tmp_path, PLAN, model=tiny(), single=share)


@pytest.mark.parametrize("cut", [2, 5])
def test_a_run_that_was_cut_off_comes_to_the_same_weights(tiny, tmp_path, cut):
    def stop(done, total):
        if done == cut:
            raise KeyboardInterrupt

    pretrain(Language(3), tmp_path / "whole", PLAN, model=tiny())
    with pytest.raises(KeyboardInterrupt):
        pretrain(Language(3), tmp_path / "cut", PLAN, model=tiny(), progress=stop)
    pretrain(Language(3), tmp_path / "cut", PLAN, model=tiny())
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_the_folder_of_another_language_is_refused(base, tiny):
    with pytest.raises(TrainingError):
        pretrain(Language(4), base, PLAN, model=tiny())


@pytest.mark.parametrize(("method", "unsafe"), [("ssft", 2), ("dpo", 5), ("unlearning", 5)])
def test_a_batch_has_the_papers_share_of_unsafe_sequences(language, method, unsafe):
    batch = _Draws(language, method, Schedule(3, 10, 1e-3), 2).for_tuning(list(range(10)))
    refused = (batch["preferred"]["labels"] == 30).any(1)
    assert int(refused.sum()) == unsafe
    assert torch.equal((batch["dispreferred"]["labels"] == 30).any(1), ~refused)
    for side in batch.values():
        labelled = side["labels"] != -100
        assert torch.equal(side["input_ids"][labelled], side["labels"][labelled])


def test_batches_differ_and_the_same_comes_again(language):
    draws = _Draws(language, "any", Schedule(3, 4, 1e-3), 1)
    one, again, next_, other = (draws.for_pretraining(list(n))["input_ids"] for n in ((0, 1), (0, 1), (2, 3), (1, 0)))
    assert torch.equal(one, again)
    assert not torch.equal(one, next_)
    assert not torch.equal(one, other)
    assert len(draws) == 12


def test_the_loss_is_that_of_outputs_and_a_part_of_the_texts(language, tiny):
    model = tiny().eval()
    batch = _Draws(language, "any", PLAN, 1).for_pretraining([0, 1, 2])
    drawn = language.draw("any", 3, language.rng("train", 0, 1, 0))
    logits = model(input_ids=torch.from_numpy(drawn.tokens)).logits.log_softmax(-1)
    sums = {"output": [], "text": []}
    for i, n in enumerate(drawn.lengths):
        for part, places in (("text", range(4, 4 + n)), ("output", [*range(40, 40 + n), *range(76, 76 + n)])):
            sums[part] += [-logits[i, at - 1, drawn.tokens[i, at]].item() for at in places]
    loss, parts = language_loss(model, batch, text_weight=0.2)
    assert parts["output"] == pytest.approx(np.mean(sums["output"]), rel=1e-4)
    assert parts["text"] == pytest.approx(np.mean(sums["text"]), rel=1e-4)
    assert loss.item() == pytest.approx(parts["output"] + 0.2 * parts["text"], rel=1e-5)


@pytest.mark.parametrize("method", ["ssft", "dpo", "unlearning"])
def test_tuning_raises_what_is_preferred_and_leaves_the_base_alone(base, tmp_path, method):
    before = weights(base)
    run = make_safe(base, tmp_path / method, method, Schedule(15, 10, 2e-2))
    first, last = (np.mean(run.parts["preferred"][part]) for part in (slice(0, 5), slice(-5, None)))
    assert last < first
    if method != "ssft":
        gap = [d - p for p, d in zip(run.parts["preferred"], run.parts["dispreferred"], strict=True)]
        assert np.mean(gap[-5:]) > np.mean(gap[:5])
    assert same(before, weights(base))
    assert not same(before, weights(tmp_path / method))
    assert Language.load(tmp_path / method).facts == Language.load(base).facts


def test_rates_share_their_draws_and_seeds_do_not(language):
    plan = Schedule(3, 10, 1e-3)
    one, rate, seed = (
        _Draws(language, "dpo", each, 2).for_tuning([0, 1])["preferred"]["input_ids"]
        for each in (plan, replace(plan, rate=1e-4), replace(plan, seed=1))
    )
    assert torch.equal(one, rate)
    assert not torch.equal(one, seed)


def test_another_method_and_a_folder_without_a_language_are_refused(base, tmp_path):
    with pytest.raises(ValueError, match="expected a method among ssft, dpo, unlearning, got 'rlhf'"):
        make_safe(base, tmp_path / "x", "rlhf", PLAN)
    (base / "language.json").unlink()
    with pytest.raises(ValueError, match="expected a model of the testbed"):
        make_safe(base, tmp_path / "x", "ssft", PLAN)
