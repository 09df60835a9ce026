"""The reference networks: their shapes, and the weights that are shipped or named."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from outrider.networks import LeNet, torchvision_classifier, trained, trained_names, untrained  # noqa: E402
from outrider.networks.zoo import classifiers  # noqa: E402

GREY, COLOURED = (1, 28, 28), (3, 32, 32)
SHAPES = {name: GREY if "fashion" in name else COLOURED for name in trained_names()}


@pytest.mark.parametrize(("name", "shape"), SHAPES.items())
def test_a_trained_network_has_the_weights_of_its_file(name, shape):
    module = trained(name)
    state = module.state_dict()
    shipped = load_file(classifiers.WEIGHTS / f"{name}.safetensors")
    assert state.keys() == shipped.keys()
    assert all(torch.equal(state[key], shipped[key].to(state[key].dtype)) for key in shipped)
    assert not module.training
    with torch.inference_mode():
        assert module(torch.zeros(2, *shape)).shape == (2, 10)


def test_pictures_of_another_size_have_another_dense_layer():
    with torch.inference_mode():
        assert LeNet(channels=3, size=17, classes=4).eval()(torch.zeros(2, 3, 17, 17)).shape == (2, 4)


def test_networks_that_are_not_there_are_refused(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match=f"expected a network among {', '.join(trained_names())}, got 'alexnet'"):
        untrained("alexnet")
    monkeypatch.setattr(classifiers, "WEIGHTS", tmp_path)
    command = r"make them with `python -m outrider\.networks\.zoo\.train resnet-cifar10`"
    with pytest.raises(FileNotFoundError, match=command):
        trained("resnet-cifar10")


def test_a_torchvision_classifier_takes_weights_from_a_file(tmp_path):
    if find_spec("torchvision") is None:  # importing it bare may fail beside a PyTorch of another build
        pytest.skip("torchvision is not installed")
    source = torchvision_classifier("squeezenet1_1", num_classes=3)
    save_file(source.state_dict(), tmp_path / "weights.safetensors")
    loaded = torchvision_classifier("squeezenet1_1", str(tmp_path / "weights.safetensors"), num_classes=3)
    assert not loaded.training
    picture = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded(picture), source(picture))
    with pytest.raises(ValueError, match="expected a torchvision classifier such as 'resnet18', got 'lenet'"):
        torchvision_classifier("lenet")
