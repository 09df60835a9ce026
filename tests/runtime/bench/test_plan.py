"""What is timed beside the bare session is what its row says; no figure is looked at."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.monitor import MismatchError, Monitor, Status
from outrider.networks import NetworkWarning, OnnxNetwork, Recurrent
from outrider.runtime import export
from outrider.runtime.bench import plan as module
from outrider.runtime.bench.figures import AGAIN, BARE, INSIDE, OUTSIDE
from outrider.runtime.bench.plan import CostPlan, _warned_once

from ..several import cell_model, fused_frames
from .models import of_one_frame, profiled, watched, without_activations

WAYS = [
    ("bitmap on auto", OUTSIDE), ("bitmap on auto", INSIDE), ("bitmap on stages", INSIDE),
    ("bitmap on sample7", INSIDE), ("default monitor", OUTSIDE), ("default monitor", INSIDE),
]  # fmt: skip


@pytest.fixture(autouse=True)
def no_reads(monkeypatch):
    """One read takes as many seconds as it has bytes."""
    monkeypatch.setattr(module, "read_seconds", float)


def test_the_monitors_that_anyone_would_try_are_run_outside_and_in_the_graph(tmp_path):
    path, done = watched(tmp_path / "m.onnx"), []
    with CostPlan(path) as plan:
        assert plan.total == 4
        plan.prepare(done.append)
        calls = plan._calls
        assert list(calls) == [BARE, AGAIN, *(f"{name}, {where}" for name, where in WAYS)]
        scores = calls[BARE]()[0]
        np.testing.assert_array_equal(scores, OnnxNetwork(path).run(plan._frames["x"][:1]))
        assert len(calls[BARE]()) == len(calls[AGAIN]()) == 1
        assert calls[BARE].func.__self__ is not calls[AGAIN].func.__self__
        for name, where in WAYS:
            said = calls[f"{name}, {where}"]()
            np.testing.assert_array_equal(np.ravel(said[0]), scores[0])
            if where == OUTSIDE:
                assert said[1].status == Status.OK
            else:
                assert len(said) == 5  # score, confidence, alarm and deviation beside the scores
        found = plan.run(21)
    assert done == [1, 2, 3, 4]
    assert [(row.name, row.where) for row in found.rows] == [(AGAIN, ""), *WAYS]
    assert {row.note for row in found.rows} == {""}
    bitmap, default = found.rows[1], found.rows[5]
    assert (bitmap.size.taps, bitmap.size.neurons, bitmap.size.nbytes) == (2, 10, 4 * (6 * 64 + 4 * 16))
    assert (default.size.taps, default.size.nbytes) == (4, bitmap.size.nbytes)
    assert bitmap.read_ms == 1e3 * bitmap.size.nbytes
    assert bitmap.read_share == pytest.approx(bitmap.read_ms / found.bare_ms)
    assert all(row.interval[0] <= row.ratio <= row.interval[1] for row in found.rows)
    assert (found.rounds, found.threads, found.frames, found.profile) == (21, 1, 1, None)


def test_all_sessions_have_the_threads_asked_for(tmp_path):
    with CostPlan(watched(tmp_path / "m.onnx"), threads=2) as plan:
        plan.prepare()
        sessions = [call.func.__self__ for call in plan._calls.values() if hasattr(call, "func")]
        assert [one.get_session_options().intra_op_num_threads for one in sessions] == [2] * 6


def test_a_monitor_outside_has_the_threads_asked_for(tmp_path, monkeypatch):
    opened = []
    reopen = module.reopen_network
    monkeypatch.setattr(
        module, "reopen_network", lambda *args, **named: opened.append(reopen(*args, **named)) or opened[-1]
    )
    with CostPlan(watched(tmp_path / "m.onnx"), threads=2) as plan:
        plan.prepare()
        assert [one._session.get_session_options().intra_op_num_threads for one in opened] == [2, 2]
    assert [one._session for one in opened] == [None, None]  # closed with the plan


def test_a_profile_is_measured_as_it_is(tmp_path):
    path, profile = profiled(tmp_path)
    with CostPlan(path, profile) as plan:
        plan.prepare()
        output, verdict = plan._calls["small.outrider, outside"]()
        np.testing.assert_array_equal(output, plan._calls[BARE]()[0][0])
        assert len(verdict.deviation) == 1
        assert verdict.status == Status.OK  # the thresholds are out of reach of noise
        with_monitor = plan._calls["small.outrider, in the graph"]()
        assert with_monitor[4][0, 0] == pytest.approx(verdict.deviation[0], rel=1e-5)
        found = plan.run(20)
    assert [row.key for row in found.rows] == [AGAIN, "small.outrider, outside", "small.outrider, in the graph"]
    assert found.profile == str(profile)
    monitor = Monitor.load(profile, path)
    assert monitor(plan._frames["x"][0])[1].status == Status.ALARM  # by the threshold of the file


def test_noise_that_alarms_whatever_the_threshold_is_told(tmp_path):
    with CostPlan(*profiled(tmp_path, minimum_per_class=10**6)) as plan:
        plan.prepare()
        assert plan._calls["small.outrider, outside"]()[1].status == Status.ALARM
        notes = {row.where: row.note for row in plan.run(20).rows}
    assert "noise alarms under this profile" in notes[OUTSIDE]
    assert notes[INSIDE] == ""


def test_a_recurrent_network_is_measured_with_its_states(tmp_path):
    path, profile = tmp_path / "m.onnx", tmp_path / "m.outrider"
    path.write_bytes(cell_model())
    monitor = Monitor(Recurrent(OnnxNetwork(path, taps="auto", classes=None), {"h_in": "h_out"}), "single_range")
    monitor.profile([fused_frames(400, 1)["camera"]], minimum_per_class=1)
    monitor.calibrate([fused_frames(400, 2)["camera"]], 0.05, accept_rate=1)
    monitor.save(profile)
    with CostPlan(path, profile) as plan:
        plan.prepare()
        assert {row.note for row in plan._rows} == {""}
        assert plan._calls["m.outrider, outside"]()[1].status == Status.OK
        assert len(plan._calls["m.outrider, in the graph"]()) == len(plan._calls[BARE]()) + 4


def test_what_does_not_go_into_the_graph_is_a_row_with_the_reason(tmp_path):
    with CostPlan(of_one_frame(tmp_path / "m.onnx"), input_shape=(3, 16, 16)) as plan:
        plan.prepare()
        assert list(plan._calls) == [BARE, AGAIN, "bitmap on auto, outside", "default monitor, outside"]
        found = plan.run(20)
    assert [(row.name, row.where) for row in found.rows[1:]] == WAYS
    for row in found.rows[1:]:
        assert (row.ratio is None) == (row.where == INSIDE)
        assert ("expected a model whose inputs have a batch axis" in row.note) == (row.where == INSIDE)
        assert row.size.taps


def test_a_monitor_that_cannot_be_taught_leaves_the_others(tmp_path, monkeypatch):
    teach = module.teach

    def refusing(model, what, *rest):
        if what.criterion is None:
            raise ValueError("expected another\n  model")
        teach(model, what, *rest)

    monkeypatch.setattr(module, "teach", refusing)
    with CostPlan(watched(tmp_path / "m.onnx")) as plan:
        plan.prepare()
        rows = plan.run(20).rows
    assert [row.note for row in rows[5:]] == ["expected another model"] * 2
    assert [row.size for row in rows[5:]] == [None, None]
    assert all(row.ratio for row in rows[:4])


def test_nothing_that_can_be_measured_is_an_error(tmp_path):
    with (
        CostPlan(without_activations(tmp_path / "m.onnx")) as plan,
        pytest.raises(ValueError, match="expected a monitor that can be measured, got none: expected activations"),
    ):
        plan.prepare()


def test_a_guarded_model_is_an_error_that_says_which_to_give(tmp_path):
    path, profile = profiled(tmp_path)
    export(path, profile, tmp_path / "guarded.onnx")
    with CostPlan(tmp_path / "guarded.onnx") as plan, pytest.raises(ValueError, match="carries a monitor"):
        plan.prepare()


def test_the_profile_of_another_model_is_refused_at_once(tmp_path):
    _, profile = profiled(tmp_path)
    with pytest.raises(MismatchError, match="expected the network it was learned from"):
        CostPlan(watched(tmp_path / "m.onnx"), profile)


def test_open_sizes_of_a_profile_are_filled_and_no_read_is_measured(tmp_path):
    path, profile = watched(tmp_path / "m.onnx", sides=("h", "w")), tmp_path / "m.outrider"
    rng = np.random.default_rng(0)
    monitor = Monitor(OnnxNetwork(path, taps="auto", classes=None), "bitmap")
    monitor.profile([rng.random((40, 3, 16, 16), np.float32)], minimum_per_class=1)
    monitor.calibrate([rng.random((60, 3, 16, 16), np.float32)], 0.1, accept_rate=1)
    monitor.save(profile)
    with pytest.raises(ValueError, match="input_shape="):
        CostPlan(path, profile)
    with CostPlan(path, profile, input_shape=(3, 24, 24)) as plan:
        plan.prepare()
        rows = plan.run(20).rows
    assert [row.note for row in rows] == [""] * 3
    assert [(row.size.taps, row.size.nbytes, row.read_ms) for row in rows[1:]] == [(2, None, None)] * 2


def test_what_several_monitors_warn_of_is_said_once():
    def warn():
        with _warned_once():
            for text in ("tap a moved", "tap b moved", "tap a moved"):
                warnings.warn(text, NetworkWarning, stacklevel=1)

    with pytest.warns(NetworkWarning, match="moved") as told:
        warn()
    assert [str(one.message) for one in told] == ["tap a moved", "tap b moved"]
