"""Training on made-up pictures: dark ones against bright ones."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from torch import nn  # noqa: E402

from outrider.networks import ImageSet  # noqa: E402
from outrider.networks.zoo import train  # noqa: E402


def pictures(n=200):
    """(n, 1, 6, 6) with the classes 0, dark, and 1, bright."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n)
    return (rng.integers(0, 100, (n, 1, 6, 6)) + 150 * labels[:, None, None, None]).astype(np.uint8), labels


def small_net():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))


@pytest.mark.parametrize("shares", [False, True])
def test_a_fit_tells_the_classes_apart_and_is_repeatable(shares):
    images, labels = pictures()
    given = np.eye(2, dtype=np.float32)[labels] if shares else labels
    said, fitted = [], []
    for _ in range(2):
        module = small_net().eval()
        train.fit(module, images, given, epochs=3, batch_size=20, bfloat16=False, report=said.append)
        assert not module.training
        fitted.append(module)
    assert train.accuracy(fitted[0], images, labels) == 1
    assert train.accuracy(fitted[0], images, 1 - labels) == 0
    assert [line.partition(":")[0] for line in said[:3]] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    assert said[:3] == said[3:]
    assert all(torch.equal(a, b) for a, b in zip(*(m.state_dict().values() for m in fitted), strict=True))


def test_pictures_are_mirrored_and_moved_at_random():
    torch.manual_seed(0)
    batch = torch.arange(64 * 20, dtype=torch.float32).reshape(64, 1, 4, 5) + 1
    flipped = train._augment(batch, True, 0)
    mirrored = [torch.equal(after, before.flip(-1)) for after, before in zip(flipped, batch, strict=True)]
    kept = [torch.equal(after, before) for after, before in zip(flipped, batch, strict=True)]
    assert 0 < sum(mirrored) < 64
    assert sum(mirrored) + sum(kept) == 64
    padded = nn.functional.pad(batch, (1, 1, 1, 1))
    moves = []
    for after, before in zip(train._augment(batch, False, 1), padded, strict=True):
        fits = [(t, u) for t in range(3) for u in range(3) if torch.equal(after, before[:, t : t + 4, u : u + 5])]
        assert len(fits) == 1
        moves += fits
    assert len(set(moves)) == 9


def test_the_script_keeps_the_held_out_part_to_itself(monkeypatch, tmp_path, capsys):
    images, labels = pictures(160)
    data = ImageSet("fashion-mnist", images, labels, ("dark", "bright"))
    seen = []
    monkeypatch.setattr(train, "load_dataset", lambda *_: data)
    monkeypatch.setitem(train.HELD_OUT, "fashion-mnist", 20)
    monkeypatch.setattr(train, "untrained", lambda _: small_net())
    monkeypatch.setattr(train, "fit", lambda _, shown, told, **recipe: seen.append((shown, told, recipe["epochs"])))
    output = str(tmp_path / "weights")
    monkeypatch.setattr(sys, "argv", ["train", "lenet-fashion-mnist", "--epochs", "2", "--output", output])
    train.main()
    ((shown, told, epochs),) = seen
    np.testing.assert_array_equal(shown, images[:140])
    np.testing.assert_array_equal(told, labels[:140])
    assert epochs == 2
    assert load_file(output).keys() == small_net().state_dict().keys()
    assert "test accuracy" in capsys.readouterr().out
