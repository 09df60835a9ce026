"""A tiny chat model."""

from __future__ import annotations

import pytest


@pytest.fixture
def decoder():
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from ....runtime.tiny_chat import tiny_decoder

    return tiny_decoder(num_hidden_layers=3, max_position_embeddings=128)
