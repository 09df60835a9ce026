"""Rows of detections that a network decoded itself."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import make_decoder


def test_rows_that_fill_up_are_none():
    rows = np.array([[[0, 1, 2, 3, 0.9, 5], [0, 1, 2, 3, 0.8, 5], [0, 0, 0, 0, 0, 0], [9, 9, 9, 9, 0.9, -1]]])
    (found,) = make_decoder("rows")(rows)
    assert found.boxes.tolist() == [[0, 1, 2, 3]] * 2
    assert found.classes.tolist() == [5, 5]
    (alone,) = make_decoder("rows")(rows[0])
    assert alone.boxes.tolist() == found.boxes.tolist()
    assert len(make_decoder("rows", iou=0.9)(rows)[0].boxes) == 1
    with pytest.raises(ValueError, match="expected rows of six numbers"):
        make_decoder("rows")(rows[..., :5])
