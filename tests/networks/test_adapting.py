"""What a user has in hand becomes a network."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from outrider.networks import Network, Observation, Taps
from outrider.networks.adapting import as_network, is_network


class Small(Network):
    """Everything but the defaults."""

    taps, classes, input_shape, engine, fingerprint = Taps(), None, (2,), "small", "0" * 64

    def observe(self, batch):
        return Observation(batch, None, ())

    def run(self, batch):
        return batch

    def close(self):
        pass


def test_a_network_is_taken_as_it_is():
    network = Small()
    assert is_network(network)
    assert as_network(network) is network
    with pytest.raises(ValueError, match="expected a network with buffers for 3 frames"):
        network.buffered(3)
    with pytest.raises(TypeError, match="expected taps for a model, got it for a network"):
        as_network(network, taps="auto")


@pytest.mark.parametrize("thing", [None, 3, SimpleNamespace(observe=1, run=1, close=1)])
def test_anything_else_is_refused_and_told_what_is_missing(thing):
    assert not is_network(thing)
    with pytest.raises(TypeError, match=r"expected a Network, the path of an ONNX model .*, got .* without taps"):
        as_network(thing)


def test_what_forwards_to_a_network_is_one():
    class Wrapped:
        def __getattr__(self, name):
            return getattr(Small(), name)

    assert is_network(Wrapped())


def test_a_property_that_raises_is_there_all_the_same():
    class Unshaped(Small):
        shaped = False

        @property
        def taps(self):
            raise RuntimeError("no shape yet")

    assert is_network(Unshaped())


def test_a_path_is_an_onnx_model_and_a_module_one_of_torch(tmp_path):
    pytest.importorskip("onnxruntime")
    with pytest.raises(FileNotFoundError, match=r"none\.onnx"):
        as_network(tmp_path / "none.onnx")
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2)).eval()
    network = as_network(module, input_shape=(2,), taps="auto")
    batch = np.ones((4, 2), np.float32)
    np.testing.assert_array_equal(network.run(batch), module(torch.from_numpy(batch)).detach())


@pytest.mark.parametrize("taps", ["@attention", ("auto", "@attention:channel")])
def test_the_heads_of_a_module_are_looked_for_where_they_can_be_seen(taps):
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match=r"got '@attention.*; TransformerNetwork\(model\) sees the heads of models"):
        as_network(torch.nn.Sequential(torch.nn.ReLU()).eval(), input_shape=(3,), taps=taps)


def test_torch_is_not_imported_to_ask(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert as_network(Small()).engine == "small"


def test_an_adapter_from_before_the_protocol_had_all_names_works_once_more():
    class Old:
        taps, classes, input_shape, engine, fingerprint = Taps(), 3, (2,), "old", "1" * 64
        preprocessing = None

        def observe(self, batch):
            return Observation(batch + 1, None, ())

        def run(self, batch):
            return batch + 1

        def close(self):
            pass

    with pytest.warns(DeprecationWarning, match="Old should inherit from outrider.networks.Network, which has dtype"):
        network = as_network(Old())
    assert (network.dtype, network.map_classes, network.shaped, network.classes) == ("float32", None, True, 3)
    assert network.observe(np.zeros(2)).output.tolist() == [1, 1]
    with pytest.raises(ValueError, match="expected a network with buffers"):
        network.buffered(1)
