"""A language, and a decoder so small that a step takes milliseconds."""

from __future__ import annotations

import pytest

from outrider.networks.testbed import Language


@pytest.fixture(scope="session")
def language():
    return Language(3)


@pytest.fixture
def tiny():
    """Makes the same untrained decoder each time."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from outrider.networks.testbed import new_model

    def made(**options):
        return new_model(5, layers=1, heads=2, width=16, **options)

    return made
