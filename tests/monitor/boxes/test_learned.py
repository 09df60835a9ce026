"""What is remembered of trusted detections."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, SingleRange
from outrider.monitor import Monitor, ProfileError
from outrider.monitor.boxes.learned import BoxLearner, fresh_boxes, grown
from outrider.monitor.boxes.under import Under
from outrider.monitor.facts.network import NetworkFacts
from outrider.networks import Detections

from ...detectors import NumpyDetector, scene, scenes

EXTENT = (32, 32)


def by_hand(frames, kept=lambda frame, found: np.ones(len(found.scores), bool)):
    """(means under the boxes kept, their classes), box by box."""
    network = NumpyDetector()
    values, classes = [], []
    for i, frame in enumerate(frames):
        seen = network.observe(frame[None])
        (found,) = network.detections(seen.output)
        means = Under(network.taps[0], EXTENT).means(seen.activations[0], found.boxes)
        chosen = np.array(kept(i, found), bool)
        values += list(means[chosen])
        classes += list(found.classes[chosen])
    return np.stack(values), np.array(classes)


def same(signature, expected, rtol=1e-5):
    np.testing.assert_array_equal(signature.counts, expected.counts)
    for name, array in expected.arrays.items():
        np.testing.assert_allclose(signature.arrays[name], array, rtol=rtol, atol=1e-6)


def test_the_signature_is_that_of_the_means_under_all_detections():
    frames = scenes(40)
    boxes = Monitor(NumpyDetector(), "single_range").profile(frames).boxes
    values, classes = by_hand(frames)
    expected = Mahalanobis().empty(6, 2)
    Mahalanobis().observe(expected, values, classes)
    assert [column.criterion for column in boxes.columns] == [Mahalanobis()]
    assert boxes.per_class.tolist() == np.bincount(classes).tolist()
    same(boxes.signatures[0], expected)
    assert (boxes.frames, boxes.left_out, boxes.matched) == (40, 0, False)


def test_true_boxes_say_which_detections_are_trusted():
    frames = np.stack([scene((1, 1, 0, 0.3), (5, 4, 1, 0.3), seed=i) for i in range(6)])
    where, beside = [4, 4, 12, 12], [20, 16, 28, 24]
    truth = [
        ([where, beside], [0, 1]), ([where, beside], [0, 0]), ([where], [0]), ([], []),
        {"boxes": [where, beside], "labels": [1, 1]}, {"boxes": [[4, 4, 12, 8.1], [0, 0, 9, 9]], "labels": [0, 1]},
    ]  # fmt: skip
    monitor = Monitor(NumpyDetector(), "single_range", boxes="single_range")
    with pytest.warns(UserWarning, match=r"2 of 2 classes of detections have fewer than 5 trusted ones \(class 0: 4"):
        boxes = monitor.profile([(frames[:4], truth[:4]), (frames[4:], truth[4:])]).boxes
    assert boxes.per_class.tolist() == [4, 2]
    assert (boxes.frames, boxes.left_out, boxes.matched) == (5, 6, True)
    trusted = {(0, 0), (0, 1), (1, 0), (2, 0), (4, 1), (5, 0)}
    values, classes = by_hand(frames, lambda i, found: [(i, c) in trusted for c in found.classes.tolist()])
    expected = SingleRange().empty(6, 2)
    SingleRange().observe(expected, values, classes)
    same(boxes.signatures[0], expected)
    with pytest.raises(ProfileError, match="expected batches with true boxes like the first, got one without"):
        monitor.extend(frames)


def test_true_boxes_want_a_detector_with_places():
    plain = NumpyDetector(detections=None)
    with pytest.raises(ValueError, match="expected no true boxes as labels, got some; open the network"):
        Monitor(plain, "single_range").profile([(scenes(2), [([], []), ([], [])])])


def test_more_learned_later_is_as_if_all_was_learned_at_once():
    frames = np.concatenate([scenes(30, classes=1), scenes(30, seed=2)])
    whole = Monitor(NumpyDetector(), "single_range")
    whole.profile(frames)
    parts = Monitor(NumpyDetector(), "single_range")
    first = parts.profile(frames[:30]).boxes
    assert first.per_class.tolist() == [60]
    parts.extend(frames[30:])
    assert first.per_class.tolist() == [60]  # the one before stays as it was
    same(parts.learned.boxes.signatures[0], whole.learned.boxes.signatures[0])


def test_boxes_without_features_are_left_out():
    network = NumpyDetector()
    facts = NetworkFacts.of(network, network.taps)
    boxes = fresh_boxes(facts, [0])
    places = np.ones((2 * 64, 6), np.float32)
    places[64:] = np.nan
    inside, outside = [0, 0, 4, 4], [-8, 0, -4, 4]
    found = [Detections.of([inside, outside, inside], [1, 1, 1], [0, 0, 3]), Detections.of([inside], [1], [0])]
    BoxLearner(facts, boxes, [0]).learn(found, None, np.array([True, True]), [places])
    assert (boxes.per_class.tolist(), boxes.frames, boxes.left_out) == ([1, 0, 0, 1], 1, 2)
    BoxLearner(facts, boxes, [0]).learn(found, None, np.array([False, False]), [places])
    assert (boxes.per_class.tolist(), boxes.frames, boxes.left_out) == ([1, 0, 0, 1], 1, 6)
    with pytest.raises(ProfileError, match="expected classes of detections below 100,000, got 100,000"):
        BoxLearner(facts, boxes, [0]).learn(
            [Detections.of([inside], [1], [100_000])], None, np.array([True]), [places[:64]]
        )


def test_only_detectors_with_places_in_a_known_picture_learn_boxes():
    network = NumpyDetector()
    facts = NetworkFacts.of(network, network.taps)
    assert fresh_boxes(facts, [0]).columns[0].tap == 0
    assert fresh_boxes(facts, []) is None
    plain, open_size = NumpyDetector(detections=None), NumpyDetector()
    open_size.input_shape = (3, None, 32)
    for other in (plain, open_size):
        assert fresh_boxes(NetworkFacts.of(other, other.taps), [0]) is None


@pytest.mark.parametrize("criterion", [Mahalanobis(), SingleRange()])
def test_a_signature_grows_to_more_classes(criterion):
    values, classes = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32), np.arange(20) % 2
    small, large = criterion.empty(6, 2), criterion.empty(6, 5)
    criterion.observe(small, values[:10], classes[:10])
    small = grown(criterion, small, 5)
    criterion.observe(small, values[10:], classes[10:] + 3)
    criterion.observe(large, values[:10], classes[:10])
    criterion.observe(large, values[10:], classes[10:] + 3)
    same(small, large, rtol=0)
