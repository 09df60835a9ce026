"""Decoders by name, and what a profile says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from outrider.networks import ArrayDecoder, as_decoder, make_decoder
from outrider.networks.detections.decoder import Candidates, decoder_facts, decoder_of_facts, in_words, parse_decoder
from outrider.networks.detections.rows import DecodedRows
from outrider.networks.detections.yolo import Yolo


@dataclass(frozen=True)
class Strip(ArrayDecoder):
    """(n, k): how sure it is of an object in each of k columns of a picture."""

    name: ClassVar[str] = "strip"

    def _candidates(self, values):
        edges = np.arange(values.shape[1])
        for frame in values:
            boxes = np.stack([edges, 0 * edges, edges + 1, 0 * edges + 1], axis=1)
            yield Candidates(boxes, frame, 0 * edges)


def test_decoders_have_names_and_settings():
    assert make_decoder("yolo", score=1e-3, iou=1) == Yolo(score=1e-3, iou=1.0)
    assert parse_decoder("rows") == DecodedRows()
    assert as_decoder("yolo(version=v5, most=7)") == Yolo(version="v5", most=7)
    assert as_decoder(len) is len
    assert as_decoder(None) is None
    assert as_decoder("strip") == Strip()  # of a third party


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("yolov8", "expected a decoder of detections among .*did you mean 'yolo'"),
        ("yolo(3)", "such as 'yolo"),
        ("yolo(scores=1)", "expected settings of yolo among score, iou"),
        ("yolo(most=1.5)", "expected most of yolo to be int, got 1.5"),
        ("yolo(score=1)", "expected score of yolo from 0 to below 1, got 1.0"),
        ("yolo(iou=0)", "expected iou of yolo above 0"),
        ("yolo(most=0)", "expected most of yolo of at least 1"),
        ("yolo(output=-1)", "expected output of yolo of at least 0"),
        ("yolo(version=v7)", "expected version of yolo auto, v5, v8, got 'v7'"),
        ("yolo(classes=-1)", "expected classes of yolo of at least 0"),
        ("fastestdet(stride=0)", "expected stride of fastestdet of at least 1"),
    ],
)
def test_what_is_no_decoder_is_refused(told, said):
    with pytest.raises(ValueError, match=said):
        as_decoder(told)


def test_a_number_is_no_decoder():
    with pytest.raises(TypeError, match="expected the name of a decoder"):
        as_decoder(3)


def test_facts_hold_a_decoder_by_its_name_and_a_callable_by_its_own():
    facts = json.loads(json.dumps(decoder_facts(Yolo(score=0.5, iou=1.0))))
    assert decoder_of_facts(facts) == Yolo(score=0.5, iou=1.0)
    assert in_words(facts) == "yolo(score=0.5, iou=1, most=100, output=0, version=auto, classes=0)"

    class Own:
        def __call__(self, output):
            return []

    of_object, of_function = decoder_facts(Own()), decoder_facts(test_a_number_is_no_decoder)
    assert of_object["callable"].endswith("Own")
    assert of_function == {"callable": f"{__name__}.test_a_number_is_no_decoder"}
    assert decoder_of_facts(of_function) is None
    assert in_words(of_function) == of_function["callable"]
    assert decoder_facts(None) is None
    assert in_words(None) == "none"


def test_scores_suppression_and_the_most_choose_what_stays():
    values = np.array([[0.5, 0.9, np.nan, 0.7], [0.1, 0.2, 0.3, 0.4]], np.float32)
    first, second = Strip(score=0.5)(values)
    assert first.boxes[:, 0].tolist() == [1, 3]  # not the one at the threshold, nor what is no number
    assert first.scores.tolist() == [np.float32(0.9), np.float32(0.7)]
    assert not len(second.boxes)
    assert Strip(score=0.5, most=1)(values)[0].boxes[:, 0].tolist() == [1]
    assert [len(one.boxes) for one in Strip(score=0.0)([values[:1], values[1:]])] == [3, 4]
    assert len(Strip(score=0.0, output=1)((None, values))) == 2


def test_only_the_surest_of_many_boxes_are_compared():
    scores = np.linspace(0.1, 0.9, 5_000, dtype=np.float32)
    found = Strip(score=0.0, most=4_000)(scores[None])[0]
    assert len(found.boxes) == 3_000
    assert found.boxes[0, 0] == 4_999
