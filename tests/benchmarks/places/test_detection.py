from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.places import detection as ours
from benchmarks.places.camvid import Frames
from benchmarks.places.detection_tables import detection
from benchmarks.places.dirt import Piece
from outrider.monitor import Places, Status, Verdict


def judged(values: np.ndarray, level: float = 1.0, boxes: tuple = (), alarm: bool = False) -> Verdict:
    places = Places(values.astype(np.float32), level, (ours.SIZE, ours.SIZE), None, boxes)
    status = Status.ALARM if alarm else Status.OK
    return Verdict(status, 1.0, 2.0, 0.5, -1, np.zeros(1, np.float32), places=places)


def test_inputs_are_blue_first_and_of_the_size_of_the_detector():
    image = np.zeros((36, 48, 3), np.uint8)
    image[..., 0] = 255
    found = ours.inputs(image[None])
    assert found.shape == (1, 3, 352, 352)
    np.testing.assert_array_equal(found[0, :, 0, 0], [0, 0, 1])


def test_a_mask_is_averaged_over_each_place():
    mask = np.zeros((40, 80), bool)
    mask[:20, :30] = True
    np.testing.assert_allclose(ours.at_places(mask, (2, 4)), [[1, 0.5, 0, 0], [0, 0, 0, 0]])


def test_the_best_region_is_located_and_the_highest_place_may_lie_elsewhere():
    mask = np.zeros((40, 40), bool)
    mask[:20, :20] = True  # the four places of a corner
    values = np.zeros((4, 4))
    values[0, 0] = values[1, 1] = 2  # one region, by their corner: 2 of 4 places
    values[3, 3] = 5
    assert ours.located(judged(values), mask) == (0.5, False)
    values[3, 3] = 0
    assert ours.located(judged(values), mask) == (0.5, True)
    assert ours.located(judged(values, level=3.0), mask)[0] == 0


def test_boxes_are_told_apart_by_their_share_of_the_threshold():
    right = [(0.5, 0.9, 0.0), (0.7, 0.8, 0.0)]
    assert ours.summary(right, right) == {"boxes": 2, "flagged": 0, "unknown": 0}
    found = ours.summary([(0.6, 0.85, 0.0), (np.inf, 0.95, 1.0)], right)
    assert (found["flagged"], found["unknown"]) == (1, 1)
    assert found["deviation"] == pytest.approx(0.75)  # one between the two, one above both
    assert found["confidence"] == pytest.approx(0.25)
    assert found["covered"] == {"deviation": pytest.approx(0.5), "confidence": pytest.approx(0.5)}


def test_dirt_comes_in_turn_and_labels_stay():
    frames = Frames(np.zeros((3, 40, 60, 3), np.uint8), np.ones((3, 40, 60), np.uint8), ("a_1", "a_2", "a_3"))
    pieces = {
        name: Piece(Image.new("RGBA", (9, 9), (level, 0, 0, 255)), None) for name, level in (("x", 50), ("y", 90))
    }
    found, masks = ours.muddy(frames, pieces)
    assert [image.max() for image in found.images] == [50, 90, 50]
    assert [int(mask.sum()) for mask in masks] == [121, 121, 121]  # 5 % of 2,400, as a square
    assert found.labels is frames.labels


def test_the_tables_say_shares_of_frames_and_boxes():
    row = {"frames": 4, "flagged": 2, "peak": 3, "located": 1, "iou": 0.25, "covers": 0.05}
    frames = {
        "clean": {"a": {"frames": 10, "flagged": 1}},
        "animals": row,
        "dirt": [{"piece": "blot", "share": share, "blur": 0.0, **row} for share in (0.05, 0.01)],
    }
    told = {"deviation": 0.7, "confidence": 0.6}
    said = {
        "right": {"boxes": 10, "flagged": 1, "unknown": 0},
        "wrong": {"boxes": 4, "flagged": 2, "unknown": 1, "covered": {"deviation": 0.5, "confidence": 0.4}, **told},
    }
    missed = {"frames": 10, "cues": 5, "objects missed": 3, "objects missed, cued": 1}
    boxes = {"clean": {"said": said, "missed": missed}}
    found = {"columns": ["a", "b"], "val": frames, "own": frames, "boxes": boxes}
    whole, dirt, *_, boxes_told, cues, columns = detection({"given": 40, "settings": {"default": found}})
    assert whole.rows[0][:3] == ["clean, a", "10", "10.0 %"]
    assert whole.rows[1] == ["with an animal", "4", "50.0 %", "75.0 %", "25.0 %", "0.25", "5.0 %"]
    assert dirt.header[1:] == ["1 % of pixels", "5 % of pixels"]
    assert dirt.rows == [["blot", "50 / 25 / 0.25", "50 / 25 / 0.25"]]
    assert boxes_told.rows[1] == ["clean: wrong", "4", "1", "50.0 %", "70.0", "60.0", "50.0", "40.0"]
    assert cues.rows == [["clean", "0.50", "", "1 of 3", "", ""]]
    assert columns == "Columns of default: a, b."
