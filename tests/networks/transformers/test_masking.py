"""Which positions a position sees, and the mean of their values, against loops."""

from __future__ import annotations

import pytest
import torch

from outrider.networks.transformers.masking import means_of_values, replaced, seen_positions


@pytest.mark.parametrize("window", [None, 1, 3, 9])
def test_causal_windows_end_where_they_should(window):
    padding = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
    seen = seen_positions(None, padding, window)
    for row in range(2):
        for i in range(6):
            expected = [j <= i and (window is None or j > i - window) and bool(padding[row, j]) for j in range(6)]
            assert seen[row, i].tolist() == expected
    assert torch.equal(seen_positions(None, padding, window, last=True), seen[:, -1:])


def test_a_layers_own_mask_comes_first_in_either_form():
    allowed = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(0)) > 0.5
    added = torch.zeros(2, 1, 5, 5).masked_fill(~allowed, torch.finfo(torch.float32).min)
    padding = torch.ones(2, 5)
    assert torch.equal(seen_positions(allowed, padding, 2), allowed[:, 0])
    assert torch.equal(seen_positions(added, padding, 2), allowed[:, 0])
    assert torch.equal(seen_positions(added, padding, 2, last=True), allowed[:, 0, -1:])


def test_padding_never_enters_a_mean():
    values = torch.arange(24, dtype=torch.bfloat16).reshape(1, 2, 4, 3)
    padding = torch.tensor([[0, 1, 1, 1]])
    means = means_of_values(values, seen_positions(None, padding, None))
    assert means.dtype == torch.float32
    assert means[0, 1, 0].tolist() == [0, 0, 0]
    assert means[0, 1, 3].tolist() == [18, 19, 20]
    assert means[0, 0, 1].tolist() == [3, 4, 5]


def test_a_replacement_ends_with_its_block_also_when_it_fails():
    layer = torch.nn.Linear(2, 2)
    x = torch.ones(1, 2)
    with replaced(layer, torch.zeros_like):
        assert torch.equal(layer(x)[0], layer.bias)
    with pytest.raises(RuntimeError, match="stop"), replaced(layer, torch.zeros_like):
        raise RuntimeError("stop")
    assert not torch.equal(layer(x)[0], layer.bias)
