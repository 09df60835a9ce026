"""The loop: what the optimiser is given, and what a step costs beyond a bare one is not tested here, but its rules."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from outrider.networks.tuning import Schedule
from outrider.networks.tuning.loop import LossError, optimiser_of, run_steps


def squares(model, batch):
    return ((model(batch["x"]) - batch["y"]) ** 2).mean()


def test_only_matrices_decay():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 1))
    model[2].weight.requires_grad_(False)
    optimiser = optimiser_of(model, Schedule(steps=1, batch=1, rate=0.5, weight_decay=0.3, betas=(0.8, 0.7)))
    decaying, others = optimiser.param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.3, 0)
    assert [tuple(one.shape) for one in decaying["params"]] == [(4, 3)]
    assert [tuple(one.shape) for one in others["params"]] == [(4,), (4,), (4,), (1,)]
    assert (optimiser.defaults["lr"], optimiser.defaults["betas"]) == (0.5, (0.8, 0.7))
    with pytest.raises(ValueError, match="got none; see requires_grad_"):
        optimiser_of(model.requires_grad_(False), Schedule(steps=1, batch=1, rate=0.5))


def steps(model, points, schedule, folder, begin=0, loss=squares):
    """The losses, and what was told in which order."""
    told, losses = [], []
    optimiser = optimiser_of(model, schedule)
    indices = [[place % 40, (place + 1) % 40] for place in range(begin, schedule.steps)]
    run_steps(
        model, loss, DataLoader(points, batch_sampler=indices), optimiser, schedule, folder, torch.device("cpu"), begin,
        lambda value, parts: (told.append("passed"), losses.append((value, parts))),
        lambda: told.append("done"),
    )  # fmt: skip
    return losses, told


def test_a_step_passes_then_is_done(line, points, tmp_path):
    schedule = Schedule(steps=5, batch=2, rate=0.1)
    losses, told = steps(line(), points, schedule, tmp_path)
    assert told == ["passed", "done"] * 5
    assert [parts for _, parts in losses] == [{}] * 5
    losses, told = steps(line(), points, schedule, tmp_path, begin=3)
    assert told == ["passed", "done"] * 2


def test_a_step_begins_with_the_rate_and_the_random_numbers_of_its_place(line, points, tmp_path):
    """From step 3 on, with the weights of then, as from the beginning."""
    drawn = []

    def loss(model, batch):
        drawn.append(torch.rand(1).item())
        return squares(model, batch)

    schedule = Schedule(steps=6, batch=2, rate=0.1)
    steps(line(), points, schedule, tmp_path, loss=loss)
    steps(line(), points, schedule, tmp_path, begin=3, loss=loss)
    assert drawn[6:] == drawn[3:6]
    assert len(set(drawn[:6])) == 6


def test_a_loss_that_is_no_number_leaves_the_weights(line, points, tmp_path):
    model = line()
    before = model.inner.weight.clone()
    with pytest.raises(LossError, match="loss nan") as caught:
        steps(model, points, Schedule(steps=2, batch=2, rate=1.0), tmp_path, loss=lambda m, b: squares(m, b) * math.nan)
    assert (caught.value.what, math.isnan(caught.value.value)) == ("loss", True)
    assert torch.equal(model.inner.weight, before)


def test_the_gradient_is_clipped(points, tmp_path):
    """Plain descent in place of AdamW shows it: the step is the rate times the clip."""
    model = nn.Linear(3, 1)
    schedule = Schedule(steps=1, batch=2, rate=1.0, warmup=0, clip=0.25)
    before = torch.cat([one.detach().flatten().clone() for one in model.parameters()])
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    loader = DataLoader(points, batch_sampler=[[0, 1]])
    loss = lambda m, b: 1000 * squares(m, b)  # noqa: E731
    run_steps(
        model, loss, loader, optimiser, schedule, tmp_path, torch.device("cpu"), 0, lambda *_: None, lambda: None
    )  # fmt: skip
    after = torch.cat([one.detach().flatten() for one in model.parameters()])
    assert (after - before).norm().item() == pytest.approx(0.25, rel=1e-3)
