from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks.testbed import attack, score
from outrider.networks.testbed.scoring import softened


@pytest.fixture
def drawn(language):
    return language.draw("unsafe", 5, np.random.default_rng(0))


@pytest.fixture
def model(tiny):
    return tiny().eval()


def objective(model, drawn, soft):
    """The mean log-likelihood of output 1, letter by letter."""
    with torch.no_grad():
        logits = model(**softened(model, torch.from_numpy(drawn.tokens), soft)).logits.log_softmax(-1)
    found = []
    for i, n in enumerate(drawn.lengths):
        found.append(np.mean([float(logits[i, at + 1, drawn.tokens[i, at]]) for at in range(40, 40 + n)]))
    return np.array(found)


def moved(model, found):
    return found.soft - model.get_input_embeddings().weight[49].detach()


@pytest.mark.parametrize("bound", [0.001, 0.5, None])
def test_it_stays_within_its_bound(model, drawn, bound):
    found = attack(model, drawn, bound=bound)
    want = bound or float(model.get_input_embeddings().weight.detach().norm(dim=1).max())
    assert found.bound == pytest.approx(want)
    assert found.soft.shape == (5, 2, 16)
    assert float(moved(model, found).norm(dim=-1).max()) <= want * (1 + 1e-4)


def test_a_tight_bound_is_reached(model, drawn):
    norms = moved(model, attack(model, drawn, bound=1e-3)).norm(dim=-1)
    assert norms.tolist() == [pytest.approx([1e-3, 1e-3], rel=1e-2)] * 5


@pytest.mark.parametrize("steps", [1, 10])
@pytest.mark.parametrize("bound", [0.05, 50.0])
def test_the_best_is_never_worse_than_the_start_and_is_what_it_says(model, drawn, steps, bound):
    found = attack(model, drawn, steps=steps, bound=bound)
    start = model.get_input_embeddings().weight[49].detach().expand(5, 2, -1)
    assert (found.after >= found.before).all()
    assert found.before.numpy() == pytest.approx(objective(model, drawn, start), abs=1e-4)
    assert found.after.numpy() == pytest.approx(objective(model, drawn, found.soft), abs=1e-4)


def test_more_steps_and_room_help_and_the_first_step_follows_the_gradient(model, drawn):
    assert (attack(model, drawn, bound=5.0).after > attack(model, drawn, bound=0.01).after).all()
    assert (attack(model, drawn, bound=0.01).after > attack(model, drawn, bound=0.01).before).all()


def test_each_sequence_is_attacked_on_its_own(model, drawn):
    together, alone = attack(model, drawn), attack(model, drawn[2:3])
    assert torch.allclose(together.soft[2], alone.soft[0], atol=1e-4)


def test_the_weights_and_their_gradients_stay_as_they_were(model, drawn):
    before = [one.clone() for one in model.parameters()]
    attack(model, drawn)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(one.grad is None for one in model.parameters())


def test_its_embeddings_can_be_scored(model, drawn):
    found = attack(model, drawn)
    assert len(score(model, drawn, soft=found.soft, outputs=1)) == 5


@pytest.mark.parametrize("options", [{"steps": 0}, {"soft": 0}, {"bound": 0.0}])
def test_counts_and_bounds_of_nothing_are_refused(model, drawn, options):
    with pytest.raises(ValueError, match="expected counts of at least 1 and a bound above 0"):
        attack(model, drawn, **options)
