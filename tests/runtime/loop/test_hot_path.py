"""After `warm_up` a frame compiles nothing, allocates its verdict and nothing else, and never waits."""

from __future__ import annotations

import logging
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from numba.core.dispatcher import Dispatcher  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from outrider.coverage import (  # noqa: E402
    Box,
    CoverageBitmap,
    Mahalanobis,
    Margin,
    NearestNeighbour,
    NeuronRank,
    Pattern,
    RelativeMahalanobis,
    SingleRange,
)
from outrider.monitor import HarmonicP, Monitor, OutriderWarning, Status  # noqa: E402
from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.runtime import Guard  # noqa: E402
from outrider.runtime.log import log as log_module  # noqa: E402
from outrider.runtime.log.log import EventLog  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the profile tells its own data")
ROOMS = [str(Path(__file__).parents[3] / room / "*") for room in ("networks", "coverage", "monitor", "runtime")]
PEAK = 1024
"""Bytes that a frame may hold at its highest: a verdict (96), its deviations (112 and the numbers), the output (112 and
the numbers), the pair of both (56), views of 112 of the frame on its way, and a dozen
numbers of 24 to 32. A single array for the activations of the network below would take more."""
FRAMES = 200


def model():
    """Scores (n, 2) of frames (n, 1, 16, 16), behind a ReLU with 6 * 16 * 16 units: 6 KB."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(6, 1, 3, 3)), "d": rng.normal(size=(6, 2)), "b": [0, 3.6]}  # both classes are seen
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Relu", ["p"], ["q"]),
        helper.make_node("Flatten", ["q"], ["f"]),
        helper.make_node("Gemm", ["f", "d", "b"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, ("n", 1, 16, 16))],
        [helper.make_tensor_value_info("y", 1, ("n", 2))],
        [numpy_helper.from_array(np.float32(value), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def frames(n, seed=0):
    return np.random.default_rng(seed).random((n, 1, 16, 16), np.float32)


def tapped(form, dtype):
    """Scores (n, 2) of frames (n, 1, 16, 16), behind a tensor t of 6 * 16 * 16 numbers of this form and dtype."""
    rng = np.random.default_rng(0)
    arrays = {
        "w": rng.normal(size=(6, 1, 3, 3)).astype(np.float32), "d": rng.normal(size=(1536, 2)).astype(np.float32),
        "kernel": rng.normal(size=(6, 6, 1)).astype(np.float32), "signal": np.array([0, 6, 256]),
        "beams": np.array([-1, 16, 16]), "tokens": np.array([0, 16, 96]), "flat": np.array([-1, 1536]),
        "step": np.float32(0.1), "zero": np.array(np.iinfo(dtype).min if "int" in dtype else 0, dtype),
    }  # fmt: skip
    nodes = [helper.make_node("Conv", ["x", "w"], ["map"], pads=[1, 1, 1, 1])]

    def then(op, *inputs, **attributes):
        nodes.append(helper.make_node(op, [nodes[-1].output[0], *inputs], [f"v{len(nodes)}"], **attributes))

    if form == "NHWC":
        then("Transpose", perm=[0, 2, 3, 1])
    elif form in ("NCL", "NLC"):
        then("Reshape", "signal")
        then("Conv", "kernel") if form == "NCL" else then("Transpose", perm=[0, 2, 1])
    elif form in ("merged heads", "joint heads"):
        then("Reshape", "beams" if form == "merged heads" else "tokens")
    elif form == "NC":
        then("Flatten")
    if "int" not in dtype:
        then("Cast", to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    if form == "joint heads":
        last = nodes[-1].output[0]
        then("MultiHeadAttention", last, last, num_heads=6, domain="com.microsoft")
    elif "heads" in form:
        last = nodes[-1].output[0]
        then("Softmax")
        then("MatMul", last)
    else:
        then("Relu")
    if "int" in dtype:
        then("QuantizeLinear", "step", "zero")
    nodes[-1].output[0] = "t"
    then("DequantizeLinear", "step", "zero") if "int" in dtype else then("Cast", to=1)
    then("Reshape", "flat")
    then("MatMul", "d")
    nodes[-1].output[0] = "y"
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, ("n", 1, 16, 16))],
        [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(v, name) for name, v in arrays.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 21 if dtype == "int16" else 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def segmenter(dtype, axes):
    """A map of the scores of 5 classes, in this order of axes, behind a ReLU."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(6, 1, 3, 3)), "v": rng.normal(size=(5, 6, 1, 1))}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["t"]),
        helper.make_node("Conv", ["t", "v"], ["s"]),
        helper.make_node("Cast", ["s"], ["h"], to=kind),
        helper.make_node("Transpose", ["h"], ["y"], perm=axes),
    ]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, ("n", 1, 16, 16))],
        [helper.make_empty_tensor_value_info("y")],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


CRITERIA = {
    "defaults": (("first:unit", "auto"), None),
    "ranges of units": ("auto:unit", {"@relu": SingleRange()}),
    "scratch": ("auto:unit", {"@relu": [NeuronRank(top=4), NearestNeighbour(capacity=8), Pattern(), Box(capacity=8)]}),
    "class scores": (
        ("auto",),
        {"@relu:channel": [RelativeMahalanobis(), Box()], "@output": [Margin(), RelativeMahalanobis()]},
    ),
    "harmonic mean": (
        ("first:unit", "auto"),
        {
            "@relu:unit": SingleRange(),
            "@output": [Margin(), Mahalanobis()],
            "@relu:channel": [Mahalanobis(), SingleRange(), RelativeMahalanobis()],
        },
    ),
    "pixels": ("auto:pixel", {"*:pixel": CoverageBitmap()}),
}


@pytest.fixture(params=CRITERIA)
def watching(request, tmp_path, monkeypatch):
    """A guard with everything on, and frames that it takes for clean."""
    monkeypatch.setattr(log_module, "_FIRST_SUMMARY_SECONDS", 60.0)  # what waits for the log's thread is not the loop's
    taps, criteria = CRITERIA[request.param]
    logic = HarmonicP() if request.param == "harmonic mean" else None
    monitor = Monitor(OnnxNetwork(model(), taps=taps), criteria, logic=logic)
    monitor.profile([frames(60 if request.param == "pixels" else 400)], minimum_per_class=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the profile tells its own data")
        monitor.calibrate([frames(400, 1)], 0.02)
    log = EventLog(tmp_path / "events.jsonl")
    guard = Guard(monitor, deadline=60, frozen=10, silence=60, alarm=(3, 5), clear=(3, 5), log=log)
    clean = [frame for frame in frames(FRAMES, 2) if monitor(frame)[1].status == Status.OK]
    with log, guard:
        yield guard, clean


def test_nothing_is_left_behind_and_little_is_held(watching):
    guard, clean = watching
    for frame in clean:
        guard(frame)
    peaks = []
    tracemalloc.start(4)
    try:
        guard(clean[0])
        before = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, room) for room in ROOMS])
        for frame in clean:
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            _, verdict = guard(frame)
            peaks.append(tracemalloc.get_traced_memory()[1] - held)
            assert verdict.status == Status.OK
        del verdict
        after = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, room) for room in ROOMS])
    finally:
        tracemalloc.stop()
    grown = sum(difference.size_diff for difference in after.compare_to(before, "filename"))
    assert grown < 512, "more than the numbers of the guard's state, which changed their place"
    assert np.quantile(peaks, 0.9) <= PEAK + told_of_places(guard, clean[0])


MAPS = ("unit", "channel", "channel-max", "grid2", "grid3", "pixel")
HEADS = ("unit", "channel", "channel-max", "head")
FORMS = {
    "NC": ("unit",), "NLC": MAPS, "NCL": MAPS, "NCHW": MAPS, "NHWC": MAPS, "heads": HEADS, "merged heads": HEADS,
    "joint heads": HEADS,
}  # fmt: skip
LAYOUTS = {"heads": "NHLC", "merged heads": "NHLC", "joint heads": "NLHC"}
KINDS = [
    *((form, dtype) for form in FORMS for dtype in ("float32", "float16")),
    *(
        (form, dtype)
        for form in ("NC", "NLC", "NCL", "NCHW", "NHWC")
        for dtype in ("float64", "uint8", "int8", "int16")
    ),
]


def told_of_places(guard, frame):
    """The bytes of a verdict on places and of its arrays, which are the caller's own as its output is."""
    places = guard.monitor(frame)[1].places
    arrays = () if places is None else (one for one in (places.map, places.classes) if one is not None)
    return sum(one.nbytes for one in arrays) + 2 * sys.getsizeof(places)


def peak_of(guard, clean):
    """The most that nine of ten frames held beyond what was held before: other threads allocate too."""
    for frame in clean[:3]:
        guard(frame)
    peaks = []
    tracemalloc.start(1)
    try:
        for frame in clean:
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            guard(frame)
            peaks.append(tracemalloc.get_traced_memory()[1] - held)
    finally:
        tracemalloc.stop()
    return np.quantile(peaks, 0.9)


@pytest.mark.parametrize(("form", "dtype"), KINDS)
def test_every_kind_of_tap_is_read_into_arrays_that_are_there(form, dtype):
    """The arrays hold what `observe` makes anew."""
    network = OnnxNetwork(tapped(form, dtype), taps=[f"t:{way}" for way in FORMS[form]], exact=True)
    assert {(tap.layout, tap.dtype) for tap in network.taps[:-1]} == {(LAYOUTS.get(form, form), dtype)}
    room = network.buffered(1)
    for seed in range(2):
        found, expected = (one.observe(frames(1, seed)).activations for one in (room, network))
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    monitor = Monitor(network, {"t": SingleRange()})
    monitor.profile([frames(100)], minimum_per_class=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "1 of 2 classes alarm far more often", OutriderWarning)  # 3 frames of it do
        monitor.calibrate([frames(100, 1)], 0.05)
    clean = [frame for frame in frames(40, 2) if monitor(frame)[1].status == Status.OK]
    with Guard(monitor) as guard:
        assert peak_of(guard, clean) <= PEAK + told_of_places(guard, clean[0])


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_of_a_map_of_scores_no_more_is_held_than_its_output(dtype, axes):
    network = OnnxNetwork(segmenter(dtype, axes), taps="t:pixel", classes="pixel", exact=True)
    monitor = Monitor(network, {"t": SingleRange()})
    monitor.profile([frames(100)], minimum_per_class=0)
    monitor.calibrate([frames(100, 1)], 0.05)
    clean = [frame for frame in frames(40, 2) if monitor(frame)[1].status == Status.OK]
    with Guard(monitor) as guard:
        assert peak_of(guard, clean) <= PEAK + network.run(frames(1)).nbytes + told_of_places(guard, clean[0])


def kernels():
    """Every compiled loop of ours but those that are only ever inlined into another."""
    rooms = ("outrider.coverage.kernels.", "outrider.monitor.kernels.", "outrider.runtime.loop.kernels")
    loaded = [module for name, module in sys.modules.items() if name.startswith(rooms)]
    found = {id(value): value for module in loaded for value in vars(module).values() if isinstance(value, Dispatcher)}
    return [loop for loop in found.values() if loop.signatures]


def test_nothing_is_compiled(watching):
    guard, clean = watching
    loops = [*kernels(), guard.frame_check.facts]
    assert len(loops) > 40

    def compiled():
        return [(len(loop.signatures), sum(loop.stats.cache_misses.values())) for loop in loops]

    before = compiled()
    for frame in clean:
        guard(frame)
    guard(np.full_like(clean[0], 50) * clean[0])
    assert compiled() == before


def test_nothing_is_logged_by_logging(watching, monkeypatch):
    guard, clean = watching
    monkeypatch.setattr(logging.Logger, "handle", lambda *_: pytest.fail("a call of logging"))
    for frame in clean:
        assert guard(frame)[1].status == Status.OK


def test_every_loop_releases_the_gil():
    for loop in kernels():
        assert loop.targetoptions["nogil"]
        assert not loop.targetoptions.get("fastmath")
