"""After `warm_up` a frame compiles nothing, allocates its verdict and nothing else, and never waits."""

from __future__ import annotations

import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from numba.core.dispatcher import Dispatcher  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

from outrider.coverage import CoverageBitmap, NearestNeighbour, NeuronRank, SingleRange, kernels  # noqa: E402
from outrider.monitor import Monitor, Status  # noqa: E402
from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.runtime import Guard  # noqa: E402
from outrider.runtime.event_log import EventLog  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:the profile tells its own data")
ROOMS = [str(Path(__file__).parents[2] / room / "*") for room in ("networks", "coverage", "monitor", "runtime")]
PEAK = 1024
"""Bytes that a frame may hold at its highest: a verdict (96), its deviations (112 and the numbers), the output (112 and
the numbers), the pair of both (56), views of 112 of the frame on its way, and a dozen
numbers of 24 to 32. A single array for the activations of the network below would take more."""
FRAMES = 200


def model():
    """Scores (n, 2) of frames (n, 1, 16, 16), behind a ReLU with 6 * 16 * 16 units: 6 KB."""
    rng = np.random.default_rng(0)
    weights = {"w": rng.normal(size=(6, 1, 3, 3)), "d": rng.normal(size=(6, 2))}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Relu", ["p"], ["q"]),
        helper.make_node("Flatten", ["q"], ["f"]),
        helper.make_node("MatMul", ["f", "d"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info("x", 1, ("n", 1, 16, 16))],
        [helper.make_tensor_value_info("y", 1, ("n", 2))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def frames(n, seed=0):
    return np.random.default_rng(seed).random((n, 1, 16, 16), np.float32)


CRITERIA = {
    "defaults": (("first:unit", "auto"), None),
    "ranges of units": ("auto:unit", {"@relu": SingleRange()}),
    "scratch": ("auto:unit", {"@relu": [NeuronRank(top=4), NearestNeighbour(capacity=8)]}),
    "pixels": ("auto:pixel", {"*:pixel": CoverageBitmap()}),
}


@pytest.fixture(params=CRITERIA)
def watching(request, tmp_path):
    """A guard with everything on, and frames that it takes for clean."""
    taps, criteria = CRITERIA[request.param]
    monitor = Monitor(OnnxNetwork(model(), taps=taps), criteria)
    monitor.profile([frames(400)], minimum_per_class=0)
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
    assert max(peaks) <= PEAK


def test_nothing_is_compiled(watching):
    guard, clean = watching
    loops = [value for value in vars(kernels).values() if isinstance(value, Dispatcher)]
    loops += kernels.frame_facts.values()
    assert len(loops) > 30

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
    for loop in [value for value in vars(kernels).values() if isinstance(value, Dispatcher)]:
        assert loop.targetoptions["nogil"]
        assert not loop.targetoptions.get("fastmath")
