"""Where the channels of a tensor lie, told by what runs before and behind it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from outrider.networks import NetworkWarning, TorchNetwork  # noqa: E402

from ..modules import SHAPE, built, images, seen_by_hooks  # noqa: E402


class Chain(nn.Module):
    """A tail that ends in an activation called `act`."""

    def __init__(self, tail, **parts):
        super().__init__()
        self.tail, self.act = tail, nn.ReLU()
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x):
        return self.tail(self, x)


def residual(self, x):
    x = self.enter(x)
    return self.act(functional.pad(self.conv(x), (2, 0)) + x)


CASES = {
    "residual TCN": (Chain(residual, enter=nn.Conv1d(3, 16, 1), conv=nn.Conv1d(16, 16, 3)), (3, 128), 16),
    "pool behind": (Chain(lambda s, x: functional.max_pool1d(s.act(x * 2), 2)), (5, 12), 5),
    "norm before": (Chain(lambda s, x: s.act(s.norm(x)), norm=nn.BatchNorm1d(7)), (7, 12), 7),
    "conv behind": (Chain(lambda s, x: s.conv(s.act(-x)), conv=nn.Conv1d(6, 2, 1)), (6, 9), 6),
    "dense before": (Chain(lambda s, x: s.act(s.dense(x)), dense=nn.Linear(9, 4)), (6, 9), 4),
    "dense behind": (Chain(lambda s, x: s.dense(s.act(x + 1)), dense=nn.Linear(9, 4)), (6, 9), 9),
    "transposed": (Chain(lambda s, x: s.act(s.conv(x.mT).transpose(1, 2)), conv=nn.Conv1d(9, 4, 1)), (6, 9), 4),
    "permuted": (Chain(lambda s, x: s.act(s.dense(x).permute(0, 2, 1).contiguous()), dense=nn.Linear(9, 4)), (6, 9), 4),
    "flattened": (Chain(lambda s, x: s.act(s.conv(x).flatten(2)), conv=nn.Conv2d(3, 4, 1)), SHAPE, 4),
    "tokens of a map": (Chain(lambda s, x: s.act(s.conv(x).flatten(2).mT), conv=nn.Conv2d(3, 4, 1)), SHAPE, 4),
    "joined": (Chain(lambda s, x: s.act(torch.cat([s.conv(x), x], 1)), conv=nn.Conv1d(3, 4, 1)), (3, 9), 7),
    "recurrent": (Chain(lambda s, x: s.act(s.gru(x)[0]), gru=nn.GRU(9, 4, batch_first=True)), (6, 9), 4),
    "attention": (
        Chain(lambda s, x: s.act(s.mix(x, x, x)[0]), mix=nn.MultiheadAttention(4, 2, batch_first=True)),
        (6, 4),
        4,
    ),
    "embedded": (Chain(lambda s, x: s.act(s.table(x.long())), table=nn.Embedding(3, 4)), (6,), 4),
    "product": (Chain(lambda s, x: s.act(x @ s.dense.weight), dense=nn.Linear(4, 9)), (6, 9), 4),
    "layer norm": (Chain(lambda s, x: s.act(functional.layer_norm(x, (9,)))), (6, 9), 9),
    "halves": (Chain(lambda s, x: s.act(s.conv(x).chunk(2, 1)[0]), conv=nn.Conv1d(3, 8, 1)), (3, 9), 4),
    "a mixer": (
        Chain(
            lambda s, x: s.channels(s.act(x + s.tokens(s.norm(x).mT).mT)),
            norm=nn.LayerNorm(9),
            tokens=nn.Linear(6, 6),
            channels=nn.Linear(9, 4),
        ),
        (6, 9),
        9,
    ),
    "volume": (Chain(lambda s, x: s.act(s.conv(x)), conv=nn.Conv3d(3, 4, 1)), (3, 2, 8, 8), 4),
    "pictures turned": (Chain(lambda s, x: s.act(s.conv(x).movedim(1, -1)), conv=nn.Conv2d(3, 4, 1)), SHAPE, 4),
}


@pytest.mark.parametrize(("module", "shape", "size"), CASES.values(), ids=CASES)
def test_channels(module, shape, size):
    network = TorchNetwork(built(module), shape, taps="act:channel", classes=None)
    batch = images(2, shape)
    _, seen = seen_by_hooks(
        module, np.zeros_like(batch) if "table" in dict(module.named_children()) else batch, ["act"]
    )
    value = seen["act"][0]
    axis = next(i for i in range(1, value.ndim) if value.shape[i] == size)
    expected = value.mean([i for i in range(1, value.ndim) if i != axis])
    found = network.observe(np.zeros_like(batch) if "table" in dict(module.named_children()) else batch)
    assert network.taps[0].size == size
    np.testing.assert_allclose(found.activations[0], expected, rtol=1e-5, atol=1e-6)


def test_where_nothing_tells_the_axis_the_user_is_asked():
    module = Chain(lambda s, x: s.act(x * 2)).eval()
    with pytest.raises(ValueError, match=r"'act' cannot be tapped: its channel axis cannot be told: say layouts="):
        TorchNetwork(module, (5, 12), taps="act", classes=None)
    network = TorchNetwork(module, (5, 12), taps="act", classes=None, layouts={"act": "NCL"})
    assert network.taps[0].size == 5
    assert TorchNetwork(module, (5, 12), taps="act", classes=None, layouts={"*": "NLC"}).taps[0].size == 12


def test_a_word_leaves_out_what_nothing_tells_and_says_so():
    module = Chain(lambda s, x: s.dense(s.act(x * 2).mean(1).relu()), dense=nn.Linear(12, 3)).eval()
    with pytest.warns(NetworkWarning, match="left out act: the channel axis cannot be told"):
        network = TorchNetwork(module, (5, 12), taps="auto")
    assert [tap.name for tap in network.taps] == ["relu", "output"]
