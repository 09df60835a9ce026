"""The digest of weights, which of them are trained, and files of them."""

from __future__ import annotations

import json
import struct

import pytest
import torch
from torch import nn

from outrider.networks.transformers import import_transformers
from outrider.networks.tuning.weights import (
    load_weights,
    save_weights,
    trained_tensors,
    weights_digest,
    without_bars,
    write_tensors,
)

from ...runtime.tiny_chat import tiny_model, tiny_tokenizer


def test_a_digest_tells_names_types_shapes_and_values_apart():
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(1)}
    digest = weights_digest(tensors.items())
    assert weights_digest(reversed(tensors.items())) == digest
    assert weights_digest({**tensors, "a": tensors["a"].T.contiguous().T}.items()) == digest
    for change in (
        {"a": torch.arange(6.0).reshape(3, 2)}, {"a": torch.arange(6).reshape(2, 3)}, {"b": torch.tensor(2)},
        {"a": tensors["a"].bfloat16()}, {"c": torch.tensor(1)}, {"a": torch.nextafter(tensors["a"], torch.tensor(9.0))},
    ):  # fmt: skip
        assert weights_digest({**tensors, **change}.items()) != digest


def test_trained_are_parameters_with_a_gradient_and_lasting_buffers():
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    model[0].weight.requires_grad_(False)
    model.register_buffer("passing", torch.ones(1), persistent=False)
    lasting = {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    assert set(trained_tensors(model)) == {"0.bias", "1.weight", "1.bias"} | lasting
    trained_tensors(model)["0.bias"].fill_(7)
    assert model[0].bias.tolist() == [7, 7]


def test_a_file_is_written_whole(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": torch.arange(4.0)[::2], "y": torch.tensor(3)}, {"seconds": "1"})
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    begin, end = header["x"]["data_offsets"]
    assert struct.unpack("<2f", data[8 + length + begin : 8 + length + end]) == (0, 2)
    assert header["__metadata__"] == {"seconds": "1"}
    assert [one.name for one in tmp_path.iterdir()] == ["a.safetensors"]


class Shared(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.one = nn.Linear(2, 2)
        self.two = self.one
        nn.init.constant_(self.one.weight, value)
        nn.init.constant_(self.one.bias, -value)


@pytest.mark.parametrize("made", [lambda n: Shared(float(n)), lambda n: tiny_model(tiny_tokenizer(), seed=n)])
def test_weights_come_back_also_those_that_are_shared(tmp_path, made):
    save_weights(made(1), tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    model = made(2)
    load_weights(model, tmp_path)
    assert all(torch.equal(one, made(1).state_dict()[name]) for name, one in model.state_dict().items())


def test_adapters_come_back_onto_a_model_with_adapters(tmp_path):
    pytest.importorskip("peft")
    from outrider.networks.tuning import with_adapters

    model = with_adapters(tiny_model(tiny_tokenizer()), 2, seed=1)
    save_weights(model, tmp_path)
    other = with_adapters(tiny_model(tiny_tokenizer()), 2, seed=2)
    load_weights(other, tmp_path)
    assert all(torch.equal(one, model.state_dict()[name]) for name, one in other.state_dict().items())


@pytest.mark.parametrize("shown", [True, False])
def test_bars_are_hidden_for_a_while(shown):
    bars = import_transformers().utils.logging
    before = bars.is_progress_bar_enabled()
    try:
        (bars.enable_progress_bar if shown else bars.disable_progress_bar)()
        with without_bars():
            assert not bars.is_progress_bar_enabled()
        assert bars.is_progress_bar_enabled() is shown
    finally:
        (bars.enable_progress_bar if before else bars.disable_progress_bar)()
