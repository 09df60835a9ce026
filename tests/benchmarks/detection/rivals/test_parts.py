from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from benchmarks.detection.photographs import Enlarged
from benchmarks.detection.rivals.parts import parts
from outrider.networks import LeNet, SmallResNet, torchvision_classifier


def networks() -> dict[str, tuple[torch.nn.Module, tuple[int, ...]]]:
    torch.manual_seed(0)
    return {
        "lenet": (LeNet(), (1, 28, 28)),
        "resnet": (SmallResNet(classes=33), (3, 32, 32)),
        "mobilenet": (Enlarged(torchvision_classifier("mobilenet_v2")), (3, 32, 32)),
    }


@pytest.mark.parametrize("name", networks())
def test_parts_in_a_row_are_the_network(name):
    module, shape = networks()[name]
    module.eval()
    x = torch.rand(3, *shape)
    p = parts(module)
    with torch.no_grad():
        expected = module(x)
        torch.testing.assert_close(p.whole(x), expected)
        torch.testing.assert_close(p.head(p.backbone(x)), expected)
        torch.testing.assert_close(p.last(p.encoder(x)), expected)
        assert p.backbone(x).ndim == 4
        *means, features = p.pooled(x)
        torch.testing.assert_close(means[-1], p.backbone(x).mean((2, 3)))
        assert features.shape == (3, p.last.in_features)
        assert len(p.layers) == len(p.stages) + 1 == len(means) + 1
    assert {id(value) for value in p.whole.parameters()} == {id(value) for value in module.parameters()}


def test_another_module_is_refused():
    with pytest.raises(TypeError, match="got Linear"):
        parts(torch.nn.Linear(2, 2))
