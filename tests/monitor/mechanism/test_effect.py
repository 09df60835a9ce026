from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor.mechanism import WeightChange, change_effect, effect, moved  # noqa: E402

ROW = torch.tensor([0.6, 0.8, 0.0])
DELTA = 2 * torch.outer(torch.tensor([0.0, 1.0]), ROW)


def test_the_effect_of_a_change_of_one_direction_by_hand():
    a = torch.stack([5 * ROW, torch.tensor([0.0, 0.0, 3.0]), torch.tensor([1.0, 0.0, 0.0]), torch.zeros(3)])
    np.testing.assert_allclose(moved(DELTA, a), [10, 0, 1.2, 0], atol=1e-5)
    along = effect(DELTA, a)
    assert along.shape == (4, 2)
    np.testing.assert_allclose(along[:, 0].abs(), [2, 0, 1.2, 0], atol=1e-5)
    np.testing.assert_allclose(along[:, 1], 0, atol=1e-5)


def test_the_effects_of_all_directions_are_the_whole_length():
    generator = torch.Generator().manual_seed(0)
    delta, a = torch.randn(7, 5, generator=generator), torch.randn(9, 5, generator=generator)
    whole = effect(delta, a).square().sum(1).sqrt() * a.norm(dim=1)
    torch.testing.assert_close(whole, moved(delta, a))


def activations(n=30):
    """Unsafe inputs along the change, safe ones across it, of one length."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(-0.2, 0.2, n)
    across = np.array([-0.8, 0.6, 0.0])
    row = ROW.numpy()
    unsafe = np.cos(angle)[:, None] * row + np.sin(angle)[:, None] * across
    safe = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * row
    return {"unsafe": unsafe.astype(np.float32), "safe": safe.astype(np.float32)}


def test_a_change_that_answers_to_unsafe_inputs_alone():
    fed = activations()
    found = change_effect(WeightChange(0, "m", torch.ones(2, 3), DELTA), fed, draws=50)
    assert found.auroc == 1
    assert found.moved["unsafe"] == pytest.approx(np.median(2 * np.abs(fed["unsafe"] @ ROW.numpy())), rel=1e-2)
    assert 0.97 < found.relative["unsafe"] <= 1
    assert found.relative["safe"] < 0.2
    assert found.directions["unsafe"][0] == pytest.approx(found.moved["unsafe"], rel=1e-2)
    assert found.ratio > 5
    assert found.random_ratio < found.ratio
    assert 0.3 < found.random_auroc < 0.7


def test_random_changes_see_the_length_of_activations():
    fed = activations()
    fed["unsafe"] = 3 * fed["safe"]
    found = change_effect(WeightChange(0, "m", torch.ones(2, 3), DELTA), fed, draws=5)
    assert found.ratio == pytest.approx(3, rel=1e-4)
    assert found.random_ratio == pytest.approx(3, rel=1e-4)


def test_no_change_moves_nothing():
    found = change_effect(WeightChange(0, "m", torch.ones(2, 3), torch.zeros(2, 3)), activations(), draws=1)
    assert (found.ratio, found.auroc, found.moved["unsafe"], found.relative["safe"]) == (1, 0.5, 0, 0)


def test_both_kinds_are_needed():
    with pytest.raises(ValueError, match="got none of unsafe"):
        change_effect(WeightChange(0, "m", DELTA, DELTA), {"safe": np.ones((4, 3))})
