"""What torchvision's detectors return."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import make_decoder

BOXES, LABELS, SCORES = np.array([[0, 0, 4, 4], [1, 1, 5, 5]], np.float32), np.array([2, 7]), np.array([0.4, 0.9])


def test_dicts_and_the_tuples_of_exports_are_detections():
    frame = {"boxes": BOXES, "labels": LABELS, "scores": SCORES, "masks": np.zeros((2, 1, 9, 9))}
    decode = make_decoder("torchvision")
    for output in ([frame, frame], (frame, frame)):
        found = decode(output)
        assert len(found) == 2
        assert found[1].classes.tolist() == [7]
        assert found[1].boxes.tolist() == [[1, 1, 5, 5]]
    exported = BOXES, LABELS, SCORES
    assert decode(exported)[0].classes.tolist() == [7]
    assert len(decode([exported, exported])) == 2
    assert len(decode(frame)) == 1


def test_another_output_is_refused():
    decode = make_decoder("torchvision")
    with pytest.raises(ValueError, match="expected a list of dicts with boxes, labels, scores, got ndarray"):
        decode(BOXES)
    with pytest.raises(ValueError, match="expected dicts with boxes, labels, scores, got boxes"):
        decode([{"boxes": BOXES}])
    with pytest.raises(ValueError, match="got ndarray"):
        decode([BOXES])
