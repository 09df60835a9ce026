"""Models of transformers as networks keep the rules too: pictures, and tokens that may be padded."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.networks import TorchNetwork, TransformerNetwork, check_network
from outrider.networks.transformers import import_transformers

transformers = import_transformers()

SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}


def test_a_classifier_of_pictures():
    torch.manual_seed(0)
    config = transformers.ViTConfig(**SMALL, image_size=16, patch_size=8, num_labels=3)
    model = transformers.ViTForImageClassification(config).eval()
    check_network(TransformerNetwork(model), bare=lambda batch: model(torch.from_numpy(batch)))


def test_a_segmenter_that_reads_its_hidden_states_by_hooks():
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_labels=3, hidden_sizes=[4, 4, 4, 4], decoder_hidden_size=8, depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
    )  # fmt: skip
    model = transformers.SegformerForSemanticSegmentation(config).eval()  # its first run is the trial's: it adds hooks
    network = TorchNetwork(model, classes="pixel", input_shape=(3, 32, 32))
    batch = torch.rand(2, 3, 32, 32)
    assert torch.equal(network.observe(batch).output.logits, model(batch).logits)
    assert network.map_classes == 3


@pytest.mark.parametrize("neurons", ["channel", ("head", "channel")])
def test_a_decoder(neurons):
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        **SMALL, vocab_size=50, num_key_value_heads=1, max_position_embeddings=24, pad_token_id=0
    )
    network = TransformerNetwork(transformers.LlamaForCausalLM(config).eval(), neurons=neurons)
    prompts = [np.random.default_rng(0).integers(1, 50, size) for size in (24, 5, 11)]
    check_network(network, network.padded(prompts))
