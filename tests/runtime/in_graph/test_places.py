"""Monitors of places in the graph: maps, scores and deviations are those outside."""

from __future__ import annotations

import warnings

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from outrider.coverage import (
    Box,
    ClassMahalanobis,
    CoverageBitmap,
    Energy,
    Gaussian,
    Mahalanobis,
    Margin,
    MultiRange,
    Neighbours,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
    Softmax,
)
from outrider.monitor import HarmonicP, Monitor, OutriderWarning, Sum, Votes
from outrider.monitor.places import LargestArea, WorstPlace
from outrider.networks import OnnxNetwork, Tap
from outrider.runtime import export
from outrider.runtime.in_graph import places
from outrider.runtime.in_graph.guarded_model import guard_facts

from .guarding import LEAK, SHAPE, frames, mixed, model, run, taught

CLASSES = 3


def segmenter(path, last=False, dtype=TensorProto.FLOAT, opset=17, shape=SHAPE):
    """The small network with a map of scores of 3 classes at half the size; class 2 where a frame is very red."""
    made = model(opset, dtype=dtype, shape=shape)
    half = dtype == TensorProto.FLOAT16
    kind = np.float16 if half else np.float32
    nodes = [("AveragePool", "f", "means", {"kernel_shape": (2, 2), "strides": (2, 2)}), ("Conv", "means w5 b5", "map")]
    if last:
        nodes[1] = ("Conv", "means w5 b5", "first")
        nodes.append(("Transpose", "first", "map", {"perm": (0, 2, 3, 1)}))
    del made.graph.node[-6:]
    for op, names, end, *more in nodes:
        made.graph.node.append(helper.make_node(op, names.split(), [end], **(more[0] if more else {})))
    weights = np.array([[1, 0, 0], [-1, 0, 0], [40, 0, 0]]).reshape(3, 3, 1, 1).astype(kind)
    for name, values in (("w5", weights), ("b5", np.array([0, 0, -120]).astype(kind))):
        made.graph.initializer.append(numpy_helper.from_array(values, name))
    del made.graph.output[:]
    sizes = [size // 2 for size in shape[1:]]
    shape = ["n", *sizes, 3] if last else ["n", 3, *sizes]
    made.graph.output.append(
        helper.make_tensor_value_info("map", TensorProto.FLOAT16 if half else TensorProto.FLOAT, shape)
    )
    onnx.save(made, path)
    return path


def watched(path, taps, criteria, logic, n=120, **options):
    """A calibrated monitor of places, and its profile."""
    monitor = Monitor(OnnxNetwork(path, taps=taps, **options), criteria, logic=logic)
    dtype, shape = monitor.network.inputs[0].dtype, monitor.network.input_shape
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\d of \d classes have fewer than 5 trusted frames", OutriderWarning)
        warnings.filterwarnings("ignore", r"\d of \d+ held-out frames were left out", OutriderWarning)
        warnings.filterwarnings("ignore", LEAK, OutriderWarning)
        monitor.profile([frames(n, 1, dtype, shape)])
        monitor.calibrate([frames(n, 2, dtype, shape)], 0.1)
    monitor.save(path.with_suffix(".outrider"))
    return monitor, path.with_suffix(".outrider")


def guarded(path, monitor, profile, batch):
    """What the guarded model says of a batch, held against the bare model and the monitor."""
    export(path, profile, path.with_name("guarded.onnx"))
    got = run(path.with_name("guarded.onnx"), batch)
    output, verdicts = monitor.check(batch)
    bare = next(name for name in got if not name.startswith("outrider_"))
    np.testing.assert_array_equal(got[bare], output)
    np.testing.assert_array_equal(got["outrider_alarm"], verdicts.alarm)
    for name, expected in (("score", verdicts.score), ("deviation", verdicts.deviation), ("map", verdicts.maps)):
        if expected is not None:
            assert got[f"outrider_{name}"].dtype == np.float32
            np.testing.assert_allclose(got[f"outrider_{name}"], expected, rtol=2e-4, atol=2e-5)
    return got, verdicts


CRITERIA = {
    "range": SingleRange(),
    "magnitude": SingleRange(quantile=0.02, magnitude=True),
    "sections": MultiRange(sections=8),
    "bitmap": CoverageBitmap(),
    "gaussian": Gaussian(),
    "distance": Mahalanobis(),
    "relative": RelativeMahalanobis(),
    "patterns": Pattern(capacity=40),
    "boxes": Box(capacity=32),
    "distance by class": ClassMahalanobis(),
    "neighbours": Neighbours(samples=200, centres=8),
}
PLACES = ["r1:pixel2", "r2:pixel"]


@pytest.mark.parametrize("logic", [LargestArea(smooth=3), WorstPlace(smooth=1)], ids=lambda logic: logic.name)
@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_map_in_the_graph_is_that_outside(criterion, logic, tmp_path):
    path = segmenter(tmp_path / "bare.onnx")
    pair = watched(path, ["r1:pixel3", "r2:pixel"], CRITERIA[criterion], logic, classes="pixel")
    got, verdicts = guarded(path, *pair, mixed())
    assert got["outrider_map"].shape == (60, 4, 4)
    assert len(np.unique(verdicts.score)) > 5


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("opset", [11, 18])
def test_scores_of_places_and_witnesses(last, opset, tmp_path):
    path = segmenter(tmp_path / "bare.onnx", last, opset=opset)
    criteria = {
        "map:pixel2": [Energy(), Margin(), Softmax()],
        "r1:pixel": Mahalanobis(),
        "r2:channel": [SingleRange(), Gaussian()],
    }
    taps = ["@output:pixel2", "r1:pixel", "r2:channel"]
    monitor, profile = watched(path, taps, criteria, LargestArea(smooth=3), classes="pixel")
    got, verdicts = guarded(path, monitor, profile, mixed())
    assert got["outrider_deviation"].shape == (60, 6)
    assert got["outrider_map"].shape == (60, 8, 8)
    assert 0 < verdicts.alarm.mean() < 1


def test_a_smoothed_map_and_windows_of_which_the_last_are_partial(tmp_path):
    shape = 3, 18, 42
    path = segmenter(tmp_path / "bare.onnx", shape=shape)
    criteria = {"r1:pixel": [SingleRange(), Gaussian()], "r1:pixel4": Mahalanobis(), "r2:pixel": Mahalanobis()}
    monitor, profile = watched(path, list(criteria), criteria, LargestArea(smooth=7, level=0.9), 40, classes="pixel")
    batch = frames(12, 8, shape=shape)
    batch[:6, :, 5:12, 20:31] *= 4
    got, verdicts = guarded(path, monitor, profile, batch)
    assert got["outrider_map"].shape == (12, 18, 42)
    assert verdicts.score[:6].max() > 20
    facts = guard_facts(path.with_name("guarded.onnx"))
    assert facts["outputs"][-1] == "outrider_map"
    level = monitor.logic.level_of(monitor.calibration.scales)
    assert facts["map"] == {"shape": [18, 42], "extent": [18, 42], "level": level, "smooth": 7}


def strange():
    """Frames of which the second sees class 2, which no trusted frame shows, at a place; the third is broken there."""
    batch = frames(4, 6)
    batch[:, 0] = batch[:, 0].clip(-2, 2)
    batch[1, 0, 2:4, 4:6] = 9
    batch[2] = batch[1]
    batch[2, 1, 0, 0] = np.nan
    return batch


@pytest.mark.parametrize("logic", [WorstPlace(smooth=1), LargestArea(smooth=1)], ids=lambda logic: logic.name)
def test_places_of_an_unknown_class_are_surprising_and_numbers_that_are_none_lose_the_frame(logic, tmp_path):
    path = segmenter(tmp_path / "bare.onnx")
    monitor = Monitor(OnnxNetwork(path, taps=PLACES, classes="pixel"), Mahalanobis(), logic=logic)
    trusted = [frames(120, seed) for seed in (1, 2)]
    for batch in trusted:
        batch[:, 0] = batch[:, 0].clip(-2, 2)
    with pytest.warns(OutriderWarning, match="class 2: 0"):
        monitor.profile([trusted[0]], minimum_per_class=1)
    monitor.calibrate([trusted[1]], 0.1)
    assert monitor.learned.trusted.covered_of_map.tolist() == [True, True, False]
    monitor.save(tmp_path / "p.outrider")
    export(path, tmp_path / "p.outrider", tmp_path / "guarded.onnx")
    got, (_, verdicts) = run(tmp_path / "guarded.onnx", strange()), monitor.check(strange())
    whole = [0, 1, 3]
    np.testing.assert_allclose(got["outrider_map"][whole], verdicts.maps[whole], rtol=1e-4)
    np.testing.assert_allclose(got["outrider_score"], verdicts.score, rtol=1e-4)
    np.testing.assert_allclose(got["outrider_deviation"][whole], verdicts.deviation[whole], rtol=1e-4)
    unknown = [np.isinf(values[1]).sum() for values in monitor.deviation_maps(strange()).values()]
    assert unknown == [1, 1]
    assert np.isfinite(got["outrider_deviation"][1]).all()
    assert got["outrider_score"][2] == np.inf
    assert np.isinf(got["outrider_map"][2]).all()
    assert np.isinf(got["outrider_deviation"][2]).all()
    np.testing.assert_array_equal(got["outrider_alarm"], verdicts.alarm)


@pytest.mark.parametrize("logic", [HarmonicP(), Sum(), Votes(k=2)], ids=lambda logic: logic.name)
def test_a_logic_of_frames_takes_the_worst_place(logic, tmp_path):
    path = segmenter(tmp_path / "bare.onnx")
    monitor, profile = watched(path, PLACES, [SingleRange(), Gaussian()], logic, classes="pixel")
    batch = mixed()
    batch[:3, 0, :2, :2] = 9
    got, verdicts = guarded(path, monitor, profile, batch)
    assert "outrider_map" not in got
    assert np.isinf(verdicts.score[:3]).all()


@pytest.mark.parametrize("classes", ["auto", None])
def test_places_are_of_the_class_of_their_frame_where_no_map_tells_them(classes, bare):
    monitor, profile = taught(bare, SingleRange(), LargestArea(smooth=3), taps=PLACES, classes=classes)
    guarded(bare, monitor, profile, mixed())


@pytest.mark.parametrize("dtype", [np.float16, np.uint8])
def test_places_of_other_types(dtype, tmp_path):
    path = segmenter(tmp_path / "bare.onnx", dtype=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    monitor, profile = watched(path, PLACES, SingleRange(), WorstPlace(), classes="pixel")
    guarded(path, monitor, profile, mixed(dtype))


def test_a_signal_is_a_map_of_one_row(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 2, 20])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.random.default_rng(0).normal(size=(3, 2, 3)).astype(np.float32), "w")],
    )  # fmt: skip
    path = tmp_path / "bare.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    signals = [np.random.default_rng(seed).normal(size=(90, 2, 20)).astype(np.float32) for seed in (0, 1, 2)]
    network = OnnxNetwork(path, taps=["r:pixel", "r:pixel3"], classes=None)
    monitor = Monitor(network, Mahalanobis(), logic=LargestArea(smooth=3))
    monitor.profile([signals[0]])
    monitor.calibrate([signals[1]], 0.1)
    monitor.save(tmp_path / "p.outrider")
    signals[2][:30, :, 5:9] *= 3
    got, _ = guarded(path, monitor, tmp_path / "p.outrider", signals[2])
    assert got["outrider_map"].shape == (90, 1, 20)


def test_places_without_a_map_are_told():
    assert places.obstacle(Tap("t", "relu", (4, 6, 6), "NCHW", "float32", "pixel2")) == ""
    assert places.obstacle(Tap("t", "relu", (4, 6, 6), "NCHW", "float32", "channel", rows=5)) == ""
    volume = Tap("t", "relu", (4, 2, 6, 6), "NCDHW", "float32", "pixel")
    assert places.obstacle(volume) == "places of volumes"
    assert (
        places.obstacle(Tap("t", "relu", (4, 6, 6), "NCHW", "float32", "pixel", rows=5))
        == "places of several rows a frame"
    )
