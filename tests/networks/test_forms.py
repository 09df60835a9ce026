"""Activations told by their values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.networks.forms import form_of
from outrider.networks.selectors import ACTIVATIONS, GATES

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional

KNOWN = [
    ("relu", nn.ReLU()), ("relu", nn.Threshold(0, 0)), ("relu6", nn.ReLU6()), ("relu6", nn.Hardtanh(0, 6)),
    ("hardtanh", nn.Hardtanh()), ("clip", nn.Hardtanh(-0.5, 2)), ("threshold", nn.Threshold(0.1, -3)),
    ("gelu", nn.GELU()), ("gelu", nn.GELU("tanh")), ("silu", nn.SiLU()), ("mish", nn.Mish()),
    ("softplus", nn.Softplus()), ("softplus", nn.Softplus(beta=2.5)), ("hardswish", nn.Hardswish()),
    ("hardsigmoid", nn.Hardsigmoid()), ("sigmoid", nn.Sigmoid()), ("logsigmoid", nn.LogSigmoid()),
    ("tanh", nn.Tanh()), ("softsign", nn.Softsign()), ("leakyrelu", nn.LeakyReLU()), ("leakyrelu", nn.LeakyReLU(0.3)),
    ("leakyrelu", nn.PReLU()), ("leakyrelu", nn.RReLU().eval()), ("elu", nn.ELU()), ("elu", nn.ELU(0.4)),
    ("selu", nn.SELU()), ("elu", nn.CELU()), ("celu", nn.CELU(0.5)), ("celu", nn.CELU(3.0)),
    ("quickgelu", lambda x: x * torch.sigmoid(1.702 * x)),
    ("hardswish", lambda x: x * F.relu6(x + 3) / 6), ("hardsigmoid", lambda x: (0.4 * x + 0.3).clamp(0, 1)),
    ("hardswish", lambda x: x * (0.4 * x + 0.3).clamp(0, 1)), ("clip", lambda x: x.clamp(min=-1)),
]  # fmt: skip
NONE = {
    "identity": lambda x: x,
    "scale": lambda x: 3 * x,
    "affine": lambda x: 1 - 2 * x,
    "constant": torch.zeros_like,
    "square": lambda x: x * x,
    "absolute": torch.abs,
    "sine": torch.sin,
    "exponential": torch.exp,
    "steeper relu": lambda x: 1.01 * F.relu(x),
    "two slopes": lambda x: torch.where(x > 0, 1.05 * x, 0.1 * x),
    "relu of a shift": lambda x: F.relu(x + 0.1),
    "relu with an offset": lambda x: F.relu(x) + 0.01,
    "small positive floor": lambda x: x.clamp(min=1e-12),
    "upper limit alone": lambda x: x.clamp(max=1),
    "half tanh": lambda x: torch.tanh(x) / 2,
    "sigmoid the wrong way round": lambda x: torch.sigmoid(-x),
    "gate of another": lambda x: torch.flip(x, (0,)) * torch.sigmoid(x),
    "softshrink": nn.Softshrink(),
    "hardshrink": nn.Hardshrink(),
    "tanhshrink": nn.Tanhshrink(),
    "softmax": nn.Softmax(0),
    "slopes of each channel": lambda x: torch.where(x > 0, x, x * torch.linspace(0.1, 0.5, x.numel()).reshape(x.shape)),
}


def points(seed, count=3000, spread=4.0, offset=0.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(offset, spread, count).astype(np.float32))


@pytest.mark.parametrize(("kind", "function"), KNOWN)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), spread=st.floats(3.5, 12), count=st.integers(1000, 5000), offset=st.floats(-1, 1))
def test_activations_are_told_by_their_values(kind, function, seed, spread, count, offset):
    x = points(seed, count, spread, offset)
    with torch.no_grad():
        assert form_of(x.numpy(), function(x).numpy()) == kind
    assert kind in ACTIVATIONS | GATES


@pytest.mark.parametrize("name", NONE)
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), spread=st.floats(0.5, 12))
def test_what_is_no_activation_has_no_form(name, seed, spread):
    x = points(seed, 1000, spread)
    assert form_of(x.numpy(), NONE[name](x).numpy()) == ""


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(
    ("kind", "function"), [row for row in KNOWN if isinstance(row[1], nn.Module) and not isinstance(row[1], nn.PReLU)]
)
def test_half_precision_blurs_values_but_not_their_form(kind, function, dtype):
    x = points(0).to(dtype)
    y = function(x)
    if dtype is torch.bfloat16:
        assert form_of(x.float().numpy(), y.float().numpy(), tolerance=1.6e-2) == kind
    else:
        assert form_of(x.numpy(), y.numpy()) == kind


@pytest.mark.parametrize("kind", ["gelu", "silu", "mish", "elu", "relu", "selu", "tanh", "softplus", "leaky_relu"])
def test_values_around_zero_are_enough(kind):
    x = points(1, spread=0.05)
    assert form_of(x.numpy(), getattr(F, kind)(x).numpy()) == kind.replace("_", "")


def test_a_form_seen_in_part_has_the_simplest_name():
    x = points(0, spread=1).clamp(-2, 2)
    assert form_of(x.numpy(), F.relu6(x).numpy()) == "relu"
    assert form_of(x.numpy(), F.hardswish(x).numpy()) == "hardswish"
    assert form_of(x.numpy(), F.hardsigmoid(x).numpy()) == ""  # a straight line up to 3


def test_points_that_do_not_tell_have_no_form():
    x = points(0).numpy()
    assert form_of(np.abs(x), np.maximum(np.abs(x), 0)) == ""
    assert form_of(-np.abs(x), np.maximum(-np.abs(x), 0)) == ""
    assert form_of(x[:15], np.maximum(x[:15], 0)) == ""
    assert form_of(np.tile(x[:10], 50), np.maximum(np.tile(x[:10], 50), 0)) == ""
    assert form_of(x, x[:-1]) == ""
    assert form_of(x[:0], x[:0]) == ""
    assert form_of(1e-3 * x, torch.sigmoid(torch.from_numpy(1e-3 * x)).numpy()) == ""  # straight within float32


def test_values_out_of_range_are_left_out():
    x = points(0).numpy()
    x[:3] = np.nan, np.inf, -np.inf
    with np.errstate(over="ignore"):
        assert form_of(100 * x, np.log1p(np.exp(100 * x))) == "softplus"


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_codes_of_one_scale_have_a_form(dtype):
    x = np.random.default_rng(0).integers(-100, 100, 4000).astype(dtype)
    assert form_of(x, np.maximum(x, 0)) == "relu"
    assert form_of(x, np.clip(x, 0, 6)) == "relu6"


def test_many_points_of_any_shape_are_thinned_out_with_their_limits():
    x = np.random.default_rng(0).uniform(-5, 5, (10, 8, 40, 40))
    x[3, 3, 3, 3] = 50.0
    assert form_of(x, np.clip(x, -1, 20)) == "clip"
