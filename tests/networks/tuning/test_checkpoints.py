"""Checkpoints: the state there and back, the newest two, and what is not whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from outrider.networks.tuning.checkpoints import Checkpoints, restore, set_weights
from outrider.networks.tuning.weights import trained_tensors


def stepped(seed, steps=3):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model[0].bias.requires_grad_(False)
    optimiser = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=0.1)
    for _ in range(steps):
        advance(model, optimiser)
    return model, optimiser


def advance(model, optimiser):
    optimiser.zero_grad()
    model(torch.linspace(-1, 1, 15).reshape(5, 3)).square().mean().backward()
    optimiser.step()


def test_a_restored_run_goes_on_as_the_one_that_was_saved(tmp_path):
    model, optimiser = stepped(0)
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(model, optimiser, [3.0, 0.1, 0.3], {"a": [1.0, 2.0, 1 / 3]}, 1.5)
    other, fresh = stepped(0, steps=0)
    found = checkpoints.newest()
    restore(found, other, fresh)
    assert (found.step, found.losses, found.parts, found.seconds) == (3, [3.0, 0.1, 0.3], {"a": [1.0, 2.0, 1 / 3]}, 1.5)
    advance(model, optimiser)
    advance(other, fresh)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert "0.bias" not in found.weights
    assert "1.running_mean" in found.weights


def test_the_newest_two_are_kept_and_one_before_a_step_is_found(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    assert checkpoints.newest() is None
    model, optimiser = stepped(0)
    for step in (2, 4, 6):
        checkpoints.save(model, optimiser, [0.0] * step, {}, 0.0)
    assert checkpoints.steps() == [4, 6]
    assert checkpoints.newest(before=6).step == 4
    assert checkpoints.newest(before=4) is None
    checkpoints.remove(6)
    checkpoints.remove(6)
    assert checkpoints.newest().step == 4


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:20], lambda b: b"", lambda b: b[::-1]])
def test_what_is_not_whole_is_passed_over(tmp_path, damage):
    checkpoints = Checkpoints(tmp_path)
    model, optimiser = stepped(0)
    for step in (2, 4):
        checkpoints.save(model, optimiser, [0.0] * step, {}, 0.0)
    path = tmp_path / "step-00000004.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    assert checkpoints.newest().step == 2
    (tmp_path / "step-00000002.safetensors").rename(tmp_path / "step-00000003.safetensors")
    assert checkpoints.newest() is None  # its losses are those of two steps


def test_what_was_being_written_does_not_count_and_is_cleared(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    model, optimiser = stepped(0)
    checkpoints.save(model, optimiser, [0.0], {}, 0.0)
    (tmp_path / "c" / ".step-00000009.safetensors").write_bytes(b"half")
    assert checkpoints.steps() == [1]
    (tmp_path / "c" / "notes").touch()
    checkpoints.clear()
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["notes"]
    (tmp_path / "c" / "notes").unlink()
    checkpoints.clear()
    assert not (tmp_path / "c").exists()
    checkpoints.clear()


def test_weights_are_copied_into_what_is_trained():
    model, _ = stepped(0)
    wanted = {name: torch.full_like(tensor, 2) for name, tensor in trained_tensors(model).items()}
    frozen = model[0].bias.clone()
    set_weights(model, wanted)
    assert bool((model[2].weight == 2).all())
    assert torch.equal(model[0].bias, frozen)
