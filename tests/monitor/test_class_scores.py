"""Class scores of both kinds, and of two classes in one number, from frames to verdicts."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from outrider.coverage import Softmax
from outrider.monitor import MismatchError, Monitor, OutriderWarning, Sum, transfer
from outrider.networks import Observation
from outrider.networks.scores import class_scores
from outrider.runtime import Guard

from .conftest import CLASSES, NumpyNetwork, batches, frames

SURE = 0.9


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


class WithSoftmax(NumpyNetwork):
    """The same network with a softmax inside, whose rows sum to 0.99, as those of int8 graphs may."""

    scores = "probabilities"

    def run(self, batch):
        return np.float32(0.99) * softmax(super().run(batch))

    def observe(self, batch):
        output = self.run(batch)
        return Observation(output, output, (np.maximum(batch @ self.first, 0), output))


class OneNumber(NumpyNetwork):
    """Whether a frame is of the second of two classes: one logit, or its probability."""

    def __init__(self, scores):
        super().__init__(classes=2)
        self.scores = scores
        self.second = 2 * (self.second[:, 1:] - self.second[:, :1])

    def run(self, batch):
        logit = np.maximum(batch @ self.first, 0) @ self.second
        return logit if self.scores == "logits" else 1 / (1 + np.exp(-logit))

    def observe(self, batch):
        output = self.run(batch)
        rows = class_scores(output, self.scores)
        return Observation(output, rows, (np.maximum(batch @ self.first, 0), rows))


def watched(network, labels=True, n=2000):
    """A monitor of a network by its own confidence alone; with labels, every fifth of which is wrong."""
    monitor, data = Monitor(network, Softmax(), logic=Sum()), frames(n)
    right = network.observe(data).logits.argmax(axis=1)
    given = np.where(np.arange(n) % 5 == 0, (right + 1) % network.classes, right) if labels else None
    monitor.profile(batches(data, labels=given))
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "1 of . classes alarm far more often", OutriderWarning
        )  # it is less sure of one
        monitor.calibrate(batches(frames(n, seed=1)), 0.05)
    return monitor


def test_probabilities_go_through_no_second_softmax():
    """The frame was trusted with 0.996 and is not with 0.57."""
    network = WithSoftmax()
    monitor, data = watched(network), frames(2000)
    shares = network.run(data)
    trusted = (np.arange(2000) % 5 != 0) & (shares.max(axis=1) >= SURE)
    counts = np.bincount(shares.argmax(axis=1)[trusted], minlength=CLASSES)
    assert monitor.learned.trusted.per_class.tolist() == counts.tolist()
    _, verdicts = monitor.check(data)
    np.testing.assert_allclose(verdicts.deviation[:, 0], -np.log(shares.max(axis=1)), rtol=1e-5, atol=1e-7)
    assert monitor.columns == ("logits:unit softmax",)


@pytest.mark.parametrize("scores", ["logits", "probabilities"])
def test_one_number_tells_two_classes(scores):
    network = OneNumber(scores)
    monitor, data = watched(network), frames(2000)
    output = network.run(data)[:, 0].astype(np.float64)
    second = 1 / (1 + np.exp(-output)) if scores == "logits" else output
    predicted, sure = (second > 0.5).astype(int), np.maximum(second, 1 - second)
    trusted = (np.arange(2000) % 5 != 0) & (sure >= SURE)
    assert monitor.learned.trusted.per_class.tolist() == np.bincount(predicted[trusted], minlength=2).tolist()
    own, verdicts = monitor.check(data[:100])
    assert own.shape == (100, 1)
    np.testing.assert_array_equal(verdicts.prediction, predicted[:100])
    np.testing.assert_allclose(verdicts.deviation[:, 0], -np.log(sure[:100]), rtol=1e-4, atol=1e-6)
    threshold = monitor.calibration.thresholds[0]
    np.testing.assert_allclose(verdicts.confidence, np.exp(-verdicts.score * np.log(2) / threshold), rtol=1e-6)
    with Guard(monitor) as guard:
        for frame, expected in zip(data[:20], predicted, strict=False):
            output, verdict = guard(frame)
            assert verdict.prediction == expected
            np.testing.assert_array_equal(output, network.run(frame[None])[0])


def test_both_kinds_of_one_network_trust_and_judge_alike():
    of_logits, of_shares = (watched(OneNumber(scores)) for scores in ("logits", "probabilities"))
    assert of_logits.learned.trusted.per_class.tolist() == of_shares.learned.trusted.per_class.tolist()
    first, second = (monitor.check(frames(300, seed=2))[1] for monitor in (of_logits, of_shares))
    np.testing.assert_allclose(first.score, second.score, rtol=1e-3, atol=1e-5)


def column_in(path):
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["outrider"])["columns"][0]["criterion"]


def test_the_kind_is_written_of_probabilities_alone(tmp_path):
    for network, written in ((NumpyNetwork(), {}), (WithSoftmax(), {"scores": "probabilities"})):
        monitor = watched(network)
        monitor.save(tmp_path / "p.outrider")
        assert column_in(tmp_path / "p.outrider") == {"name": "softmax"} | written
        again = Monitor.load(tmp_path / "p.outrider", network)
        new = frames(50, seed=3)
        np.testing.assert_array_equal(again.check(new)[1].score, monitor.check(new)[1].score)


def test_a_file_that_does_not_say_the_kind_is_read_by_that_of_the_network(tmp_path):
    """Files of older versions."""
    monitor, path = watched(WithSoftmax()), tmp_path / "p.outrider"
    monitor.save(path)
    with safe_open(path, framework="numpy") as file:
        facts, tensors = json.loads(file.metadata()["outrider"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    del facts["columns"][0]["criterion"]["scores"]
    facts["network"].pop("scores", None)
    facts["format"] = 1
    save_file(tensors, path, {"outrider": json.dumps(facts)})
    with pytest.warns(OutriderWarning, match="written by an older Outrider"):
        again, new = Monitor.load(path, WithSoftmax()), frames(50, seed=3)
    np.testing.assert_array_equal(again.check(new)[1].score, monitor.check(new)[1].score)
    again.save(path)
    assert column_in(path)["scores"] == "probabilities"


def test_a_monitor_moves_to_no_network_with_scores_of_another_kind():
    monitor = watched(NumpyNetwork())
    with pytest.raises(MismatchError, match="class scores: expected logits, got probabilities"):
        transfer(monitor, WithSoftmax(), {"logits:unit": "logits:unit"})
