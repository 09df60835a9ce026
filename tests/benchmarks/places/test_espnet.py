"""ESPNet as the paper draws it, and its weights."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from benchmarks.places.espnet import WEIGHTS, ESPNet, Pyramid, trained_espnet


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return ESPNet().eval()


def test_maps_have_the_published_sizes(network):
    images = torch.rand(2, 3, 48, 64)
    with torch.no_grad():
        maps = network.encoder(images)
        scores = network(images)
    assert [tuple(found.shape) for found in maps] == [(2, 19, 24, 32), (2, 131, 12, 16), (2, 256, 6, 8)]
    assert scores.shape == (2, 12, 48, 64)
    # The numbers in the published file, running means and variances of the normalisations included.
    parts = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert sum(value.numel() for value in parts.values()) == 358193


def test_a_pyramid_sums_its_dilations_step_by_step():
    torch.manual_seed(1)
    block, x = Pyramid(16, 12).eval(), torch.rand(1, 16, 40, 40)
    with torch.no_grad():
        reduced = block.c1(x)
        parts = [getattr(block, f"d{d}")(reduced) for d in (1, 2, 4, 8, 16)]
        sums = [parts[0], parts[1], sum(parts[1:3]), sum(parts[1:4]), sum(parts[1:5])]
        torch.testing.assert_close(block(x), block.bn(torch.cat(sums, 1)))
    assert [part.shape[1] for part in parts] == [4, 2, 2, 2, 2]


def test_weights_are_read_and_others_refused(network, tmp_path):
    with pytest.raises(FileNotFoundError, match=WEIGHTS):
        trained_espnet(tmp_path)
    parts = {k: v + 0.5 for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(parts, tmp_path / WEIGHTS)
    read = trained_espnet(tmp_path)
    assert not read.training
    assert all(torch.equal(read.state_dict()[name], value) for name, value in parts.items())
    parts.pop("br.weight")
    save_file(parts, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=r"br\.weight"):
        trained_espnet(tmp_path)
