from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, Mahalanobis, MultiRange, SingleRange, Softmax
from outrider.monitor import (
    Monitor,
    Status,
)
from outrider.networks import Tap, Taps

from .conftest import HIDDEN, NumpyNetwork, batches, frames


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_deviation_score_and_threshold_fit_together(monitor, network):
    new = np.concatenate([frames(100, seed=4), frames(50, seed=5, far=3)])
    _, verdicts = monitor.check(new)
    hidden, logits = np.maximum(new @ network.first, 0), network.run(new)
    trusted = np.maximum(frames(2000) @ network.first, 0)
    classes = network.run(frames(2000)).argmax(axis=1)
    for i in range(len(new)):
        own = trusted[classes == logits[i].argmax()]
        outside = ~((own.min(axis=0) <= hidden[i]) & (hidden[i] <= own.max(axis=0)))
        assert verdicts.deviation[i, 0] == outside.sum()
    np.testing.assert_allclose(verdicts.deviation[:, 2], -np.log(softmax(logits).max(axis=1)), atol=1e-4)
    np.testing.assert_array_equal(verdicts.alarm, verdicts.score > verdicts.threshold)
    np.testing.assert_allclose(verdicts.confidence, np.exp(-verdicts.score * np.log(2) / verdicts.threshold))
    np.testing.assert_array_equal(verdicts.alarm, verdicts.confidence < 0.5)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_a_broken_input_is_a_fault_and_spoils_no_other(monitor, poison):
    new = frames(6, seed=9)
    clean = monitor.check(new)[1]
    new[2, 3] = poison
    with np.errstate(invalid="ignore"):
        _, verdicts = monitor.check(new)
    assert verdicts[2].status == Status.FAULT
    assert verdicts[2].alarm
    assert verdicts[2].confidence == 0
    assert verdicts[2].reason == "the input holds NaN or Inf"
    assert [v.status for i, v in enumerate(verdicts) if i != 2] == [v.status for i, v in enumerate(clean) if i != 2]


@pytest.mark.parametrize("poison", [np.nan, np.inf])
@pytest.mark.parametrize("layer", ["first", "second"])
def test_a_broken_network_alarms_and_is_never_ok(monitor, network, poison, layer):
    getattr(network, layer)[1, 1] = poison
    with np.errstate(invalid="ignore"):
        seen = network.observe(frames(20, seed=9))
        _, verdicts = monitor.check(frames(20, seed=9))
    broken = ~np.isfinite(np.concatenate(seen.activations, axis=1)).all(axis=1)
    assert broken.any()
    assert verdicts.alarm[broken].all()
    assert any("NaN or Inf in the network, at" in verdict.reason for verdict in verdicts)


def test_a_class_without_a_trusted_frame_is_no_nan(network):
    trusted, held_out = frames(600), frames(600, seed=1)
    monitor = Monitor(network, Mahalanobis())
    monitor.profile(trusted[network.run(trusted).argmax(axis=1) != 1], minimum_per_class=0)
    strange = network.run(held_out).argmax(axis=1) == 1
    with pytest.warns(UserWarning, match=f"{strange.sum()} of 600 held-out .* a class without enough trusted frames"):
        monitor.calibrate(held_out, 0.05, accept_rate=0.4)
    _, verdicts = monitor.check(held_out)
    reasons = {verdict.reason for verdict, is_strange in zip(verdicts, strange, strict=True) if is_strange}
    assert reasons == {"class 1 has no trusted frame to compare with"}


def test_names_of_columns_are_built_once(monitor):
    first, second = (monitor.check(frames(2, seed=s))[1].columns for s in (1, 2))
    assert first is second
    monitor.calibrate(batches(frames(400, seed=1)), 0.05)
    assert monitor.check(frames(2))[1].columns is not first


class QuantisedNetwork(NumpyNetwork):
    """The hidden layer as codes, which another network dequantises."""

    def __init__(self, codes):
        super().__init__()
        self.codes = codes
        self.taps = Taps(
            [Tap("hidden", "relu", (HIDDEN,), "NC", "uint8" if codes else "float32", "unit"), self.taps[1]]
        )

    def observe(self, batch):
        seen = super().observe(batch)
        hidden = np.clip(seen.activations[0] * 30, 0, 255).astype(np.uint8)
        return seen._replace(activations=(hidden if self.codes else hidden.astype(np.float32), seen.logits))


def test_codes_of_a_quantised_network_are_the_same_numbers():
    criteria = {"hidden": [CoverageBitmap(), SingleRange(), MultiRange(4), Mahalanobis()], "@output": Softmax()}
    verdicts = []
    for codes in (False, True):
        monitor = Monitor(QuantisedNetwork(codes), criteria)
        monitor.profile(batches(frames(500)))
        monitor.calibrate(batches(frames(400, seed=1)), 0.05)
        new = np.concatenate([frames(20, seed=2), frames(5, seed=3, far=5)])
        new[4, 1] = np.nan
        with np.errstate(invalid="ignore"):
            verdicts.append(monitor.check(new)[1])
    floats, quantised = verdicts
    np.testing.assert_array_equal(quantised.deviation, floats.deviation)
    np.testing.assert_array_equal(quantised.score, floats.score)
    assert list(quantised.status) == list(floats.status)


class _Named(NamedTuple):
    scores: np.ndarray
    boxes: list[np.ndarray]


def test_a_frame_gets_its_outputs_in_the_form_the_network_gives_them(monitor, network, monkeypatch):
    observe = network.observe
    monkeypatch.setattr(
        network, "observe", lambda batch: observe(batch)._replace(output=_Named(batch, [batch, {"sum": batch}]))
    )
    frame = frames(1)[0]
    output, _ = monitor(frame)
    assert type(output) is _Named
    for value in (output.scores, output.boxes[0], output.boxes[1]["sum"]):
        np.testing.assert_array_equal(value, frame)
