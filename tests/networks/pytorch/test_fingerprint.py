"""Which modules have one fingerprint."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from outrider.networks.pytorch.fingerprint import module_fingerprint  # noqa: E402


def module(*layers):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), *layers, torch.nn.BatchNorm1d(4))


def test_it_follows_structure_weights_buffers_and_their_type():
    first = module_fingerprint(module())
    assert len(first) == 64
    assert module_fingerprint(module()) == first
    weights, buffers = module(), module()
    weights[0].weight.data[0, 0] += 1
    buffers[1].running_mean[0] = 3
    others = (module(torch.nn.ReLU()), weights, buffers, module().half())
    assert len({first, *map(module_fingerprint, others)}) == 5


class Scaled(torch.nn.Module):
    """Everything that may change an output and is no weight."""

    def __init__(self, mask=1.0, temperature=1.5, act=torch.relu, rows=(1, 2), table=3.0, eps=1e-5):
        super().__init__()
        self.register_buffer("mask", torch.full((2,), mask), persistent=False)
        self.temperature, self.act, self._rows = temperature, act, list(rows)
        self.table = {"scale": torch.full((1,), table)}
        self.norm = torch.nn.LayerNorm(2, eps=eps)

    def forward(self, x):
        return self.act(self.norm(x) * self.mask / self.temperature) * self.table["scale"] + self._rows[0]


def test_every_buffer_and_constant_counts():
    first = module_fingerprint(Scaled())
    assert module_fingerprint(Scaled()) == first
    changed = [
        {"mask": 2.0},
        {"temperature": 2.5},
        {"act": torch.tanh},
        {"rows": (2, 1)},
        {"table": 4.0},
        {"eps": 1e-6},
    ]
    assert len({first, *(module_fingerprint(Scaled(**change)) for change in changed)}) == 7


def test_a_compiled_module_is_the_same_network():
    plain = module()
    assert module_fingerprint(torch.compile(plain, backend="eager")) == module_fingerprint(plain)


def test_what_moves_does_not_count():
    still, moved = Scaled(), Scaled()
    moved.mask += 1
    place = (moved, True, "mask")
    assert module_fingerprint(moved) != module_fingerprint(still)
    assert module_fingerprint(moved, {place}) == module_fingerprint(still, {(still, True, "mask")})
