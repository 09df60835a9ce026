"""Pictures of something else, in the form of the photographs."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")
pytest.importorskip("sklearn")

from outrider.runtime.demos.pictures.strangers import STRANGERS


@pytest.mark.parametrize("name", STRANGERS)
def test_strangers_have_shape_dtype_and_range(name):
    images = STRANGERS[name](4, np.random.default_rng(0))
    assert (images.shape, images.dtype) == ((4, 3, 32, 32), np.float32)
    assert 0 <= images.min() < images.max() <= 1
    np.testing.assert_array_equal(images, STRANGERS[name](4, np.random.default_rng(0)))
