"""Pictures."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise.npy"
    np.save(path, np.random.default_rng(0).integers(0, 256, (20, 8, 8), np.uint8))
    return path
