"""The ROC curve against counting, and pictures that are their images."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from outrider.runtime.demos.pictures.charts import picture, roc


def test_roc_passes_through_what_counting_gives():
    covered, others = np.array([1.0, 2.0, 3.0, np.inf]), np.array([2.5, 5.0])
    assert roc(covered, others) == [(0, 0), (0.25, 0), (0.25, 0.5), (0.5, 0.5), (0.5, 1), (0.75, 1), (1, 1)]


def test_picture_is_the_image():
    image_module = pytest.importorskip("PIL.Image")
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 4))
    data = base64.b64decode(picture((image / 255).astype(np.float32)).split(",")[1])
    np.testing.assert_array_equal(np.asarray(image_module.open(io.BytesIO(data))).transpose(2, 0, 1), image)
