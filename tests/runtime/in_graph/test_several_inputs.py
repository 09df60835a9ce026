"""Guarded models of several inputs, and recurrent ones, against the monitor outside the graph."""

from __future__ import annotations

import warnings

import numpy as np
import onnxruntime as ort
import pytest

from outrider.coverage import SingleRange
from outrider.monitor import Monitor, OutriderWarning
from outrider.networks import OnnxNetwork, Recurrent
from outrider.runtime import export, guard_facts

from ..several import cell_model, fused_frames, fused_model
from .guarding import LOUD


def taught(path, network, frames):
    monitor = Monitor(network, SingleRange())
    monitor.profile([frames(1500, 1)], minimum_per_class=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", LOUD, OutriderWarning)
        monitor.calibrate([frames(400, 2)], 0.05)
    monitor.save(path)
    return monitor


def session(path):
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def test_both_inputs_are_judged_in_the_graph(tmp_path):
    path, profile, guarded = tmp_path / "m.onnx", tmp_path / "m.outrider", tmp_path / "guarded.onnx"
    path.write_bytes(fused_model())
    monitor = taught(profile, OnnxNetwork(path, taps="auto"), fused_frames)
    facts = export(path, profile, guarded)
    assert [(one["name"], one["shape"]) for one in facts["inputs"]] == [("camera", [1, 6, 5]), ("speed", [4])]
    assert guard_facts(guarded)["inputs"] == facts["inputs"]
    batch = fused_frames(6, 3)
    batch["speed"][1] *= 50
    batch["camera"][2, 0, 0, 0] = np.inf
    batch["speed"][4, 3] = np.nan
    runs = session(guarded)
    got = dict(zip([one.name for one in runs.get_outputs()], runs.run(None, batch), strict=True))
    output, verdicts = monitor.check(batch)
    np.testing.assert_array_equal(got["scores"], output)
    np.testing.assert_array_equal(got["outrider_alarm"], verdicts.alarm)
    np.testing.assert_array_equal(np.isinf(got["outrider_score"]), [False, False, True, False, True, False])
    fine = np.isfinite(verdicts.score)
    np.testing.assert_allclose(got["outrider_score"][fine], verdicts.score[fine], rtol=1e-5)
    assert verdicts.alarm[1]


def test_a_recurrent_graph_keeps_its_states_as_inputs_and_outputs(tmp_path):
    path, profile, guarded = tmp_path / "m.onnx", tmp_path / "m.outrider", tmp_path / "guarded.onnx"
    path.write_bytes(cell_model())
    network = Recurrent(OnnxNetwork(path, taps="auto", classes=None), {"h_in": "h_out"})
    monitor = taught(profile, network, lambda n, seed: fused_frames(n, seed)["camera"])
    facts = export(path, profile, guarded)
    assert facts["states"] == {"h_in": "h_out"}
    cameras = fused_frames(6, 3)["camera"]
    cameras[3] *= 9
    network.reset()
    output, verdicts = monitor.check(cameras)
    runs, state = session(guarded), np.zeros((1, 4), np.float32)
    for row, camera in enumerate(cameras):
        scores, state, score, _, alarm, _ = runs.run(None, {"camera": camera[None], "h_in": state})
        np.testing.assert_array_equal(scores[0], output[0][row])
        assert score[0] == pytest.approx(verdicts.score[row], rel=1e-5)
        assert alarm[0] == verdicts.alarm[row]
    assert verdicts.alarm[3]
