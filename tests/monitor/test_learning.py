from __future__ import annotations

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, SingleRange
from outrider.monitor import (
    Monitor,
    OutriderWarning,
    ProfileError,
    Sum,
)
from outrider.networks import Observation

from .conftest import CLASSES, NumpyNetwork, batches, frames


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_trusted_frames_are_those_the_network_classifies_rightly_and_surely(network):
    data = frames(1000)
    logits = network.run(data)
    labels = logits.argmax(axis=1)
    labels[::5] = (labels[::5] + 1) % CLASSES
    monitor = Monitor(network, {"hidden": SingleRange()})
    profile = monitor.profile(batches(data, labels=labels))
    right = (labels == logits.argmax(axis=1)) & (softmax(logits).max(axis=1) >= 0.9)
    assert profile.trusted.per_class.tolist() == np.bincount(labels[right], minlength=CLASSES).tolist()
    hidden = np.maximum(data @ network.first, 0)
    for c in range(CLASSES):
        np.testing.assert_array_equal(profile.signatures[0].arrays["low"][c], hidden[right & (labels == c)].min(axis=0))
    assert profile.trusted.labelled
    assert profile.trusted.frames == 1000


def test_what_is_sure_of_a_network_that_gives_probabilities_is_their_highest(network):
    """In steps of 1/64, as of eight bits, whose rows do not sum to 1; by the softmax of these none is sure."""
    data = frames(1000)
    shares = np.floor(softmax(network.run(data)) * 64).astype(np.float32) / 64

    def observe(batch):
        hidden = np.maximum(batch @ network.first, 0)
        output = np.floor(softmax(hidden @ network.second) * 64).astype(np.float32) / 64
        return Observation(output, output, (hidden, output))

    network.scores, network.observe = "probabilities", observe
    labels = shares.argmax(axis=1)
    monitor = Monitor(network, {"hidden": SingleRange()})
    accepted = monitor.profile(batches(data, labels=labels)).trusted.accepted
    assert 0 < accepted == (shares.max(axis=1) >= 0.9).sum() < 1000
    assert monitor.calibrate(batches(frames(400, 1)), 0.05).n > 0


def test_without_labels_every_frame_counts_and_the_profile_says_so(network):
    profile = Monitor(network, SingleRange()).profile(batches(frames(300)))
    assert profile.trusted.accepted == 300
    assert not profile.trusted.labelled


def test_a_class_with_too_few_trusted_frames_is_named_and_alarms(network):
    data = frames(3000)
    predicted = network.run(data).argmax(axis=1)
    few = np.flatnonzero(predicted == 1)[:3]
    data = np.concatenate([data[predicted != 1], data[few]])
    monitor = Monitor(network, {"hidden": SingleRange()}, logic=Sum())
    with pytest.warns(OutriderWarning, match=r"1 of 3 classes have fewer than 5 trusted frames \(class 1: 3\)"):
        monitor.profile(batches(data))
    with pytest.warns(OutriderWarning, match="held-out frames were left out: predicted as a class without enough"):
        calibration = monitor.calibrate(batches(frames(1000, seed=1)), 0.05, accept_rate=0.4)
    assert sum(calibration.excluded.values()) > 0
    assert abs(calibration.realised - monitor.check(frames(4000, seed=9))[1].alarm.mean()) < 0.04
    _, verdicts = monitor.check(frames(200, seed=2))
    of_class = verdicts.prediction == 1
    assert verdicts.alarm[of_class].all()
    reason = next(verdict.reason for verdict in verdicts if verdict.prediction == 1)
    assert reason == "class 1 is not covered: 3 trusted frames, fewer than 5"


def embedding(n, classes, used):
    """A network whose `classes` numbers are largest among the first `used`, and n frames."""
    network = NumpyNetwork(classes=classes)
    network.second[:, used:] = -np.abs(network.second[:, used:]) - 5
    return network, frames(n)


@pytest.mark.filterwarnings("ignore:.*fewer than 5 trusted")
@pytest.mark.parametrize("minimum", [0, 5])
def test_where_most_classes_stay_empty_they_may_be_none(minimum):
    network, data = embedding(300, 12, 3)
    empty = 12 - len(np.unique(network.run(data).argmax(axis=1)))
    expected = f"none of 300 frames as one of {empty} of its 12 classes; if its output is an embedding, .*classes=None"
    with pytest.warns(OutriderWarning, match=expected):
        Monitor(network, SingleRange()).profile(batches(data), minimum_per_class=minimum)


@pytest.mark.filterwarnings("ignore:.*fewer than 5 trusted")
@pytest.mark.parametrize(("classes", "used", "labelled"), [(12, 12, False), (9, 2, False), (12, 3, True)])
def test_where_classes_are_full_few_or_labelled_nothing_is_said_of_embeddings(classes, used, labelled, recwarn):
    network, data = embedding(3000, classes, used)
    labels = network.run(data).argmax(axis=1) if labelled else None
    Monitor(network, SingleRange()).profile(batches(data, labels=labels))
    assert not [warning for warning in recwarn if "embedding" in str(warning.message)]


def test_few_trusted_frames_point_at_the_preprocessing(network):
    data = frames(600)
    labels = network.run(data).argmax(axis=1)
    labels[:500] = (labels[:500] + 1) % CLASSES
    expected = r"only \d+ of 600 frames are trusted: right with softmax >= 0.9; .* look at the preprocessing"
    with pytest.warns(OutriderWarning, match=expected):
        Monitor(network, SingleRange()).profile(batches(data, labels=labels), minimum_per_class=1)


def test_no_trusted_frame_at_all_is_an_error(network):
    data = frames(50)
    wrong = (network.run(data).argmax(axis=1) + 1) % CLASSES
    rule = "expected trusted frames, got none: 0 of 50 were right with softmax >= 0[.]9"
    with pytest.raises(ProfileError, match=rule):
        Monitor(network, SingleRange()).profile(batches(data, labels=wrong))


def test_broken_frames_are_left_out_of_the_profile_and_counted(network):
    data = frames(200)
    broken = data.copy()
    broken[[3, 77]] = np.nan
    monitor = Monitor(network, SingleRange())
    with pytest.warns(OutriderWarning, match="2 of 200 frames hold or cause NaN or Inf and were left out"):
        profile = monitor.profile(batches(broken))
    clean = Monitor(network, SingleRange()).profile(batches(np.delete(data, [3, 77], axis=0)))
    np.testing.assert_array_equal(profile.signatures[0].arrays["high"], clean.signatures[0].arrays["high"])


@pytest.mark.parametrize("first", [True, False])
def test_batches_with_and_without_labels_do_not_mix(network, first):
    data = frames(100)
    labelled = data, network.run(data).argmax(axis=1)
    mixed = [labelled, data] if first else [data, labelled]
    words = "with labels like the first 100 frames, got one without"
    words = words if first else "without labels like the first 100 frames, got one with"
    with pytest.raises(ProfileError, match=f"expected batches {words}"):
        Monitor(network, SingleRange()).profile(mixed)


def test_labels_in_another_order_are_named_with_the_names(network):
    data = frames(600)
    seen = network.run(data).argmax(axis=1)
    names = ["stop", "go", "yield"]
    monitor = Monitor(network, SingleRange())
    with pytest.raises(ProfileError) as refused:  # class c is labelled c + 1
        monitor.profile(batches(data, labels=(seen + 1) % 3), class_names=names)
    said = str(refused.value)
    assert "the names of the classes became these numbers: stop: 0, go: 1, yield: 2; --classes-order or" in said
    assert "in another order 100% of the frames would be right: class 0 (stop) is seen as class 2, class 1 (go)" in said
    assert said.endswith("; that is --classes-order go,yield,stop")
    mixed = np.where(np.arange(600) % 5 == 0, seen, (seen + 1) % 3)
    with pytest.warns(OutriderWarning, match=r"are trusted: .*in another order 80% of the frames would be"):
        monitor.profile(batches(data, labels=mixed), trusted_confidence=0.0)
    rng = np.random.default_rng(1)
    monitor = Monitor(network, SingleRange())
    with pytest.warns(OutriderWarning, match="order of the classes$"):
        monitor.profile(batches(data, labels=rng.integers(0, 3, 600)))


def test_names_of_classes_are_kept_and_shown(network, tmp_path):
    data = frames(600)
    seen = network.run(data).argmax(axis=1)
    monitor = Monitor(network, SingleRange())
    with pytest.warns(OutriderWarning, match=r"trusted frames \(class 1 \(go\): 0\)"):
        monitor.profile(batches(data[seen != 1]), class_names=["stop", "go", ""])
    monitor.save(tmp_path / "m.outrider")
    profile = Monitor.load(tmp_path / "m.outrider", network).learned
    assert profile.why_infinite(1, 1, np.zeros(1, np.float32)) == (
        "class 1 (go) is not covered: 0 trusted frames, fewer than 5"
    )
    assert [profile.class_name(c) for c in range(3)] == ["class 0 (stop)", "class 1 (go)", "class 2"]
    with pytest.raises(ValueError, match="expected a name for each of 3 classes, got 2"):
        monitor.profile(batches(data), class_names=["stop", "go"])
    with pytest.raises(TypeError, match="expected the names of classes as a list of texts, got 'abc'"):
        monitor.profile(batches(data), class_names="abc")


def test_what_no_file_may_hold_is_told_when_it_is_learned(tmp_path):
    """Values spread as those of a sigmoid fill all sections of a bitmap; its file is refused, maybe days later."""
    network = NumpyNetwork(classes=None)
    network.first[:] = 1 / 6  # each neuron is the mean of its frame
    means = np.linspace(0, 0.99, 300, dtype=np.float32)[:, None]
    monitor = Monitor(network, {"hidden": CoverageBitmap()})
    with pytest.warns(OutriderWarning, match=r"hidden:unit bitmap: class 0: expected sections .* will not load: leave"):
        monitor.profile(batches(means * np.ones((1, 6), np.float32)))
    monitor.save(tmp_path / "m.outrider")
    with pytest.raises(ProfileError, match="class 0: expected sections that were not reached"):
        Monitor.load(tmp_path / "m.outrider", network)
