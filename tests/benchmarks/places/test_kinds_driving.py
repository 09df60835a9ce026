"""Attacks on a segmenter stay within their ball."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks.places.camvid import DEVIATION  # noqa: E402
from benchmarks.places.kinds_driving import attacked  # noqa: E402


@pytest.mark.parametrize("steps", [1, 4])
def test_no_pixel_moves_further_than_asked_and_the_scores_change(steps):
    torch.manual_seed(0)
    module = torch.nn.Conv2d(3, 5, 3, padding=1).eval()
    inputs = np.random.default_rng(0).normal(0, 0.01, (2, 3, 8, 8)).astype(np.float32)
    moved = attacked(module, inputs, 4, steps)
    pixels = np.abs(moved - inputs) * 255 * DEVIATION[:, None, None]
    assert pixels.max() == pytest.approx(4, rel=1e-3)
    assert (pixels > 3.9).mean() > 0.5
    with torch.no_grad():
        before = module(torch.from_numpy(inputs))
        after = module(torch.from_numpy(moved))
    seen = before.argmax(1)
    assert torch.nn.functional.cross_entropy(after, seen) > torch.nn.functional.cross_entropy(before, seen)
