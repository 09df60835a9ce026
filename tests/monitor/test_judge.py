"""The plan of a frame against `Monitor.check`, which is the reference: the same verdict to the last bit."""

from __future__ import annotations

import copy
import functools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.coverage import (
    CoverageBitmap,
    Gaussian,
    Mahalanobis,
    MultiRange,
    NearestNeighbour,
    NeuronRank,
    SingleRange,
    Softmax,
)
from outrider.monitor import MaxZ, Monitor, Normalised, SmallestP, Status, Sum, Verdict, Votes, ZScore
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
]
LOGICS = [Sum(), Normalised(), ZScore(), ZScore(log=False), MaxZ(), Votes(1), Votes(2), Votes(0), SmallestP()]
SHAPE, CLASSES = (2, 4, 4), 4
PIXELS = tuple(range(32))


class Puppet(Network):
    """Activations that the frame itself decides: units, channels, pixels of two resolutions and codes.

    The last value of a frame is what one neuron, or one class score, is replaced by: `broken` says which.
    """

    engine, fingerprint, preprocessing, input_shape = "numpy", "0" * 64, None, SHAPE

    def __init__(self, scores="frame", dtype=np.float32):
        self.scores, self.dtype_of_map, self.broken = scores, dtype, None
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
        monitor.calibrate(
            [frames(400, 2)], 0.1, per_class=True, warning_rate=0.4 if warning else None
        )  # fmt: skip
    return monitor, monitor.bind()


def assert_same(monitor, plan, frame, finite=False):
    expected_output, verdicts = monitor.check(frame[None])
    output, verdict = plan(frame, finite)
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
    st.sampled_from([0.1, 1.0, 3.0, 1e30]),
    oddities,
    st.none() | st.tuples(st.sampled_from(PIXELS), st.sampled_from([np.nan, np.inf, 1e38])),
)
@settings(deadline=None, max_examples=400)
def test_the_plan_gives_the_verdict_of_check(which, logic, scores, warning, seed, size, broken, pixel):
    monitor, plan = learned(which, logic, scores, warning)
    frame = frames(1, seed)[0] * np.float32(size)
    if pixel:
        frame.reshape(-1)[pixel[0]] = pixel[1]
    monitor.network.broken = broken
    with np.errstate(all="ignore"):
        verdict = assert_same(monitor, plan, frame)
        if np.isfinite(frame).all():
            assert_same(monitor, plan, frame, finite=True)
    monitor.network.broken = None
    if np.isfinite(frame).all() and broken is not None and not np.isfinite(broken[1]) and broken[0] < 5:
        assert verdict.status == Status.ALARM
        assert np.isposinf(verdict.score)


def test_every_status_and_kind_of_reason_comes_up():
    """So that the property above is one of all of them."""
    monitor, plan = learned(-1, 8, ("frame",), True)
    seen = [assert_same(monitor, plan, frame) for frame in frames(300, 5)]
    assert {verdict.status for verdict in seen} == {Status.OK, Status.WARN, Status.ALARM}
    assert any("is not covered" in verdict.reason for verdict in seen)
    broken = frames(1, 0)[0]
    broken[0, 0, 0] = np.nan
    assert assert_same(monitor, plan, broken).status == Status.FAULT


def test_a_verdict_and_its_output_stay_as_they_are():
    _, plan = learned(-1, 8, ("frame",), True)
    one, other = frames(2, 8)
    output, verdict = plan(one)
    before = [value.copy() for value in (*output, verdict.deviation)]
    plan(other)
    for value, kept in zip((*output, verdict.deviation), before, strict=True):
        np.testing.assert_array_equal(value, kept)


def test_observations_of_another_shape_are_refused():
    monitor, _ = learned(0, 0, ("frame",), False)
    plan = monitor.bind()
    observe = monitor.network.observe
    try:
        for shorten in (
            lambda seen: seen._replace(activations=(seen.activations[0][:, :-1], *seen.activations[1:])),
            lambda seen: seen._replace(logits=seen.logits[:, :-1]),
        ):
            monitor.network.observe = lambda batch, shorten=shorten: shorten(observe(batch))
            broken = monitor.bind()
            with pytest.raises(ValueError, match=r"expected (neurons|class scores) float32 \(1, \d+\), got"):
                broken(frames(1, 0)[0])
    finally:
        monitor.network.observe = observe
    assert_same(monitor, plan, frames(1, 0)[0])


def test_the_neurons_of_the_layers_that_spoke_are_named():
    network = Puppet("none")
    criteria = {"a:unit": SingleRange(), "d:pixel": MultiRange(4), "c": Mahalanobis(), "q": Gaussian()}
    monitor = Monitor(network, criteria | {"b": NearestNeighbour(capacity=8)})
    monitor.profile([frames(200, 1)], minimum_per_class=1)
    monitor.calibrate([frames(200, 2)], 0.1)
    plan = monitor.bind()
    assert tuple(plan.neurons(monitor.columns)) == ()
    frame = frames(1, 9)[0] * 0.1
    frame[1, 2, 3] = 40
    _, verdict = plan(frame)
    assert verdict.status == Status.ALARM
    found = plan.neurons(("a:unit single_range",))
    plan(frames(1, 3)[0])  # the values were copied
    assert (tuple(found), repr(found), copy.copy(found)) == (("a:unit[27]",), "('a:unit[27]',)", ("a:unit[27]",))
    plan(frame)
    assert plan.neurons(("d:pixel multi_range",))[0] == "d:pixel[1]"
    assert plan.neurons(("c:unit mahalanobis",))[0] == "c:unit[3]"
    assert tuple(plan.neurons(("b:channel nearest_neighbour",))) == ()
    assert "q:unit[27]" in plan.neurons(("q:unit gaussian",))
    assert len(plan.neurons(monitor.columns)) <= 8


ENGINES = {
    "ONNX, channels": lambda: onnx_network(taps="auto", neurons="channel"),
    "ONNX, units and channels": lambda: onnx_network(taps="auto", neurons=("unit", "channel")),
    "ONNX, pixels": lambda: onnx_network(taps="auto", neurons=("pixel", "unit")),
    "ONNX, buffers of its own": lambda: onnx_network(taps="auto", neurons="channel", buffers=1),
    "ONNX, a batch of 4": lambda: onnx_network(batch=4, taps="auto", neurons="channel"),
    "PyTorch, units and channels": lambda: torch_network(taps="auto", neurons=("unit", "channel")),
}


def onnx_network(batch="n", **options):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    helper, rng = onnx.helper, np.random.default_rng(4)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Conv", ["r", "v"], ["d"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["d"], ["s"]),
        helper.make_node("GlobalAveragePool", ["s"], ["p"]),
        helper.make_node("Flatten", ["p"], ["y"]),
    ]
    weights = {"w": rng.normal(size=(5, 2, 3, 3)), "v": rng.normal(size=(4, 5, 3, 3))}
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, (batch, *SHAPE))],
        [helper.make_tensor_value_info("y", 1, (batch, 4))],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    from outrider.networks import OnnxNetwork

    return OnnxNetwork(file, **options)


def torch_network(**options):
    torch = pytest.importorskip("torch")
    from outrider.networks import TorchNetwork

    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3, padding=1), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(80, 4)
    )
    return TorchNetwork(module.eval(), SHAPE, **options)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("criteria", [SingleRange(), None], ids=["ranges", "defaults"])
def test_the_plan_gives_the_verdict_of_check_on_real_networks(engine, criteria):
    network = ENGINES[engine]()
    monitor = Monitor(network, criteria)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile([frames(400, 1)], minimum_per_class=3)
        monitor.calibrate([frames(400, 2)], 0.1, warning_rate=0.3)
    plan = monitor.bind()
    seen = set()
    for seed in range(40):
        frame = frames(1, seed)[0] * np.float32([0.5, 1, 4][seed % 3])
        output, verdict = plan(frame)
        output = output.numpy() if hasattr(output, "numpy") else output
        expected_output, verdicts = monitor.check(frame[None])
        np.testing.assert_array_equal(output, np.asarray(expected_output[0]))
        for name in Verdict.__slots__:
            np.testing.assert_array_equal(getattr(verdict, name), getattr(verdicts[0], name))
        seen.add(verdict.status)
    assert {Status.OK, Status.ALARM} <= seen
