"""Frames of several streams in one batch."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.monitor import Monitor, Status
from outrider.networks import Network, Observation, OnnxNetwork, Tap, Taps
from outrider.networks.inputs import Input
from outrider.runtime import EventLog, Guard, hold_last_safe
from outrider.runtime.log.reader import read_events
from outrider.runtime.loop.together import has_rows, is_finite, row_of, stacked

from ..small_network import CLEAN, STRANGE, calibrated, frames, model
from .guards import SOON, guard

OK, WARN, ALARM, FAULT, STALE = Status
OTHER = frames(1, 8)[0]


class Pair(NamedTuple):
    one: np.ndarray
    two: np.ndarray


class Shown(Network):
    """Another network, which counts the batches that it is shown and may change them and what it says."""

    def __init__(self, network, output=lambda output: output, broken=()):
        self._network, self._output, self._broken, self.sizes = network, output, broken, []
        for name in ("taps", "classes", "input_shape", "engine", "fingerprint", "dtype"):
            setattr(self, name, getattr(network, name))

    def observe(self, batch):
        self.sizes.append(len(batch))
        if len(batch) in self._broken:
            raise RuntimeError(f"no batch of {len(batch)}")
        seen = self._network.observe(batch)
        return seen._replace(output=self._output(seen.output))

    def run(self, batch):
        return self._output(self._network.run(batch))

    def close(self):
        self._network.close()


def small():
    return OnnxNetwork(model(), taps="auto", neurons="unit", classes=None)


def shown(**options):
    """A guard that is warm, and the network that it watches."""
    network = Shown(small(), **options)
    watching = guard(calibrated(network), streams=("left", "right", "rear"))
    network.sizes.clear()
    return watching, network


def assert_as_alone(found, monitor, given):
    """The verdicts and outputs are those of each frame by itself."""
    assert list(found) == list(given)
    for name, frame in given.items():
        output, verdict = monitor(frame)
        np.testing.assert_allclose(found[name][0], output, rtol=1e-5)
        got = found[name][1]
        assert (got.status, got.score, got.threshold, got.layers) == (
            verdict.status, verdict.score, verdict.threshold, verdict.layers,
        )  # fmt: skip
        np.testing.assert_array_equal(got.deviation, verdict.deviation)


def test_frames_of_several_streams_run_in_one_batch():
    watching, network = shown()
    given = {"right": CLEAN, "left": STRANGE, "rear": OTHER}
    found = watching.many(given)
    assert network.sizes == [3]
    assert_as_alone(found, watching.monitor, given)
    assert watching.statuses == {"left": ALARM, "right": OK, "rear": OK}
    assert {name: one.counters.alarms for name, one in watching.metrics.streams.items()} == {
        "left": 1, "right": 0, "rear": 0,
    }  # fmt: skip
    assert watching.many({}) == {}


def test_outputs_are_the_callers(monitor):
    watching = guard(monitor, fallback=hold_last_safe)
    first = watching.many({"left": CLEAN, "right": OTHER})
    kept = {name: output.copy() for name, (output, _) in first.items()}
    assert first["left"][0].base is None
    watching.many({"left": OTHER, "right": CLEAN})
    for name, output in kept.items():
        np.testing.assert_array_equal(first[name][0], output)
    held = watching.many({"left": STRANGE, "right": STRANGE})
    np.testing.assert_allclose(held["right"][0], kept["left"], rtol=1e-5)
    np.testing.assert_allclose(held["left"][0], kept["right"], rtol=1e-5)


@pytest.mark.parametrize(
    ("frame", "reason", "sizes"),
    [
        (CLEAN[:, 1:], "expected a frame of shape", [2]),
        (CLEAN.astype(np.float64), "expected a frame of dtype float32", [2]),
        (None, "expected a numpy array or a torch tensor", [2]),
        (np.full_like(CLEAN, np.nan), "NaN or Inf", [1, 2]),
        (np.full_like(CLEAN, 0.5), "one colour", [1, 2]),
    ],
)
def test_a_frame_that_is_refused_is_not_in_the_batch(frame, reason, sizes):
    watching, network = shown()
    found = watching.many({"left": CLEAN, "right": frame, "rear": OTHER})
    assert network.sizes == sizes
    assert found["right"][1].status == FAULT
    assert reason in found["right"][1].reason
    assert (found["right"][0] is None) == (sizes == [2])
    assert_as_alone({name: found[name] for name in ("left", "rear")}, watching.monitor, {"left": CLEAN, "rear": OTHER})


def test_an_exception_in_the_batch_is_a_fault_of_all_in_it_with_the_networks_outputs():
    watching, network = shown(broken=[2])
    found = watching.many({"left": CLEAN, "right": CLEAN[1:], "rear": OTHER})
    for name, frame in (("left", CLEAN), ("rear", OTHER)):
        assert (found[name][1].status, found[name][1].reason) == (FAULT, "RuntimeError: no batch of 2")
        np.testing.assert_array_equal(found[name][0], network.run(frame[None])[0])
    assert isinstance(watching.raised, RuntimeError)
    assert watching.many({"left": CLEAN})["left"][1].status == OK


@pytest.mark.parametrize(
    "output",
    [
        lambda output: output.sum(axis=0),  # no row per frame
        lambda output: output - output.mean(axis=0, keepdims=True),  # frames change each other's rows
        lambda output: 1 / 0 if len(output) in (2, 3) else output,
    ],
    ids=["without rows", "mixed", "refused"],
)
def test_where_a_batch_says_something_else_frames_run_one_by_one(output):
    watching, network = shown(output=output)
    found = watching.many({"left": CLEAN, "right": STRANGE, "rear": OTHER})
    assert network.sizes == [1, 1, 1]
    assert [verdict.status for _, verdict in found.values()] == [OK, ALARM, OK]
    np.testing.assert_array_equal(found["left"][0], np.squeeze(output(network._network.run(CLEAN[None]))))


def test_as_many_rows_as_frames_by_chance_make_no_batch():
    network = Shown(small())
    network.unbatched = lambda output: output  # rows of what was found, here one in each frame
    watching = guard(calibrated(network), streams=("left", "right"))
    network.sizes.clear()
    watching.many({"left": CLEAN, "right": OTHER})
    assert network.sizes == [1, 1]


def test_outputs_that_lose_their_rows_later_are_faults_and_end_the_batches():
    lost = []
    watching, network = shown(output=lambda output: output[:1] if lost else output)
    lost.append(True)
    found = watching.many({"left": CLEAN, "right": OTHER})
    assert {verdict.status for _, verdict in found.values()} == {FAULT}
    assert "expected outputs of 2 rows for as many frames, got (1, 2)" in found["left"][1].reason
    assert [verdict.status for _, verdict in watching.many({"left": CLEAN, "right": OTHER}).values()] == [OK, OK]
    assert network.sizes == [2, 1, 1]


def test_a_graph_of_a_fixed_batch():
    import onnx

    proto = onnx.load_from_string(model())
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    network = OnnxNetwork(proto.SerializeToString(), taps="auto", neurons="unit", classes=None)
    given = {"left": CLEAN, "right": STRANGE}
    assert_as_alone(guard(calibrated(network)).many(given), calibrated(small()), given)


class AnySize(Network):
    """The mean of frames (n, any, 2); one tap, the mean."""

    engine, fingerprint, classes, input_shape = "test", "0" * 64, None, (None, 2)
    taps = Taps([Tap("mean", "mean", (2,), "NC", "float32", "unit")])

    def run(self, batch):
        return np.ascontiguousarray(batch.mean(axis=1))

    def observe(self, batch):
        self.sizes.append(batch.shape[:2])
        output = self.run(batch)
        return Observation(output, None, (output.copy(),))


def test_frames_of_other_sizes_are_batches_of_their_own():
    network, rng = AnySize(), np.random.default_rng(0)
    network.sizes = []
    monitor = Monitor(network, "single_range")
    monitor.profile([rng.random((100, 5, 2), np.float32)], minimum_per_class=0)
    monitor.calibrate([rng.random((100, 5, 2), np.float32)], 0.05)
    watching = guard(monitor)
    given = {f"camera {i}": rng.random((size, 2), np.float32) for i, size in enumerate((4, 6, 4, 3, 6))}
    network.sizes = []
    found = watching.many(given)
    assert sorted(network.sizes) == [(1, 3), (2, 4), (2, 6)]
    for name, frame in given.items():
        np.testing.assert_allclose(found[name][0], frame.mean(axis=0), rtol=1e-6)


def test_times_are_told_of_all_or_by_stream(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log, guard(monitor, deadline=5.0, log=log) as watching:
        now = time.monotonic()
        given = {"left": CLEAN, "right": OTHER, "rear": CLEAN}
        found = watching.many(given, captured={"left": now - 9, "rear": math.nan}, stamp={"right": 3.0, "left": 4.0})
        assert [verdict.status for _, verdict in found.values()] == [STALE, OK, FAULT]
        assert found["rear"][1].reason == "expected `captured` in seconds, got no number"
        assert watching.metrics.streams["right"].stamp_ns == 3 * 10**9
        assert watching.metrics.streams["rear"].stamp_ns is None
        found = watching.many(given, captured=now - 9, stamp="noon")
        assert {verdict.reason for _, verdict in found.values()} == {"expected `stamp` in seconds, got no time"}
    assert {event.stream: event.stamp_ns for event in read_events(tmp_path / "events.jsonl")} == {
        "left": 4 * 10**9, "right": 3 * 10**9, "rear": None,
    }  # fmt: skip


def test_frozen_pictures_and_silence_count_by_stream(monitor):
    watching = guard(monitor, frozen=2, silence=60.0)
    watching.many({"left": CLEAN, "right": OTHER})
    found = watching.many({"left": CLEAN, "right": CLEAN})
    assert [verdict.status for _, verdict in found.values()] == [STALE, OK]
    assert "the same bytes 2 frames in a row" in found["left"][1].reason
    watching.close()
    assert {verdict.reason for _, verdict in watching.many({"left": CLEAN, "up": CLEAN}).values()} == {
        "the guard is closed"
    }


def test_a_new_calibration_is_held_to(monitor):
    watching = guard(monitor)
    given = {"left": CLEAN, "right": OTHER}
    watching.many(given)
    monitor.calibrate([frames(200, 1)], 0.4)
    found = watching.many(given)
    assert {verdict.threshold for _, verdict in found.values()} == {monitor.calibration.thresholds[0]}
    assert {one.false_alarm_rate for one in watching.metrics.streams.values()} == {0.4}


def test_what_is_no_mapping_or_no_name(monitor):
    watching = guard(monitor)
    with pytest.raises(TypeError, match="expected a frame by the name of each stream, got ndarray"):
        watching.many(frames(2))
    found = watching.many({0: CLEAN, "left": OTHER, 1: CLEAN})
    assert [verdict.status for _, verdict in found.values()] == [FAULT, OK, FAULT]


def test_guards_of_one_network_with_buffers_in_two_threads():
    monitor = calibrated(OnnxNetwork(model(), taps="auto", neurons="unit", classes=None, buffers=2))
    expected = {id(frame): monitor(frame)[0].copy() for frame in (CLEAN, STRANGE, OTHER)}
    guards = [guard(monitor, streams=("left", "right")) for _ in range(2)]
    given = {"left": CLEAN, "right": STRANGE}, {"left": OTHER, "right": CLEAN}

    def judge(which):
        for _ in range(100):
            found = guards[which].many(given[which])
            for name, frame in given[which].items():
                np.testing.assert_allclose(found[name][0], expected[id(frame)], rtol=1e-5)
            assert found["right"][1].status == (ALARM, OK)[which]
        return True

    with ThreadPoolExecutor(2) as pool:
        assert [one.result(SOON) for one in [pool.submit(judge, which) for which in range(2)]] == [True, True]


def test_frames_of_several_inputs_are_stacked_input_by_input():
    class Two:
        inputs = Input("image", (3,)), Input("state", (2,), "float64")

    first, second = (np.zeros(3), np.ones(2)), {"state": np.zeros(2), "image": np.ones(3)}
    image, state = stacked([first, second], Two)
    np.testing.assert_array_equal(image, [[0, 0, 0], [1, 1, 1]])
    np.testing.assert_array_equal(state, [[1, 1], [0, 0]])


def test_the_rows_of_outputs_of_every_form():
    output = {"a": (np.arange(6).reshape(3, 2), [np.arange(3)]), "b": Pair(np.ones(3), np.zeros((3, 1)))}
    assert has_rows(output, 3)
    assert not has_rows(output, 2)
    assert not has_rows((np.ones(3), 3.0), 3)
    row = row_of(output, 1)
    np.testing.assert_array_equal(row["a"][0], [[2, 3]])
    np.testing.assert_array_equal(row["a"][1][0], [1])
    assert isinstance(row["b"], Pair)


def test_what_is_finite():
    assert is_finite(CLEAN)
    assert is_finite((CLEAN, np.ones(2, np.uint8)))
    assert not is_finite({"a": CLEAN, "b": np.float32([np.inf])})
    assert not is_finite("no frame")


def test_without_warming_up_the_first_frame_shows_whether_the_network_remembers():
    network = Shown(small())
    watching = Guard(calibrated(network))
    network.sizes.clear()
    given = {"left": CLEAN, "right": OTHER, "rear": CLEAN}
    for sizes in ([1, 2], [3]):
        assert {verdict.status for _, verdict in watching.many(given).values()} == {OK}
        assert network.sizes == sizes
        network.sizes.clear()
