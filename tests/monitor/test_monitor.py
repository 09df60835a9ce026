from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import outrider.monitor
from outrider.coverage import SingleRange, Softmax
from outrider.monitor import (
    Monitor,
    NotReadyError,
    Votes,
)

from .conftest import CLASSES, HIDDEN, INPUTS, NumpyNetwork, batches, frames


def test_output_is_the_networks_own_and_unseen_data_alarms_as_often_as_asked(monitor, network):
    new = frames(4000, seed=2)
    output, verdicts = monitor.check(new)
    np.testing.assert_array_equal(output, network.run(new))
    low, high = monitor.calibration.interval
    assert low <= 0.05 <= high
    assert abs(verdicts.alarm.mean() - 0.05) < 0.02
    assert verdicts.prediction.tolist() == network.run(new).argmax(axis=1).tolist()


def test_inputs_far_from_the_trusted_ones_alarm(monitor):
    _, verdicts = monitor.check(frames(200, seed=3, far=6))
    assert verdicts.alarm.mean() > 0.95


def test_a_frame_alone_gets_the_verdict_it_gets_in_a_batch(monitor):
    new = np.concatenate([frames(10, seed=6), frames(10, seed=7, far=4)])
    output, verdicts = monitor.check(new)
    for i, frame in enumerate(new):
        alone, verdict = monitor(frame)
        np.testing.assert_allclose(alone, output[i], rtol=1e-4, atol=1e-5)
        assert (verdict.status, verdict.layers) == (verdicts[i].status, verdicts[i].layers)
        assert verdict.score == pytest.approx(verdicts[i].score, rel=1e-4)


def test_a_network_without_classes_is_monitored_as_one_class():
    network = NumpyNetwork(classes=None)
    monitor = Monitor(network, SingleRange())
    monitor.profile(batches(frames(2000)))
    monitor.calibrate(batches(frames(500, seed=1)), 0.05)
    output, verdicts = monitor.check(frames(30, seed=2, far=8))
    assert output.shape == (30, 2)
    assert (verdicts.prediction == -1).all()
    assert verdicts.alarm.all()


def test_verdicts_before_profile_or_calibration_are_refused(network):
    monitor = Monitor(network, SingleRange())
    with pytest.raises(NotReadyError, match="got one that has seen no trusted data; call profile"):
        monitor.check(frames(1))
    with pytest.raises(NotReadyError, match=r"call profile\(\)"):
        monitor.calibrate(batches(frames(100)))
    monitor.profile(batches(frames(200)))
    with pytest.raises(NotReadyError, match=r"got one without a threshold; call calibrate\(\)"):
        monitor(frames(1)[0])


def test_profiling_anew_drops_the_old_threshold(monitor):
    monitor.profile(batches(frames(500)))
    assert monitor.calibration is None


def test_a_batch_in_place_of_a_frame_is_refused(network):
    monitor = Monitor(network, SingleRange())
    with pytest.raises(ValueError, match=r"expected one frame of shape .*, got shape \(5, .*\); a batch is for check"):
        monitor(frames(5))
    with pytest.raises(ValueError, match=r"expected one frame of shape .*, got NoneType"):
        monitor(None)


def test_repr_says_what_it_is_and_how_far_it_got(network, monitor):
    assert repr(Monitor(network, SingleRange())).startswith("Monitor[unfit](SingleRange(")
    assert repr(monitor).startswith("Monitor[calibrated](")
    assert "3 columns" in repr(monitor)


def test_votes_and_other_logics_can_be_chosen(network):
    monitor = Monitor(network, {"hidden": SingleRange(), "@output": Softmax()}, logic=Votes(2))
    monitor.profile(batches(frames(1000)))
    monitor.calibrate(batches(frames(800, seed=1)), 0.05)
    assert abs(monitor.check(frames(2000, seed=2))[1].alarm.mean() - 0.05) < 0.03


def test_size_of_the_inputs_is_what_the_fixture_says(network):
    assert frames(3).shape == (3, INPUTS)
    assert network.observe(frames(3)).activations[0].shape == (3, HIDDEN)


def test_the_old_names_of_the_frame_judge_warn(monitor):
    with pytest.warns(DeprecationWarning, match=r"Monitor\.frame_plan is now bind"):
        judge = monitor.frame_plan()
    with pytest.warns(DeprecationWarning, match="FramePlan is now FrameJudge"):
        assert isinstance(judge, outrider.monitor.FramePlan)


def test_a_module_or_a_path_is_a_network_too_and_learns_its_shape(tmp_path):
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(INPUTS, 8), torch.nn.ReLU(), torch.nn.Linear(8, CLASSES)).eval()
    monitor = Monitor(module, {"auto": "single_range", "@output": "softmax"})
    assert repr(monitor).startswith("Monitor[unfit](TorchNetwork(")
    with pytest.raises(NotReadyError, match="call profile"):
        monitor.check(torch.zeros(1, INPUTS))
    data = torch.utils.data.TensorDataset(torch.from_numpy(frames(300)))
    monitor.profile(torch.utils.data.DataLoader(data, batch_size=50), minimum_per_class=0)
    monitor.calibrate(torch.from_numpy(frames(200, seed=1)), 0.05)
    assert monitor.columns == ("1:unit single_range", "output:unit softmax")
    output, verdict = monitor(torch.from_numpy(frames(1, seed=2)[0]))
    assert output.shape == (CLASSES,)
    assert 0 <= verdict.confidence <= 1
    monitor.save(tmp_path / "m.outrider")
    again = Monitor.load(tmp_path / "m.outrider", module)
    new = torch.from_numpy(frames(20, seed=3))
    np.testing.assert_array_equal(again.check(new)[1].score, monitor.check(new)[1].score)


def test_calls_from_several_threads_wait_for_each_other(monitor):
    new = frames(40, seed=4)
    expected = [monitor(frame)[1].score for frame in new]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(lambda frame: monitor(frame)[1].score, new)) == expected
