"""FastestDet's output, decoded place by place as its own program does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from outrider.networks import make_decoder


def test_boxes_scores_and_classes_of_each_place():
    rng = np.random.default_rng(4)
    output = rng.normal(size=(2, 5 + 3, 4, 6)).astype(np.float32)
    output[:, 0] = 1 / (1 + np.exp(-output[:, 0]))
    output[:, 5:] = np.exp(output[:, 5:]) / np.exp(output[:, 5:]).sum(1, keepdims=True)
    expected = []
    for row in range(4):
        for column in range(6):
            objectness, dx, dy, dw, dh, *scores = map(float, output[1, :, row, column])
            x, y = (math.tanh(dx) + column) / 6, (math.tanh(dy) + row) / 4
            w, h = 1 / (1 + math.exp(-dw)), 1 / (1 + math.exp(-dh))
            box = [(x - w / 2) * 48, (y - h / 2) * 32, (x + w / 2) * 48, (y + h / 2) * 32]
            expected.append((objectness**0.6 * max(scores) ** 0.4, scores.index(max(scores)), box))
    expected = sorted((one for one in expected if one[0] > 0.3), key=lambda one: -one[0])
    found = make_decoder("fastestdet", score=0.3, iou=1.0, stride=8)(output)[1]
    assert found.classes.tolist() == [one[1] for one in expected]
    np.testing.assert_allclose(found.scores, [one[0] for one in expected], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [one[2] for one in expected], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 85, 22), (1, 5, 2, 2)])
def test_another_output_is_refused(shape):
    with pytest.raises(ValueError, match="expected an output of FastestDet"):
        make_decoder("fastestdet")(np.zeros(shape, np.float32))
