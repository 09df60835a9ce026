"""Taps whose neurons are the channels of every place: segmenters, detectors, and where a frame deviates."""

from __future__ import annotations

import hashlib
import warnings

import numpy as np
import pytest

from outrider.coverage import Gaussian, Mahalanobis, MultiRange, SingleRange
from outrider.monitor import (
    HarmonicP,
    MismatchError,
    Monitor,
    OutriderWarning,
    ProfileError,
    Status,
    describe_profile,
)
from outrider.monitor.facts.network import told_apart
from outrider.monitor.judging.places import (
    PlaceClasses,
    nearest,
    place_axes,
    place_shape,
    places_under,
    sample_shape,
    samples_of,
)
from outrider.networks import Network, Observation, Tap, Taps

from ..conftest import NumpyNetwork, batches

CLASSES, SIDE, CHANNELS = 3, 8, 6


class NumpySegmenter(Network):
    """relu(W1 x) at every pixel, its means over 2 x 2 pixels, and class scores W2 relu(W1 x) at every pixel."""

    engine = "numpy"
    classes = None
    input_shape = (3, SIDE, SIDE)
    preprocessing = None

    def __init__(self, map_classes=CLASSES):
        rng = np.random.default_rng(3)
        self.first = rng.normal(0, 1, (CHANNELS, 3)).astype(np.float32)
        self.second = np.kron(np.eye(CLASSES), [[3, 3]]).astype(np.float32)  # two channels a class
        self.bias = np.zeros((CLASSES, 1, 1), np.float32)
        self.map_classes = map_classes
        self.fingerprint = hashlib.sha256(self.first.tobytes()).hexdigest()
        self.taps = Taps([
            Tap("fine", "relu", (CHANNELS, SIDE, SIDE), "NCHW", "float32", "pixel"),
            Tap("coarse", "pool", (SIDE // 2, SIDE // 2, CHANNELS), "NHWC", "float32", "pixel"),
            Tap("fine", "relu", (CHANNELS, SIDE, SIDE), "NCHW", "float32", "channel"),
        ])  # fmt: skip

    def parts(self, batch):
        fine = np.maximum(np.einsum("oc,nchw->nhwo", self.first, batch), 0)
        n = len(batch)
        coarse = fine.reshape(n, SIDE // 2, 2, SIDE // 2, 2, CHANNELS).mean(axis=(2, 4))
        scores = np.einsum("ko,nhwo->nkhw", self.second, fine) + self.bias
        return fine, np.ascontiguousarray(coarse), scores

    def run(self, batch):
        return self.parts(batch)[2]

    def observe(self, batch):
        fine, coarse, scores = self.parts(batch)
        activations = fine.reshape(-1, CHANNELS), coarse.reshape(-1, CHANNELS), fine.mean(axis=(1, 2))
        return Observation(scores, None, activations, None if self.map_classes is None else scores)

    def close(self):
        pass


def pictures(n, seed=0):
    return np.random.default_rng(seed).normal(0, 1, (n, 3, SIDE, SIDE)).astype(np.float32)


def with_patch(data):
    """The frames with something else in the lower left corner."""
    data = data.copy()
    data[:, :, 6:, :2] = 9
    return data


def count_outside(values, trusted):
    return (~((trusted.min(axis=0) <= values) & (values <= trusted.max(axis=0)))).sum(axis=-1)


def learned(network, criteria=None, n=200, **options):
    monitor = Monitor(network, criteria or {"*:pixel": SingleRange()}, logic=HarmonicP())
    monitor.profile(batches(pictures(n)), **options)
    return monitor


class Windows(NumpySegmenter):
    """The same with means over windows of 3 x 3 pixels, of which the last hold fewer."""

    def __init__(self):
        super().__init__()
        self.taps = Taps([Tap("fine", "relu", (CHANNELS, SIDE, SIDE), "NCHW", "float32", "pixel3")])

    def observe(self, batch):
        fine, _, scores = self.parts(batch)
        return Observation(scores, None, (means_of_three(fine).reshape(-1, CHANNELS),), scores)


def means_of_three(fine):
    windows = [[fine[:, y : y + 3, x : x + 3].mean((1, 2)) for x in (0, 3, 6)] for y in (0, 3, 6)]
    return np.array(windows, np.float32).transpose(2, 0, 1, 3)


def test_windows_are_held_against_the_class_under_their_middle():
    network = Windows()
    monitor = learned(network, SingleRange())
    fine, scores, known, known_scores = (
        part for data in (pictures(10, seed=1), pictures(200)) for part in network.parts(data)[::2]
    )
    middle = np.array([1, 4, 7])
    classes, known_classes = (s.argmax(axis=1)[:, middle[:, None], middle] for s in (scores, known_scores))
    values, known = means_of_three(fine), means_of_three(known)
    expected = np.zeros((10, 3, 3))
    for c in range(CLASSES):
        expected[classes == c] = count_outside(values[classes == c], known[known_classes == c])
    assert expected.any()
    np.testing.assert_array_equal(*monitor.deviation_maps(pictures(10, seed=1)).values(), expected)


def test_without_classes_all_places_share_one_signature_and_the_worst_counts():
    network = NumpySegmenter(map_classes=None)
    monitor = learned(network, {"*": SingleRange()})
    new = np.concatenate([pictures(5, seed=1), with_patch(pictures(5, seed=2))])
    fine, coarse, _ = network.parts(new)
    trusted_fine, trusted_coarse, _ = network.parts(pictures(200))
    expected = {
        "fine:pixel single_range": count_outside(fine, trusted_fine.reshape(-1, CHANNELS)),
        "coarse:pixel single_range": count_outside(coarse, trusted_coarse.reshape(-1, CHANNELS)),
    }
    maps = monitor.deviation_maps(new)
    assert maps.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(maps[name], values)
        assert maps[name].dtype == np.float32
    deviations = monitor.deviations(new)
    for i, name in enumerate(monitor.columns):
        if name in maps:
            np.testing.assert_array_equal(deviations[:, i], maps[name].max(axis=(1, 2)))
    assert monitor.learned.trusted.accepted == 200
    assert monitor.learned.signatures[0].counts.tolist() == [200 * SIDE * SIDE]


def test_places_are_held_against_the_class_that_the_network_sees_there():
    network = NumpySegmenter()
    monitor = learned(network)
    (fine, coarse, scores), (_, _, trusted_scores) = network.parts(pictures(10, seed=1)), network.parts(pictures(200))
    trusted = network.parts(pictures(200))[:2]
    maps = monitor.deviation_maps(pictures(10, seed=1))
    for name, values, known, step in (("fine", fine, trusted[0], 1), ("coarse", coarse, trusted[1], 2)):
        middle = slice(step // 2, None, step)
        classes = scores[:, :, middle, middle].argmax(axis=1)
        known_classes = trusted_scores[:, :, middle, middle].argmax(axis=1)
        expected = np.zeros(classes.shape)
        for c in range(CLASSES):
            expected[classes == c] = count_outside(values[classes == c], known[known_classes == c])
        np.testing.assert_array_equal(maps[f"{name}:pixel single_range"], expected)
    present = [[(frame == c).any() for frame in trusted_scores.argmax(axis=1)] for c in range(CLASSES)]
    assert monitor.learned.trusted.per_map_class.tolist() == np.sum(present, axis=1).tolist()


def test_a_foreign_patch_alarms_and_is_found_where_it_is():
    monitor = learned(NumpySegmenter(), {"*:pixel": Mahalanobis(), "fine:channel": MultiRange(8)})
    monitor.calibrate(batches(pictures(400, seed=1)), 0.05)
    patched = with_patch(pictures(20, seed=2))
    output, verdicts = monitor.check(patched)
    assert verdicts.alarm.all()
    assert (verdicts.prediction == -1).all()
    np.testing.assert_array_equal(output, monitor.network.run(patched))
    assert monitor.check(pictures(200, seed=3))[1].alarm.mean() < 0.15
    for deviations in monitor.deviation_maps(patched).values():
        half = deviations.shape[1] // 4 * 3
        corner = deviations[:, half:, : deviations.shape[2] // 4]
        assert (corner.mean(axis=(1, 2)) > 2 * deviations.mean(axis=(1, 2))).all()
    _, verdict = monitor(patched[0])
    assert verdict.alarm


def test_with_labels_only_places_that_are_surely_right_are_learned():
    network = NumpySegmenter()
    data = pictures(100)
    fine, _, scores = network.parts(data)
    classes = scores.argmax(axis=1)
    labels = classes.copy()
    labels[:, :3] = 255  # void
    monitor = Monitor(network, {"fine:pixel": SingleRange()})
    profile = monitor.profile([(data[:50], labels[:50]), (data[50:], labels[50:])], trusted_confidence=0.7)
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    sure = (powers.max(axis=1) / powers.sum(axis=1)) >= 0.7
    right = sure & (labels == classes)
    assert profile.trusted.labelled
    for c in range(CLASSES):
        np.testing.assert_array_equal(profile.signatures[0].arrays["high"][c], fine[right & (classes == c)].max(axis=0))
        assert profile.signatures[0].counts[c] == (right & (classes == c)).sum()


def test_maps_of_probabilities_are_taken_as_they_are():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([0.3] * CLASSES, (2, SIDE, SIDE)).astype(np.float32).transpose(0, 3, 1, 2)
    labels = shares.argmax(axis=1)
    places = PlaceClasses(shares, "probabilities")
    found = places.trusted((SIDE, SIDE), np.ones(2, bool), labels, 0.8)
    np.testing.assert_array_equal(found, (shares.max(axis=1) >= 0.8).ravel())
    assert 0 < found.sum() < found.size


def test_a_class_seen_at_too_few_places_is_named_and_alarms_where_it_is():
    network = NumpySegmenter()
    network.bias[2] = -3
    with pytest.warns(OutriderWarning, match=r"classes have fewer than 50 trusted frames .*class 2: "):
        monitor = learned(network, minimum_per_class=50)
    assert monitor.learned.trusted.per_map_class[2] < 50
    held_out = pictures(400, seed=1)
    present = (network.run(held_out).argmax(axis=1) == 2).any(axis=(1, 2))
    with pytest.warns(OutriderWarning, match="left out: predicted as a class without enough trusted frames"):
        calibration = monitor.calibrate(batches(held_out), 0.05)
    assert calibration.excluded["predicted as a class without enough trusted frames"] == present.sum()
    new = pictures(50, seed=2)
    classes = network.run(new).argmax(axis=1)
    _, verdicts = monitor.check(new)
    rare = (classes == 2).any(axis=(1, 2))
    assert rare.any()
    assert verdicts.alarm[rare].all()
    reason = next(verdict.reason for verdict, seen in zip(verdicts, rare, strict=True) if seen)
    assert reason.startswith("class 2 is not covered: ")
    np.testing.assert_array_equal(np.isinf(monitor.deviation_maps(new)["fine:pixel single_range"]), classes == 2)


def test_a_loaded_profile_gives_the_same_maps_and_verdicts(tmp_path):
    network = NumpySegmenter()
    monitor = learned(network, {"*:pixel": [SingleRange(), Gaussian()], "fine:channel": SingleRange()})
    monitor.calibrate(batches(pictures(300, seed=1)), 0.05)
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", network)
    new = with_patch(pictures(5, seed=2))
    assert list(map(str, again.check(new)[1])) == list(map(str, monitor.check(new)[1]))
    for name, values in monitor.deviation_maps(new).items():
        np.testing.assert_array_equal(again.deviation_maps(new)[name], values)
    assert describe_profile(tmp_path / "m.outrider").items() >= monitor.describe().items()
    with pytest.raises(MismatchError, match="classes of the map: expected 3, got None"):
        Monitor.load(tmp_path / "m.outrider", NumpySegmenter(map_classes=None))


def test_an_interrupted_profile_of_places_goes_on_where_it_stopped(tmp_path):
    network = NumpySegmenter()

    def stop(done):
        if done >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learned(network, progress=stop, checkpoint=tmp_path / "partial")
    resumed, whole = learned(network, checkpoint=tmp_path / "partial"), learned(network)
    resumed.save(tmp_path / "resumed")
    whole.save(tmp_path / "whole")
    assert (tmp_path / "resumed").read_bytes() == (tmp_path / "whole").read_bytes()


def test_nothing_broken_is_ever_ok():
    network = NumpySegmenter()
    monitor = learned(network)
    monitor.calibrate(batches(pictures(300, seed=1)), 0.05)
    new = pictures(3, seed=2)
    new[1, 0, 5, 5] = np.nan
    with np.errstate(invalid="ignore"):
        _, verdicts = monitor.check(new)
        maps = monitor.deviation_maps(new)
    assert [verdict.status == Status.FAULT for verdict in verdicts] == [False, True, False]
    assert all(np.isinf(values[1]).any() and np.isfinite(values[[0, 2]]).all() for values in maps.values())
    network.second[1, 1] = np.inf
    with np.errstate(invalid="ignore"):
        _, verdicts = monitor.check(pictures(3, seed=2))
    assert verdicts.alarm.all()


class NumpyClassifier(NumpyNetwork):
    """The hidden layer once more, as two places of half as many channels."""

    def __init__(self):
        super().__init__()
        hidden = self.taps[0].size
        self.taps = Taps([Tap("hidden", "relu", (2, hidden // 2), "NLC", "float32", "pixel"), self.taps[1]])

    def observe(self, batch):
        seen = super().observe(batch)
        hidden, logits = seen.activations
        return seen._replace(activations=(hidden.reshape(2 * len(batch), -1), logits))


def test_the_places_of_a_classified_frame_are_of_its_class():
    from ..conftest import frames

    network = NumpyClassifier()
    monitor = Monitor(network, {"hidden": SingleRange()})
    monitor.profile(batches(frames(500)))
    new = frames(20, seed=1, far=2)
    hidden, trusted = (np.maximum(x @ network.first, 0).reshape(len(x), 2, -1) for x in (new, frames(500)))
    classes, trusted_classes = network.run(new).argmax(axis=1), network.run(frames(500)).argmax(axis=1)
    (deviations,) = monitor.deviation_maps(new).values()
    assert deviations.shape == (20, 1, 2)
    for i, c in enumerate(classes):
        expected = count_outside(hidden[i], trusted[trusted_classes == c].reshape(-1, hidden.shape[-1]))
        np.testing.assert_array_equal(deviations[i, 0], expected)


def test_maps_are_refused_without_a_tap_of_pixels(monitor):
    with pytest.raises(ValueError, match="expected a tap with neurons 'pixel', got none"):
        monitor.deviation_maps(pictures(1))


@pytest.mark.parametrize(
    ("map_classes", "shape", "message"),
    [
        (CLASSES, (50,), r"expected labels of shape \(50, height, width\), got \(50,\)"),
        (CLASSES, (49, 8, 8), r"expected labels of shape \(50, height, width\), got \(49, 8, 8\)"),
        (
            None,
            (50, 8, 8),
            r"expected no labels for a network without classes, got int64 of shape .*='pixel'.*classes=2",
        ),
    ],
)
def test_labels_of_another_form_are_refused(map_classes, shape, message):
    monitor = Monitor(NumpySegmenter(map_classes), SingleRange())
    with pytest.raises(ValueError, match=message):
        monitor.profile([(pictures(50), np.zeros(shape, int))])


def test_no_trusted_place_at_all_is_an_error():
    with pytest.raises(ProfileError, match="expected trusted frames, got none: 0 of 20"):
        Monitor(NumpySegmenter(), {"*:pixel": SingleRange()}).profile([(pictures(20), np.full((20, 8, 8), 255))])


@pytest.mark.parametrize("shape", [(4, 4), (8, 2), (3, 5), (16, 24), (8, 8), (1, 1)])
def test_nearest_takes_what_lies_under_the_middle_of_each_place(shape):
    maps = np.arange(2 * 8 * 8).reshape(2, 8, 8)
    got = nearest(maps, shape)
    for r in range(shape[0]):
        for c in range(shape[1]):
            row, column = int((r + 0.5) * 8 / shape[0]), int((c + 0.5) * 8 / shape[1])
            np.testing.assert_array_equal(got[:, r, c], maps[:, row, column])


@pytest.mark.parametrize("window", [2, 4, 5, 9])
def test_the_class_of_a_window_is_that_under_its_middle(window):
    """Of a map of 5 x 9, whose last windows are smaller, on maps of another resolution."""
    tap = Tap("map", "relu", (4, 5, 9), "NCHW", "float32", f"pixel{window}")
    maps = np.arange(2 * 40 * 27).reshape(2, 40, 27)
    got, (rows, columns) = nearest(maps, place_axes(tap)), place_shape(tap)
    assert got.shape == (2, rows, columns)
    for r in range(rows):
        for c in range(columns):
            y, x = (r * window + min(5, (r + 1) * window)) / 10, (c * window + min(9, (c + 1) * window)) / 18
            np.testing.assert_array_equal(got[:, r, c], maps[:, int(y * 40), int(x * 27)])


def test_windows_of_a_sequence_are_of_the_middle_row():
    tap = Tap("map", "relu", (7, 4), "NLC", "float32", "pixel3")
    assert nearest(np.arange(21).reshape(3, 7), place_axes(tap)).tolist() == [[8, 11, 13]]
    assert place_axes(Tap("map", "relu", (7, 4), "NLC", "float32", "channel")) is None


def test_a_tap_of_pixels_of_unknown_size_is_refused():
    for neurons in ("pixel", "pixel8"):
        tap = Tap("map", "relu", (4, None, None), "NCHW", "float32", neurons)
        with pytest.raises(ValueError, match=f"expected known sizes for neurons '{neurons}'"):
            place_shape(tap)
    assert place_shape(Tap("map", "relu", (4, 2, 3), "NCHW", "float32", "channel")) is None


@pytest.mark.parametrize(
    ("shape", "layout", "neurons", "rows", "places", "samples", "lie", "apart"),
    [
        ((4, 2, 3), "NCHW", "pixel", 1, (2, 3), 6, (2, 3), True),
        ((7, 4), "NLC", "pixel", 1, (1, 7), 7, (1, 7), True),
        ((4, 2, 3), "NCHW", "pixel2", 1, (1, 2), 2, (1, 2), True),
        ((7, 4), "NLC", "pixel3", 2, (1, 3), 6, (2, 1, 3), False),
        ((4, 5, 2, 3), "NCDHW", "pixel", 1, (5, 2, 3), 30, (5, 2, 3), False),
        ((5, 2, 3, 4), "NDHWC", "pixel", 2, (5, 2, 3), 60, (2, 5, 2, 3), False),
        ((4, 2, 3), "NCHW", "pixel", 6, (2, 3), 36, (6, 2, 3), False),
        ((4, 2, 3), "NCHW", "pixel", None, (2, 3), None, (2, 3), False),
        ((4, 2, 3), "NCHW", "channel", 6, None, 6, (6,), False),
        ((4,), "NC", "unit", None, None, None, (), False),
        ((4, 2, 3), "NCHW", "channel", 1, None, 1, None, False),
    ],
)
def test_how_the_samples_of_a_frame_lie(shape, layout, neurons, rows, places, samples, lie, apart):
    tap = Tap("map", "relu", shape, layout, "float32", neurons, rows=rows)
    assert (place_shape(tap), samples_of(tap), sample_shape(tap), told_apart(tap)) == (places, samples, lie, apart)


@pytest.mark.parametrize("map_classes", [None, CLASSES])
def test_no_frames_are_no_verdicts(map_classes):
    monitor = Monitor(NumpySegmenter(map_classes), SingleRange())
    data = np.random.default_rng(0).normal(size=(60, 3, SIDE, SIDE)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([data[:30]], minimum_per_class=0)
        monitor.calibrate([data[30:]], 0.2)
    output, verdicts = monitor.check(data[:0])
    assert (len(output), len(verdicts)) == (0, 0)
    assert monitor.deviations(data[:0]).shape == (0, len(monitor.columns))
    assert {values.shape[0] for values in monitor.deviation_maps(data[:0]).values()} == {0}


@pytest.mark.parametrize(
    ("size", "window", "below"), [(45, 4, 4), (9, 4, 4), (10, 1, 3), (13, 2, 5), (8, 4, 1), (7, 1, 1)]
)
def test_a_place_stands_on_the_window_that_holds_its_middle(size, window, below):
    own, other = (
        Tap("t", "r", (2, size, 6), "NCHW", "float32", f"pixel{k}" if k > 1 else "pixel") for k in (window, below)
    )
    rows, columns = places_under(place_axes(own), place_axes(other))
    held = [
        next(k for k in range(size) if k * below <= (min(i + window, size) + i) // 2 < (k + 1) * below)
        for i in range(0, size, window)
    ]
    assert rows.tolist() == held
    if window == below:
        assert rows.tolist() == list(range(len(rows)))
        assert columns.tolist() == list(range(len(columns)))
