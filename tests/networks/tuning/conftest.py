"""A network of one layer and points to learn, small enough that a run takes some milliseconds."""

from __future__ import annotations

import gc

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

import torch
from torch import nn

from outrider.networks.transformers import import_transformers
from outrider.networks.tuning import Schedule

import_transformers()  # before peft


class Line(nn.Module):
    """Two linear layers with dropout between them, so that random numbers matter."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.inner, self.outer, self.dropout = nn.Linear(3, 8), nn.Linear(8, 1), nn.Dropout(0.2)

    def forward(self, x):
        return self.outer(self.dropout(torch.tanh(self.inner(x))))[:, 0]


@pytest.fixture(scope="package", autouse=True)
def _quick_collections():
    """Each run of transformers' Trainer collects garbage: a third of a second with all its modules among it."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def line():
    """Makes the same untrained network each time."""
    return Line


@pytest.fixture
def points():
    """Forty points with the sum of their coordinates."""
    x = torch.randn(40, 3, generator=torch.Generator().manual_seed(5))
    return [{"x": row, "y": row.sum()} for row in x]


@pytest.fixture
def schedule():
    return Schedule(steps=24, batch=6, rate=3e-2, save_every=5)
