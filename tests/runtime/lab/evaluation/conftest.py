"""The tiny decoder of these tests, made once."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from .laboratory import make_decoder


@pytest.fixture(scope="session")
def decoder():
    return make_decoder()
