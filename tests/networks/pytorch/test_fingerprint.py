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
