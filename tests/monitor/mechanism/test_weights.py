"""Changes built inside and outside the base's span, and GPT-2's transposed matrices."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.monitor.mechanism import WeightChange, outside, span_of_top, weight_changes  # noqa: E402
from outrider.monitor.mechanism.weights import oriented  # noqa: E402

from .tiny import LAYERS, MODELS, WIDTH, gpt2, llama, shifted  # noqa: E402


def base_matrix(out=12, inner=8, seed=0):
    """Three strong directions, the rest weak: the three hold 90 % of the energy. Also its left singular vectors."""
    rng = np.random.default_rng(seed)
    left = np.linalg.qr(rng.normal(size=(out, out)))[0]
    right = np.linalg.qr(rng.normal(size=(inner, inner)))[0]
    values = np.array([5, 4, 3] + [0.5] * (inner - 3))
    return torch.tensor(left[:, :inner] * values @ right.T).float(), torch.tensor(left).float()


def test_a_change_inside_the_span_has_no_share_outside_and_one_outside_all():
    base, left = base_matrix()
    right = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    inside = outside(WeightChange(0, "m", base, left[:, :3] @ right[:3]))
    assert inside.rank == 3
    assert inside.share == pytest.approx(0, abs=1e-5)
    beyond = outside(WeightChange(0, "m", base, left[:, 8:12] @ right))
    assert beyond.share == pytest.approx(1, abs=1e-5)
    assert beyond.change_rank <= 4
    assert beyond.top[:4] == pytest.approx((1, 1, 1, 1), abs=1e-5)


def test_half_the_energy_outside_is_half_a_share():
    base, left = base_matrix()
    right = torch.linalg.qr(torch.randn(8, 2, generator=torch.Generator().manual_seed(1)))[0].T
    found = outside(WeightChange(0, "m", base, left[:, [0, 10]] @ right))
    assert found.share == pytest.approx(0.5, abs=1e-5)
    uneven = outside(WeightChange(0, "m", base, 3 * left[:, [0]] @ right[:1] + left[:, [10]] @ right[1:]))
    assert uneven.share == pytest.approx(0.1, abs=1e-5)
    assert uneven.top[:2] == pytest.approx((0, 1), abs=1e-4)
    assert uneven.relative == pytest.approx(math.sqrt(10) / float(base.norm()), rel=1e-5)
    assert uneven.change_rank == 1


def test_a_mean_of_the_vectors_is_not_removed():
    """A change whose only left vector is constant would vanish with its mean."""
    base = torch.zeros(4, 3)
    base[0, 0] = 1
    found = outside(WeightChange(0, "m", base, torch.ones(4, 3)))
    assert found.share == pytest.approx(0.75, abs=1e-6)


def test_random_changes_lie_outside_as_the_dimensions_say():
    base, left = base_matrix(out=60, inner=20)
    found = outside(WeightChange(0, "m", base, left[:, :2] @ torch.ones(2, 20)), draws=40)
    assert found.random_change == pytest.approx(1 - found.rank / 60, abs=0.05)
    ranks = span_of_top(torch.randn(60, 20, generator=torch.Generator().manual_seed(3))).shape[1]
    assert found.random_base == pytest.approx(1 - ranks / 60, abs=0.06)
    assert found.share < 0.01


def test_no_change_has_no_share():
    found = outside(WeightChange(0, "m", base_matrix()[0], torch.zeros(12, 8)))
    assert math.isnan(found.share)
    assert (found.relative, found.change_rank, found.top) == (0, 0, ())


def test_the_span_holds_the_energy_exactly():
    assert span_of_top(torch.diag(torch.tensor([3.0, 1.0]))).shape == (2, 1)
    assert span_of_top(torch.diag(torch.tensor([3.0, 1.0])), 0.91).shape == (2, 2)


def test_matrices_act_as_their_modules_do():
    for model in (gpt2(), llama()):
        for layer in model.transformer.h if hasattr(model, "transformer") else model.model.layers:
            for module in layer.mlp.modules():
                if getattr(module, "weight", None) is None:
                    continue
                matrix = oriented(module)
                a = torch.randn(3, matrix.shape[1], generator=torch.Generator().manual_seed(0))
                bias = 0 if module.bias is None else module.bias
                torch.testing.assert_close(a @ matrix.T + bias, module(a))


def test_gpt2_is_turned():
    changes = weight_changes(*shifted(gpt2))
    assert [(one.name, tuple(one.base.shape)) for one in changes[:2]] == [
        ("0.mlp.c_fc", (4 * WIDTH, WIDTH)), ("0.mlp.c_proj", (WIDTH, 4 * WIDTH)),
    ]  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_base_and_change_make_the_tuned_matrix(name):
    base, tuned = shifted(MODELS[name])
    found = weight_changes(base, tuned, attention=True)
    assert {one.layer for one in found} == set(range(LAYERS))
    modules = {key: value for key, value in tuned.named_modules() if getattr(value, "weight", None) is not None}
    for one in found:
        module = next(value for key, value in modules.items() if key.endswith(f".{one.name}"))
        weight = module.weight.T if name == "gpt2" else module.weight
        torch.testing.assert_close(one.base + one.delta, weight.detach())


def test_models_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="other names"):
        weight_changes(gpt2(), llama())
    with pytest.raises(ValueError, match="expected a matrix of"):
        weight_changes(gpt2(), gpt2(n_inner=12))
