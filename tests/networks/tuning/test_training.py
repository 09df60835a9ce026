"""Training: the same result cut off or not, refused folders, and a loss that becomes no number."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from outrider.networks.transformers import import_transformers
from outrider.networks.tuning import Schedule, Trained, TrainingError, train


def squares(model, batch):
    error = ((model(batch["x"]) - batch["y"]) ** 2).mean()
    return error, {"error": error.item()}


class CutOff(Exception):
    """Raised in the middle of a run."""


def cut_at(step):
    def progress(done, _total):
        if done == step:
            raise CutOff

    return progress


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def uncut(line, points, schedule, tmp_path):
    return train(line(), points, squares, schedule, tmp_path / "uncut")


def test_it_learns_and_leaves_weights_and_a_record(line, points, schedule, uncut):
    assert isinstance(uncut, Trained)
    assert not uncut.resumed
    assert len(uncut.losses) == 24
    assert np.mean(uncut.losses[-5:]) < np.mean(uncut.losses[:5]) / 2
    assert uncut.parts == {"error": uncut.losses}
    assert sorted(path.name for path in uncut.folder.iterdir()) == ["model.safetensors", "training.json"]
    record = json.loads((uncut.folder / "training.json").read_text())
    assert record["finished"] is True
    assert record["losses"] == uncut.losses
    assert record["settings"]["schedule"]["rate"] == 3e-2
    assert record["settings"]["examples"]["number"] == 40
    assert record["versions"]["torch"] == torch.__version__


def test_it_is_adamw_with_clipping_and_the_rates_of_the_schedule(points, tmp_path):
    """Against the same steps written out, without dropout."""
    from outrider.networks.tuning.order import batches

    schedule = Schedule(steps=7, batch=4, rate=1e-2, weight_decay=0.1, clip=0.5, seed=3)
    torch.manual_seed(1)
    model = nn.Linear(3, 1)
    twin = nn.Linear(3, 1)
    twin.load_state_dict(model.state_dict())

    def loss(model, batch):
        return ((model(batch["x"])[:, 0] - batch["y"]) ** 2).mean()

    optimiser = torch.optim.AdamW(
        [{"params": [twin.weight], "weight_decay": 0.1}, {"params": [twin.bias], "weight_decay": 0}], betas=(0.9, 0.95)
    )
    expected = []
    for step, indices in enumerate(batches(40, 4, 7, 3)):
        batch = {name: torch.stack([points[index][name] for index in indices]) for name in ("x", "y")}
        for group in optimiser.param_groups:
            group["lr"] = schedule.rate_at(step)
        value = loss(twin, batch)
        optimiser.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.5)
        optimiser.step()
        expected.append(value.item())
    found = train(model, points, loss, schedule, tmp_path / "run")
    assert found.losses == pytest.approx(expected, rel=1e-6)
    torch.testing.assert_close(model.state_dict(), twin.state_dict())


@pytest.mark.parametrize("cuts", [(1,), (4,), (5,), (7, 13, 23), (24,)])
def test_a_run_that_was_cut_off_gives_the_weights_of_an_uncut_one(line, points, schedule, uncut, tmp_path, cuts):
    for step in cuts:
        with pytest.raises(CutOff):
            train(line(), points, squares, schedule, tmp_path / "cut", progress=cut_at(step))
        torch.rand(step)  # what others draw in between does not matter
    model = line()
    found = train(model, points, squares, schedule, tmp_path / "cut")
    assert found.resumed == (cuts[-1] >= 5)
    assert found.losses == uncut.losses
    assert found.parts == uncut.parts
    assert same(weights(found.folder), weights(uncut.folder))
    assert same(model.state_dict(), weights(uncut.folder))
    assert not (found.folder / "checkpoints").exists()


def test_progress_is_told_and_goes_on_from_the_checkpoint(line, points, schedule, tmp_path):
    told = []
    with pytest.raises(CutOff):
        train(line(), points, squares, schedule, tmp_path, progress=cut_at(12))
    train(line(), points, squares, schedule, tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(done, 24) for done in range(10, 25)]


def test_a_half_written_checkpoint_is_passed_over(line, points, schedule, uncut, tmp_path):
    with pytest.raises(CutOff):
        train(line(), points, squares, schedule, tmp_path / "cut", progress=cut_at(12))
    old, new = sorted((tmp_path / "cut" / "checkpoints").iterdir())
    assert (old.name, new.name) == ("step-00000005.safetensors", "step-00000010.safetensors")
    new.write_bytes(new.read_bytes()[:-100])
    told = []
    found = train(line(), points, squares, schedule, tmp_path / "cut", progress=lambda done, _: told.append(done))
    assert told[0] == 5
    assert same(weights(found.folder), weights(uncut.folder))


def test_a_finished_folder_is_not_trained_again(line, points, schedule, uncut):
    def never(_model, _batch):
        raise AssertionError

    never.__qualname__ = "squares"
    model = line()
    found = train(model, points, never, schedule, uncut.folder)
    assert (found.losses, found.parts, found.seconds) == (uncut.losses, uncut.parts, uncut.seconds)
    assert same(model.state_dict(), weights(uncut.folder))


def test_how_often_it_is_saved_is_no_setting(line, points, schedule, uncut, tmp_path):
    with pytest.raises(CutOff):
        train(line(), points, squares, schedule, tmp_path / "cut", progress=cut_at(12))
    found = train(line(), points, squares, replace(schedule, save_every=3), tmp_path / "cut")
    assert found.losses == uncut.losses


def test_another_seed_gives_other_weights(line, points, schedule, uncut, tmp_path):
    found = train(line(), points, squares, replace(schedule, seed=1), tmp_path / "other")
    assert not same(weights(found.folder), weights(uncut.folder))


def test_a_folder_of_other_settings_is_refused_by_what_differs(line, points, schedule, uncut):
    def other_loss(model, batch):
        return squares(model, batch)

    for change, message in (
        ({"schedule": replace(schedule, rate=1e-3)}, r"schedule\.rate 0\.03, asked for 0\.001"),
        ({"points": points[:39]}, r"examples\.number 40, asked for 39; examples\.digest"),
        ({"points": [{**points[0], "y": torch.tensor(9.0)}, *points[1:]]}, r"settings: examples\.digest "),
        ({"model": line(seed=1)}, r"settings: model\.weights \"\w+…, asked for"),
        ({"loss": other_loss}, r"loss \"squares\", asked for \".*other_loss\""),
        ({"keep": {"a": 1}}, r"keep\.a null, asked for 1"),
    ):
        given = {"model": line(), "points": points, "loss": squares, "schedule": schedule, "keep": None} | change
        with pytest.raises(TrainingError, match=message):
            train(*(given[name] for name in ("model", "points", "loss", "schedule")), uncut.folder, keep=given["keep"])


def test_a_folder_with_something_else_is_left_alone(line, points, schedule, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match="got one with a model that would be overwritten"):
        train(line(), points, squares, schedule, tmp_path)
    with pytest.raises(TrainingError, match="expected a folder to write to, got a file"):
        train(line(), points, squares, schedule, tmp_path / "config.json")
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(TrainingError, match=r"training\.json: expected what a training wrote"):
        train(line(), points, squares, schedule, tmp_path)


def bad_from(step, value, seen):
    """A loss that is no number from a step on."""

    def loss(model, batch):
        seen.append({name: one.detach().clone() for name, one in model.state_dict().items()})
        found, parts = squares(model, batch)
        return (found * value if len(seen) >= step else found), parts

    return loss


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [1, 4, 11])
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_weights(
    line, points, schedule, tmp_path, value, step
):  # fmt: skip
    seen = []
    with pytest.raises(TrainingError, match=rf"expected a loss that is a number, got {value} at step {step} of 24"):
        train(line(), points, bad_from(step, value, seen), schedule, tmp_path)
    good = max(step - 2, 0)
    assert same(weights(tmp_path), seen[good])
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["failed"] == {"step": step, "loss": str(value), "weights after": good}
    assert not record["finished"]
    assert len(record["losses"]) == step - 1
    again = []
    with pytest.raises(TrainingError, match="is a number"):
        train(line(), points, bad_from(1, value, again), schedule, tmp_path)  # the checkpoint of bad weights is gone
    assert same(again[0], seen[5 if step == 11 else 0])


def test_a_gradient_or_a_weight_that_is_no_number_stops_too(line, points, schedule, tmp_path):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(_context, value):
            return value.clone()

        @staticmethod
        def backward(_context, gradient):
            return gradient * float("nan")

    with pytest.raises(TrainingError, match="expected a gradient's norm that is a number, got nan at step 1"):
        train(line(), points, lambda m, b: Broken.apply(squares(m, b)[0]), schedule, tmp_path / "gradient")
    model = line()

    def ruin(done, total):
        if done == total:
            model.outer.bias.data.fill_(float("nan"))

    with pytest.raises(TrainingError, match=r"expected a weight .* at step 24 of 24; the weights after 23 steps"):
        train(model, points, squares, schedule, tmp_path / "weight", progress=ruin)
    assert bool(torch.isfinite(model.outer.bias))


def test_what_is_frozen_stays(line, points, schedule, tmp_path):
    model, start = line(), line().state_dict()
    model.inner.requires_grad_(False)
    train(model, points, squares, schedule, tmp_path / "half")
    assert torch.equal(model.inner.weight, start["inner.weight"])
    assert not torch.equal(model.outer.weight, start["outer.weight"])
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="expected a model with parameters that have a gradient"):
        train(model, points, squares, schedule, tmp_path / "none")


def test_the_caller_finds_everything_as_it_was(line, points, schedule, tmp_path, capfd):
    model = line().eval()
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    train(model, points, squares, schedule, tmp_path / "run")
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])
    assert not any(module.training for module in model.modules())
    assert all(one.grad is None for one in model.parameters())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("loss", "got"),
    [
        (lambda _m, _b: 1.0, "float"),
        (lambda m, b: m(b["x"]), r"\(6,\)"),
        (lambda m, b: m(b["x"]).mean().detach(), r"\(\)"),
    ],
)
def test_a_loss_of_another_form_is_refused(line, points, schedule, tmp_path, loss, got):
    with pytest.raises(ValueError, match=f"expected a loss that is a scalar tensor with a gradient, got {got}"):
        train(line(), points, loss, schedule, tmp_path / "run")


@pytest.mark.parametrize("device", ["no_such", "cuda:7"])
def test_a_device_that_is_not_there_is_refused(line, points, schedule, tmp_path, device):
    with pytest.raises(TrainingError, match=f"expected .*device.*, got '{device}'"):
        train(line(), points, squares, schedule, tmp_path / "run", device=device)
    assert not (tmp_path / "run").exists()


def test_a_collate_of_the_callers_own_and_facts_to_keep(line, points, schedule, tmp_path):
    def double(rows):
        return {"x": torch.stack([2 * row["x"] for row in rows]), "y": torch.stack([row["y"] for row in rows])}

    seen = []

    def loss(model, batch, weight):
        seen.append(batch["x"])
        return weight * squares(model, batch)[0]

    found = train(line(), points, partial(loss, weight=2.0), schedule, tmp_path, collate=double, keep={"p": (1, "b")})
    settings = json.loads((found.folder / "training.json").read_text())["settings"]
    assert settings["keep"] == {"p": [1, "b"]}
    assert settings["loss"].endswith('loss {"weight": 2.0}')
    drawn = {tuple(row.tolist()) for batch in seen for row in batch}
    assert drawn == {tuple((2 * point["x"]).tolist()) for point in points}


def language_model(tied):
    transformers = import_transformers()
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=20,
            tie_word_embeddings=tied, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        )
    )  # fmt: skip


def next_token(model, batch):
    return model(input_ids=batch["input_ids"], labels=batch["input_ids"]).loss


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_model_of_transformers_is_opened_by_from_pretrained_afterwards(tmp_path, tied, precision):
    transformers = import_transformers()
    examples = [{"input_ids": (torch.arange(8) + shift) % 20} for shift in range(16)]
    schedule = Schedule(steps=20, batch=8, rate=1e-2, save_every=6, precision=precision)
    model = language_model(tied)
    found = train(model, examples, next_token, schedule, tmp_path / "run")
    assert found.losses[-1] < found.losses[0] - 0.3
    assert model.config.use_cache is True
    stored = transformers.AutoModelForCausalLM.from_pretrained(found.folder)
    assert stored.config.use_cache is True
    assert same(stored.state_dict(), model.state_dict())
    again = language_model(tied)
    train(again, examples, next_token, schedule, tmp_path / "run")
    assert same(again.state_dict(), model.state_dict())
    with pytest.raises(CutOff):
        train(language_model(tied), examples, next_token, schedule, tmp_path / "cut", progress=cut_at(14))
    cut = language_model(tied)
    assert train(cut, examples, next_token, schedule, tmp_path / "cut").losses == found.losses
    assert same(cut.state_dict(), model.state_dict())
