"""A guard of a network with several inputs, and of a recurrent one."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, Status
from outrider.networks import OnnxNetwork, Recurrent
from outrider.runtime import EventLog, Guard

from ..several import cell_model, fused_frames, fused_model


def frame(seed, **changed):
    return {name: part[0] for name, part in fused_frames(1, seed).items()} | changed


def taught(network, frames):
    monitor = Monitor(network, SingleRange())
    monitor.profile([frames(1500, 1)], minimum_per_class=1)
    monitor.calibrate([frames(400, 2)], 0.05)
    return monitor


@pytest.fixture(scope="module")
def monitor():
    return taught(OnnxNetwork(fused_model(), taps="auto", classes=None), fused_frames)


def test_a_frame_is_judged_as_by_the_monitor_and_faults_name_the_input(monitor):
    with Guard(monitor, frozen=2) as guard:
        for form in (dict, lambda named: tuple(named.values())):
            output, verdict = guard(form(frame(7)))
            expected, own = monitor(frame(7))
            np.testing.assert_array_equal(output, expected)
            assert verdict.score == own.score
            guard.reset()
        speed = frame(3)["speed"]
        assert guard(frame(4, speed=speed))[1].status == Status.OK
        assert guard(frame(5, speed=speed))[1].status == Status.OK  # a vector may stand still
        output, verdict = guard(frame(6, speed=speed * np.nan))
        assert (verdict.status, verdict.reason) == (Status.FAULT, "input speed: the frame holds NaN or Inf")
        assert output.shape == (3,)
        output, verdict = guard(frame(6, speed=speed[:2]))
        assert verdict.reason == "input speed: expected a frame of shape (4,), got (2,)"
        assert output is None
        assert guard(frame(6))[1].status == Status.STALE


def test_a_bare_run_takes_all_inputs(monitor):
    with Guard(monitor) as guard:
        output, verdict = guard(frame(7), captured=-1e9)
        assert verdict.status == Status.FAULT
        np.testing.assert_array_equal(output, monitor(frame(7))[0])


def test_the_log_shows_the_picture_among_the_inputs(monitor, tmp_path):
    with EventLog(tmp_path / "events.jsonl") as log, Guard(monitor, log=log) as guard:
        guard(frame(7, speed=np.full(4, np.nan, np.float32)))
        assert guard.raised is None
    kept = list((tmp_path / "events.frames").iterdir())
    assert len(kept) == 1


def test_reset_and_warm_up_begin_a_recurrent_network_anew():
    network = Recurrent(OnnxNetwork(cell_model(), taps="auto", classes=None), {"h_in": "h_out"})
    monitor = taught(network, lambda n, seed: fused_frames(n, seed)["camera"])
    cameras = fused_frames(5, 9)["camera"]
    network.reset()
    expected = [monitor(camera)[1].score for camera in cameras]
    with Guard(monitor) as guard:
        assert not np.any(network.memory["h_in"])
        for _ in range(2):
            assert [guard(camera)[1].score for camera in cameras] == expected
            assert np.any(network.memory["h_in"])
            guard.reset()


def test_frames_of_several_inputs_and_streams_run_in_one_batch(monitor):
    given = {"left": frame(7), "right": tuple(frame(8).values()), "rear": frame(9)}
    with Guard(monitor, streams=tuple(given)) as guard:
        found = guard.many(given | {"rear": frame(9, camera=np.zeros(3, np.float32))})
        for name in ("left", "right"):
            expected, own = monitor(given[name])
            np.testing.assert_allclose(found[name][0], expected, rtol=1e-5)
            assert (found[name][1].status, found[name][1].score) == (own.status, own.score)
        assert (found["rear"][0], found["rear"][1].status) == (None, Status.FAULT)
        assert "input camera: expected a frame of shape" in found["rear"][1].reason


def test_each_stream_of_a_recurrent_network_has_states_of_its_own():
    network = Recurrent(OnnxNetwork(cell_model(), taps="auto", classes=None), {"h_in": "h_out"})
    monitor = taught(network, lambda n, seed: fused_frames(n, seed)["camera"])
    cameras = fused_frames(6, 9)["camera"]
    alone = {}
    for name, frames in (("left", cameras[::2]), ("right", cameras[1::2])):
        network.reset()
        alone[name] = [monitor(one)[1].score for one in frames]
    with Guard(monitor) as guard:
        found = [
            guard.many({"left": left, "right": right}) for left, right in zip(cameras[::2], cameras[1::2], strict=True)
        ]
    for name, expected in alone.items():
        assert [one[name][1].score for one in found] == expected
