"""The tiny decoder of these tests, made once, and a guard that flags a word."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ..tiny_chat import WordGuard, tiny_decoder


@pytest.fixture(scope="session")
def decoder():
    return tiny_decoder()


@pytest.fixture
def guard(decoder):
    return WordGuard(decoder)
