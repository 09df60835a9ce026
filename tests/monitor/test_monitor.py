from __future__ import annotations

import warnings
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap, Mahalanobis, MultiRange, SingleRange, Softmax
from outrider.monitor import (
    CalibrationError,
    Monitor,
    NotReadyError,
    OutriderWarning,
    ProfileError,
    SmallestP,
    Status,
    Sum,
    Votes,
)
from outrider.networks import Tap, Taps

from .conftest import CLASSES, HIDDEN, INPUTS, NumpyNetwork, batches, frames


def softmax(logits):
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def test_output_is_the_networks_own_and_unseen_data_alarms_as_often_as_asked(monitor, network):
    new = frames(4000, seed=2)
    output, verdicts = monitor.check(new)
    np.testing.assert_array_equal(output, network.run(new))
    low, high = monitor.calibration.interval
    assert low <= 0.05 <= high
    assert abs(verdicts.alarm.mean() - 0.05) < 0.02
    assert verdicts.prediction.tolist() == network.run(new).argmax(axis=1).tolist()


def test_inputs_far_from_the_trusted_ones_alarm(monitor):
    _, verdicts = monitor.check(frames(200, seed=3, far=6))
    assert verdicts.alarm.mean() > 0.95


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


def test_a_frame_alone_gets_the_verdict_it_gets_in_a_batch(monitor):
    new = np.concatenate([frames(10, seed=6), frames(10, seed=7, far=4)])
    output, verdicts = monitor.check(new)
    for i, frame in enumerate(new):
        alone, verdict = monitor(frame)
        np.testing.assert_allclose(alone, output[i], rtol=1e-4, atol=1e-5)
        assert (verdict.status, verdict.layers) == (verdicts[i].status, verdicts[i].layers)
        assert verdict.score == pytest.approx(verdicts[i].score, rel=1e-4)


def test_a_verdict_says_which_layers_spoke(monitor):
    _, verdicts = monitor.check(frames(20, seed=8, far=8))
    alarmed = next(verdict for verdict in verdicts if verdict.alarm)
    assert set(alarmed.layers) <= set(monitor.columns)
    assert alarmed.layers
    assert alarmed.reason.startswith("score ")
    quiet = next(verdict for verdict in monitor.check(frames(20, seed=2))[1] if not verdict.alarm)
    assert (quiet.layers, quiet.reason) == ((), "")


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
        calibration = monitor.calibrate(batches(frames(1000, seed=1)), 0.05)
    assert sum(calibration.excluded.values()) > 0
    assert abs(calibration.realised - monitor.check(frames(4000, seed=9))[1].alarm.mean()) < 0.04
    _, verdicts = monitor.check(frames(200, seed=2))
    of_class = verdicts.prediction == 1
    assert verdicts.alarm[of_class].all()
    reason = next(verdict.reason for verdict in verdicts if verdict.prediction == 1)
    assert reason == "class 1 is not covered: 3 trusted frames, fewer than 5"


@pytest.mark.parametrize(
    ("logic", "said"),
    [
        (Sum(), "1,000 held-out frames set the threshold\n"),
        (SmallestP(), "1,000 held-out frames: 500 set the scales, 500 the threshold\n"),
    ],
)
def test_a_calibration_says_what_its_frames_were_for(network, logic, said):
    monitor = Monitor(network, SingleRange(), logic=logic)
    monitor.profile(batches(frames(1000)))
    calibration = monitor.calibrate([frames(1000, seed=3)], 0.05)
    low, high = calibration.interval
    assert f" seen on {calibration.n} held-out frames (95 % interval {low:.4g} to {high:.4g})\n" in str(calibration)
    assert str(calibration).startswith(said)
    assert calibration.n + calibration.n_scales == 1000


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


@pytest.mark.parametrize("of_map", [False, True])
def test_a_profile_that_knows_its_own_data_is_warned_of(network, of_map):
    if of_map:
        hidden, logits = network.taps
        network.taps = Taps([replace(hidden, shape=(1, 4, 4), layout="NCHW"), logits])
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(30)), minimum_per_class=1)
    warned = r"tells its own data from held-out data: AUROC [01]\.\d+, expected at most 0\.6; profile more samples"
    advice = r', or leave out the units: taps="auto", neurons="channel" \(in a shell --taps auto\)$'
    with pytest.warns(OutriderWarning, match=warned + (advice if of_map else "$")):
        calibration = monitor.calibrate(batches(frames(500, seed=1)), 0.05)
    assert calibration.leak > 0.6
    assert "profiled against held-out frames: AUROC" in str(calibration)


@pytest.mark.parametrize(("profiled", "held_out", "given"), [(19, 100, False), (100, 19, False), (20, 20, True)])
def test_the_leak_is_not_told_from_very_few_frames(network, profiled, held_out, given):
    monitor = Monitor(network, SingleRange(), logic=Sum())
    monitor.profile([frames(profiled)], minimum_per_class=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        calibration = monitor.calibrate([frames(held_out, seed=1)], 0.1)
    assert (calibration.leak is not None) == given


@pytest.mark.parametrize("first", [True, False])
def test_batches_with_and_without_labels_do_not_mix(network, first):
    data = frames(100)
    labelled = data, network.run(data).argmax(axis=1)
    mixed = [labelled, data] if first else [data, labelled]
    words = "with labels like the first 100 frames, got one without"
    words = words if first else "without labels like the first 100 frames, got one with"
    with pytest.raises(ProfileError, match=f"expected batches {words}"):
        Monitor(network, SingleRange()).profile(mixed)


def test_names_of_columns_are_built_once(monitor):
    first, second = (monitor.check(frames(2, seed=s))[1].columns for s in (1, 2))
    assert first is second
    monitor.calibrate(batches(frames(400, seed=1)), 0.05)
    assert monitor.check(frames(2))[1].columns is not first


def test_too_few_held_out_frames_are_refused_with_the_number_needed(network):
    monitor = Monitor(network, {"hidden": SingleRange(), "@output": Softmax()})
    monitor.profile(batches(frames(500)))
    with pytest.raises(
        CalibrationError, match=r"expected at least 198 held-out frames for a false-alarm rate of 0.01, got 60"
    ):
        monitor.calibrate(batches(frames(60, seed=1)), 0.01)
    with pytest.raises(CalibrationError, match="expected held-out frames, got none"):
        monitor.calibrate([], 0.01)


def test_scales_and_threshold_come_from_different_frames(network):
    monitor = Monitor(network, {"hidden": SingleRange(), "@output": Softmax()})
    monitor.profile(batches(frames(500)))
    calibration = monitor.calibrate(batches(frames(501, seed=1)), 0.05)
    assert (calibration.n_scales, calibration.n) == (251, 250)
    plain = Monitor(network, SingleRange(), logic=Sum())
    plain.profile(batches(frames(500)))
    calibration = plain.calibrate(batches(frames(501, seed=1)), 0.05)
    assert (calibration.n_scales, calibration.n) == (0, 501)


def test_a_class_has_its_own_threshold_where_it_has_the_frames(network):
    monitor = Monitor(network, MultiRange(8))
    monitor.profile(batches(frames(3000)))
    held_out = frames(600, seed=1)
    predicted = network.run(held_out).argmax(axis=1)
    held_out = np.concatenate([held_out[predicted != 2], held_out[predicted == 2][:5]])
    calibration = monitor.calibrate(batches(held_out), 0.05, per_class=True)
    assert calibration.own.tolist() == [True, True, False]
    pooled = monitor.calibrate(batches(held_out), 0.05)
    assert calibration.thresholds[2] == pooled.thresholds[0]
    assert len(set(pooled.thresholds)) == 1
    assert "2 of 3 classes with their own" in str(calibration)


def test_a_warning_rate_gives_warnings_below_alarms(network):
    monitor = Monitor(network, MultiRange(8))
    monitor.profile(batches(frames(3000)))
    monitor.calibrate(batches(frames(1000, seed=1)), 0.02, warning_rate=0.2)
    _, verdicts = monitor.check(frames(2000, seed=2))
    assert abs((verdicts.status == Status.WARN).mean() - 0.18) < 0.04
    assert not verdicts.alarm[verdicts.status == Status.WARN].any()
    warned = next(verdict for verdict in verdicts if verdict.status == Status.WARN)
    assert "above the warning level" in warned.reason
    assert (verdicts.alarm == (verdicts.confidence < 0.5)).all()
    with pytest.raises(ValueError, match=r"expected a warning rate above 0.05"):
        monitor.calibrate(batches(frames(1000, seed=1)), 0.05, warning_rate=0.01)


def test_a_network_without_classes_is_monitored_as_one_class():
    network = NumpyNetwork(classes=None)
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(2000)))
    monitor.calibrate(batches(frames(500, seed=1)), 0.05)
    output, verdicts = monitor.check(frames(30, seed=2, far=8))
    assert output.shape == (30, 2)
    assert (verdicts.prediction == -1).all()
    assert verdicts.alarm.all()


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


def test_verdicts_before_profile_or_calibration_are_refused(network):
    monitor = Monitor(network, SingleRange())
    with pytest.raises(NotReadyError, match="got one that has seen no trusted data; call profile"):
        monitor.check(frames(1))
    with pytest.raises(NotReadyError, match=r"call profile\(\)"):
        monitor.calibrate(batches(frames(100)))
    monitor.profile(batches(frames(200)))
    with pytest.raises(NotReadyError, match=r"got one without a threshold; call calibrate\(\)"):
        monitor(frames(1)[0])


def test_profiling_anew_drops_the_old_threshold(monitor):
    monitor.profile(batches(frames(500)))
    assert monitor.calibration is None


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ({"relu9": SingleRange()}, "relu9"),
        ({}, "expected at least one criterion, got none"),
    ],
)
def test_criteria_that_fit_no_tap_are_refused(network, criteria, message):
    with pytest.raises(ValueError, match=message):
        Monitor(network, criteria)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full(5, "cat"), "expected labels as integers, the numbers of classes, got <U3"),
        (np.full(5, 0.5), "expected labels as integers, the numbers of classes, got float64"),
        (np.full(5, 99), rf"expected labels below {CLASSES}, the number of classes, got 99"),
    ],
)
def test_labels_that_are_no_classes_are_refused(network, labels, message):
    with pytest.raises(ValueError, match=message):
        Monitor(network, SingleRange()).profile([(frames(5), labels)])


def test_a_batch_in_place_of_a_frame_is_refused(network):
    monitor = Monitor(network, SingleRange())
    with pytest.raises(ValueError, match=r"expected one frame of shape .*, got shape \(5, .*\); a batch is for check"):
        monitor(frames(5))
    with pytest.raises(ValueError, match=r"expected one frame of shape .*, got NoneType"):
        monitor(None)


def test_labels_of_another_length_are_refused(network):
    with pytest.raises(ValueError, match=r"expected a label per frame, shape \(50,\), got \(49,\)"):
        Monitor(network, SingleRange()).profile([(frames(50), np.zeros(49, int))])


def test_a_profile_reads_like_the_summary_of_the_command(network):
    profile = Monitor(network, SingleRange()).profile(batches(frames(200)))
    counts = profile.trusted.per_class
    lines = str(profile).splitlines()
    assert lines[0].startswith(f"network: {network.engine}, input ")
    assert lines[1:3] == [
        "trusted: 200 of 200 frames (no labels: all)",
        f"per class: {counts.min()} to {counts.max()} frames",
    ]
    assert [line.split(":")[0] for line in lines[3:]] == [name.split(":")[0] for name in profile.names]
    assert repr(profile) == "Profile(1 column, 200 of 200 frames trusted)"


def test_repr_says_what_it_is_and_how_far_it_got(network, monitor):
    assert repr(Monitor(network, SingleRange())).startswith("Monitor[unfit](SingleRange(")
    assert repr(monitor).startswith("Monitor[calibrated](")
    assert "3 columns" in repr(monitor)


def test_verdicts_behave_as_a_sequence(monitor):
    _, verdicts = monitor.check(frames(7))
    assert len(verdicts) == 7
    assert len(list(verdicts)) == 7
    assert [v.score for v in verdicts[2:4]] == [verdicts[2].score, verdicts[3].score]
    assert verdicts[-1].score == verdicts[6].score
    with pytest.raises(IndexError, match="expected an index within 7 verdicts, got 7"):
        verdicts[7]


def test_votes_and_other_logics_can_be_chosen(network):
    monitor = Monitor(network, {"hidden": SingleRange(), "@output": Softmax()}, logic=Votes(2))
    monitor.profile(batches(frames(1000)))
    monitor.calibrate(batches(frames(800, seed=1)), 0.05)
    assert abs(monitor.check(frames(2000, seed=2))[1].alarm.mean() - 0.05) < 0.03


def test_size_of_the_inputs_is_what_the_fixture_says(network):
    assert frames(3).shape == (3, INPUTS)
    assert network.observe(frames(3)).activations[0].shape == (3, HIDDEN)


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
