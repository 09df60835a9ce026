"""The judge against the formulas in numpy, batch by batch and frame by frame, to the last bit."""

from __future__ import annotations

import copy
import functools
import warnings
import weakref

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from outrider.coverage import (
    Box,
    CoverageBitmap,
    Gaussian,
    Mahalanobis,
    MultiRange,
    NearestNeighbour,
    NeuronRank,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)
from outrider.monitor import (
    CalibrationError,
    HarmonicP,
    MaxZ,
    Monitor,
    Normalised,
    SmallestP,
    Status,
    Sum,
    Verdict,
    Votes,
    ZScore,
)
from outrider.monitor.data.groups import groups_of
from outrider.monitor.judging.places import nearest, place_shape
from outrider.networks import Network, Observation, Tap, Taps

CRITERIA = [
    SingleRange(),
    SingleRange(quantile=0.1),
    SingleRange(magnitude=True),
    MultiRange(4),
    MultiRange(4, "log"),
    NeuronRank(top=2),
    NearestNeighbour(k=2, capacity=8),
    CoverageBitmap(),
    Gaussian(),
    Mahalanobis(),
    RelativeMahalanobis(),
    Pattern(capacity=8),
    Box(capacity=8),
]
LOGICS = [
    Sum(), Normalised(), ZScore(), ZScore(log=False), MaxZ(), Votes(1), Votes(2), Votes(0), SmallestP(), HarmonicP(),
]  # fmt: skip
SHAPE, CLASSES = (2, 4, 4), 4
PIXELS = tuple(range(32))


class Puppet(Network):
    """Activations that the frame itself decides: units, channels, pixels of two resolutions and codes.

    The last value of a frame is what one neuron, or one class score, is replaced by: `broken` says which.
    """

    engine, fingerprint, preprocessing, input_shape = "numpy", "0" * 64, None, SHAPE

    def __init__(self, scores="frame", dtype=np.float32):
        self.scored, self.dtype_of_map, self.broken = scores, dtype, None
        self.classes = CLASSES if scores == "frame" else None
        self.map_classes = CLASSES if scores == "map" else None
        taps = [
            Tap("a", "relu", (2, 4, 4), "NCHW", "float32", "unit"),
            Tap("b", "relu", (2, 4, 4), "NCHW", "float32", "channel"),
            Tap("c", "relu", (4,), "NC", "float32", "unit"),
            Tap("d", "relu", (2, 4, 4), "NCHW", "float32", "pixel"),
            Tap("e", "relu", (2, 2, 2), "NCHW", "float32", "pixel"),
            Tap("q", "relu", (2, 4, 4), "NCHW", "uint8", "unit"),
        ]
        if self.classes:
            taps.append(Tap("y", "output", (CLASSES,), "NC", "float32", "unit"))
        self.taps = Taps(taps)

    def run(self, batch):
        return self.observe(batch).output

    def observe(self, batch):
        n = len(batch)
        with np.errstate(invalid="ignore", over="ignore"):
            still = np.nan_to_num(batch, nan=0, posinf=0, neginf=0)
            places = np.moveaxis(still, 1, -1)
            rows = [
                still.reshape(n, -1),
                still.mean((2, 3)),
                still.max((1, 2)),
                places.reshape(-1, 2),
                places[:, ::2, ::2].reshape(-1, 2),
            ]
            rows = [np.array(values, np.float32, order="C") for values in rows]
            codes = np.clip(still.reshape(n, -1) * 60 + 100, 0, 255).astype(np.uint8)
            logits = np.ascontiguousarray(still.reshape(n, CLASSES, -1).sum(2), np.float32)
            score_map = np.stack([still[:, 0], still[:, 1], -still[:, 0], still[:, 1] - 2], 1).astype(self.dtype_of_map)
        arrays = [*rows, logits, score_map]
        if self.broken is not None:
            which, value = self.broken
            arrays[which].reshape(-1)[-1] = value
        activations = (*arrays[:5], codes, *([logits] if self.classes else []))
        return Observation(
            (logits, score_map), logits if self.classes else None, activations,
            score_map if self.map_classes else None,
        )  # fmt: skip

    def close(self):
        pass


def frames(n, seed):
    return np.random.default_rng(seed).normal(0, 1, (n, *SHAPE)).astype(np.float32)


def everything(criterion):
    return [criterion] if criterion is not None else CRITERIA


@functools.cache
def learned(which, logic, scores, warning):
    """A monitor of one criterion, or all of them (-1), on every tap; class 3 has too few trusted frames."""
    network = Puppet(*scores)
    chosen = everything(None if which < 0 else CRITERIA[which])
    if not network.classes:
        chosen = [one for one in chosen if not isinstance(one, RelativeMahalanobis)] or [Mahalanobis()]
    criteria = {"*": chosen}
    if network.classes and which < 0:
        criteria["@output"] = [*chosen, Softmax()]
    monitor = Monitor(network, criteria, logic=LOGICS[logic])
    trusted = frames(400, 1)
    predictions = network.observe(trusted).output[0].argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([trusted[predictions != 3], trusted[predictions == 3][:2]], minimum_per_class=5)
        if network.map_classes:
            monitor.learned.trusted.per_map_class[3] = 1
        options = {"per_class": True, "warning_rate": 0.4 if warning else None, "accept_rate": 0.6}
        try:
            monitor.calibrate([frames(400, 2)], 0.1, **options)
        except CalibrationError:  # all of several columns never deviate at once: every score is the same
            return None
    return monitor, monitor.bind()


def reference(monitor, batch):
    """Status, score, deviations and the class that is not covered, from the formulas, column by column in numpy."""
    network, profile, calibration = monitor.network, monitor.learned, monitor.calibration
    seen, n = network.observe(batch), len(batch)
    predictions = np.zeros(n, int) if seen.logits is None else seen.logits.argmax(axis=1)
    covered, of_map = profile.trusted.covered, profile.trusted.covered_of_map
    uncovered = np.where(covered[predictions], -1, predictions)
    infinite = ~covered[predictions]
    for scores in (seen.logits, seen.score_map):
        if scores is not None:
            infinite |= ~np.isfinite(scores.reshape(n, -1)).all(axis=1)
    deviations = np.empty((n, len(profile.columns)), np.float32)
    order = [tap.id for tap in network.taps]
    for i, (column, signature) in enumerate(zip(profile.columns, profile.signatures, strict=True)):
        tap = profile.facts.taps[column.tap]
        values, classes = seen.activations[order.index(tap.id)], predictions
        if tap.neurons == "pixel":
            shape = place_shape(tap)
            classes = np.repeat(predictions, shape[0] * shape[1])
            if of_map is not None:
                classes = np.moveaxis(nearest(seen.score_map, shape), 1, -1).reshape(-1, len(of_map)).argmax(axis=1)
        of_places = np.empty(len(values), np.float32)
        compare = column.criterion.comparer(signature, len(values), rows_a_frame=max(1, len(values) // max(n, 1)))
        if values.dtype == np.uint8:
            of_places = column.criterion.deviation(signature, values, classes)
        else:
            compare(values, classes.astype(np.int64), of_places)
        if tap.neurons == "pixel" and of_map is not None:
            of_places[~of_map[classes]] = np.inf
            for place in np.flatnonzero(~of_map[classes]):
                uncovered[place // (len(classes) // n)] = classes[place]
        deviations[:, i] = of_places.reshape(n, -1).max(axis=1)
    deviations[infinite] = np.inf
    groups = groups_of(profile.columns)
    score = monitor.logic.score(calibration.scales, deviations, groups)
    broken = ~np.isfinite(batch.reshape(n, -1)).all(axis=1)
    score[broken] = np.inf
    threshold = calibration.thresholds[predictions]
    warning = np.inf if calibration.warning_thresholds is None else calibration.warning_thresholds[predictions]
    status = np.where(score > threshold, Status.ALARM, np.where(score > warning, Status.WARN, Status.OK))
    status[broken] = Status.FAULT
    return status, score, threshold, predictions, deviations, uncovered


def check_batch(monitor, batch):
    """The verdicts on a batch, once they are those of the reference."""
    status, score, threshold, predictions, deviations, uncovered = reference(monitor, batch)
    expected_output = tuple(value.copy() for value in monitor.network.observe(batch).output)
    output, verdicts = monitor.check(batch)
    for got, expected in zip(output, expected_output, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(verdicts.status, status)
    np.testing.assert_array_equal(verdicts.score, score)
    np.testing.assert_array_equal(verdicts.threshold, threshold)
    np.testing.assert_allclose(verdicts.confidence, np.where(score == 0, 1, np.exp2(-score / threshold)), rtol=1e-15)
    np.testing.assert_array_equal(verdicts.prediction, predictions if monitor.network.classes else -1)
    np.testing.assert_array_equal(verdicts.deviation.view(np.uint32), deviations.view(np.uint32))
    for label, verdict in zip(uncovered, verdicts, strict=True):
        if label >= 0 and verdict.status == Status.ALARM:
            assert verdict.reason.startswith(f"class {label} is not covered")
    return output, verdicts


def check_frame(monitor, judge, frame, finite=False):
    """The verdict on a frame, once it is that of a batch of one."""
    expected_output, verdicts = check_batch(monitor, frame[None])
    output, verdict = judge(frame, finite)
    for got, expected in zip(output, expected_output, strict=True):
        np.testing.assert_array_equal(got, expected[0])
    for name in Verdict.__slots__:
        got, expected = getattr(verdict, name), getattr(verdicts[0], name)
        if name == "deviation":
            np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))
        else:
            assert got == expected, name
            assert type(got) is type(expected), name
    return verdict


oddities = st.none() | st.tuples(st.integers(0, 6), st.sampled_from([np.nan, np.inf, -np.inf, 1e38, 0.0, 1e-42]))


@given(
    st.integers(-1, len(CRITERIA) - 1),
    st.integers(0, len(LOGICS) - 1),
    st.sampled_from([("frame",), ("map",), ("map", np.float64), ("map", np.float16), ("none",)]),
    st.booleans(),
    st.integers(0, 2**32),
    st.integers(1, 4),
    st.sampled_from([0.1, 1.0, 3.0, 1e30]),
    oddities,
    st.none() | st.tuples(st.sampled_from(PIXELS), st.sampled_from([np.nan, np.inf, 1e38])),
)
@settings(deadline=None, max_examples=250)
def test_a_batch_and_its_frames_get_the_verdicts_of_the_formulas(
    which, logic, scores, warning, seed, n, size, broken, pixel
):
    assume(learned(which, logic, scores, warning) is not None)
    monitor, judge = learned(which, logic, scores, warning)
    batch = frames(n, seed) * np.float32(size)
    if pixel:
        batch[-1].reshape(-1)[pixel[0]] = pixel[1]
    monitor.network.broken = broken
    with np.errstate(all="ignore"):
        check_batch(monitor, batch)
        verdict = check_frame(monitor, judge, batch[-1])
        if np.isfinite(batch[-1]).all():
            check_frame(monitor, judge, batch[-1], finite=True)
    monitor.network.broken = None
    if np.isfinite(batch).all() and broken is not None and not np.isfinite(broken[1]) and broken[0] < 5:
        assert verdict.status == Status.ALARM
        assert np.isposinf(verdict.score)


def test_every_status_and_kind_of_reason_comes_up():
    """So that the property above is one of all of them."""
    monitor, judge = learned(-1, 8, ("frame",), True)
    seen = [check_frame(monitor, judge, frame) for frame in frames(100, 5)]
    assert {verdict.status for verdict in seen} == {Status.OK, Status.WARN, Status.ALARM}
    assert any("is not covered" in verdict.reason for verdict in seen)
    broken = frames(2, 0)
    broken[1, 0, 0, 0] = np.nan
    assert [verdict.status == Status.FAULT for verdict in check_batch(monitor, broken)[1]] == [False, True]


def test_a_verdict_and_its_output_stay_as_they_are():
    _, judge = learned(-1, 8, ("frame",), True)
    one, other = frames(2, 8)
    output, verdict = judge(one)
    before = [value.copy() for value in (*output, verdict.deviation)]
    judge(other)
    for value, kept in zip((*output, verdict.deviation), before, strict=True):
        np.testing.assert_array_equal(value, kept)


def test_observations_of_another_shape_are_refused():
    monitor, _ = learned(0, 0, ("frame",), False)
    judge = monitor.bind()
    observe = monitor.network.observe
    try:
        for shorten in (
            lambda seen: seen._replace(activations=(seen.activations[0][:, :-1], *seen.activations[1:])),
            lambda seen: seen._replace(logits=seen.logits[:, :-1]),
        ):
            monitor.network.observe = lambda batch, shorten=shorten: shorten(observe(batch))
            broken = monitor.bind()
            with pytest.raises(ValueError, match=r"expected (neurons float32|class scores) \(1, \d+\), got"):
                broken(frames(1, 0)[0])
    finally:
        monitor.network.observe = observe
    check_frame(monitor, judge, frames(1, 0)[0])


def test_the_neurons_of_the_layers_that_spoke_are_named():
    network = Puppet("none")
    criteria = {"a:unit": SingleRange(), "d:pixel": MultiRange(4), "c": Mahalanobis(), "q": Gaussian()}
    monitor = Monitor(network, criteria | {"b": NearestNeighbour(capacity=8)})
    monitor.profile([frames(200, 1)], minimum_per_class=1)
    monitor.calibrate([frames(200, 2)], 0.1)
    judge = monitor.bind()
    assert tuple(judge.neurons(monitor.columns)) == ()
    frame = frames(1, 9)[0] * 0.1
    frame[1, 2, 3] = 40
    _, verdict = judge(frame)
    assert verdict.status == Status.ALARM
    found = judge.neurons(("a:unit single_range",))
    judge(frames(1, 3)[0])  # the values were copied
    assert (tuple(found), repr(found), copy.copy(found)) == (("a:unit[27]",), "('a:unit[27]',)", ("a:unit[27]",))
    judge(frame)
    assert judge.neurons(("d:pixel multi_range",))[0] == "d:pixel[1]"
    assert judge.neurons(("c:unit mahalanobis",))[0] == "c:unit[3]"
    assert tuple(judge.neurons(("b:channel nearest_neighbour",))) == ()
    assert "q:unit[27]" in judge.neurons(("q:unit gaussian",))
    assert len(judge.neurons(monitor.columns)) <= 8


class Odd(Puppet):
    """Class scores in another dtype or layout, or a map beside columns that are of no place."""

    def __init__(self, change, scores="frame"):
        super().__init__(scores)
        self.change = change

    def observe(self, batch):
        seen = super().observe(batch)
        return seen._replace(logits=None if seen.logits is None else self.change(seen.logits))


@pytest.mark.parametrize(
    "change", [np.float64, np.float16, np.asfortranarray, lambda logits: logits[:, ::-1].copy()[:, ::-1]]
)
def test_class_scores_of_another_dtype_or_layout_are_the_same_numbers(change):
    monitor, _ = learned(0, 0, ("frame",), False)
    batch = np.round(frames(6, 21))  # numbers that float16 holds
    expected = monitor.check(batch)[1]
    other = Monitor.of(Odd(change), monitor.learned, monitor.logic, monitor.calibration)
    np.testing.assert_array_equal(other.check(batch)[1].score, expected.score)


def test_nothing_of_a_batch_is_left_for_the_next():
    network = Puppet("map")
    monitor = Monitor(network, {"a:unit": SingleRange(), "b": SingleRange()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([frames(100, 1)], minimum_per_class=0)
        monitor.calibrate([frames(100, 2)], 0.1)
    batch = frames(4, 3)
    expected = monitor.check(batch)[1].score
    broken = batch.copy()
    broken[0, 0, 0, 0] = np.nan
    network.broken = (6, np.nan)  # the last place of the map, of the last frame
    assert np.isposinf(monitor.check(batch)[1].score[-1])
    network.broken = None
    np.testing.assert_array_equal(monitor.check(batch)[1].score, expected)
    assert np.isposinf(monitor.check(broken)[1].score[0])
    np.testing.assert_array_equal(monitor.check(batch)[1].score, expected)


def test_a_judge_is_of_what_the_monitor_judges_by_and_holds_no_batch():
    monitor, _ = learned(0, 0, ("frame",), False)
    copied = copy.deepcopy(monitor)
    batch = frames(3, 5)
    expected = monitor.check(batch)[1].score
    np.testing.assert_array_equal(copied.check(batch)[1].score, expected)
    output = monitor.check(batch)[0][1]
    alive = weakref.ref(output)
    del output
    assert alive() is None
    copied.network = Odd(lambda logits: logits[:, ::-1])
    assert not np.array_equal(copied.check(batch)[1].deviation, monitor.check(batch)[1].deviation)
    copied.network, copied.logic = monitor.network, MaxZ(log=False)
    with pytest.raises(KeyError):
        copied.check(batch)
    with pytest.raises(KeyError):
        copied(batch[0])


@pytest.mark.parametrize("fixed", [True, False], ids=["bound", "new arrays"])
def test_frames_alone_keep_the_axes_that_are_no_batch(monkeypatch, fixed):
    """One best row over the batch (1, 4), one number over it, scores, and the highest score of the frame."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import helper, numpy_helper

    from outrider.networks import OnnxNetwork

    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("ReduceMax", ["r"], ["best"], axes=[0], keepdims=1),
        helper.make_node("ReduceSum", ["r"], ["sum"], keepdims=0),
        helper.make_node("Neg", ["r"], ["y"]),
        helper.make_node("ReduceSum", ["r", "one"], ["row"], keepdims=0),
    ]
    outputs = [helper.make_empty_tensor_value_info(name) for name in ("best", "sum", "y", "row")]
    one = numpy_helper.from_array(np.array([1]), "one")
    graph = helper.make_graph(nodes, "t", [helper.make_tensor_value_info("x", 1, ("n", 4))], outputs, [one])
    data = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    network = OnnxNetwork(data, taps="r", classes=None)
    if not fixed:
        monkeypatch.setattr(network, "buffered", lambda size: Network.buffered(network, size))
    monitor = Monitor(network, SingleRange())
    frames = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([frames[:30]], minimum_per_class=0)
        monitor.calibrate([frames[30:]], 0.1)
    judge = monitor.bind()
    assert (judge.source is not None) == fixed
    kept = [judge(frame)[0] for frame in frames[:3]]
    for frame, output in zip(frames, kept, strict=False):
        raised = np.maximum(frame, 0)
        assert [np.shape(value) for value in output] == [(1, 4), (), (4,), ()]
        for found, expected in zip(output, (raised[None], raised.sum(), -raised, raised.sum()), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
