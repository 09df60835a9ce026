from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import outrider.monitor
from outrider.coverage import SingleRange, Softmax
from outrider.monitor import (
    MismatchError,
    Monitor,
    NotReadyError,
    OutriderWarning,
    ProfileError,
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
    torch.manual_seed(0)
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


def test_a_network_that_takes_no_tensors_gets_arrays(network):
    torch = pytest.importorskip("torch")
    x, y = torch.from_numpy(frames(300)), torch.from_numpy(np.arange(300) % CLASSES)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=50)
    monitor = Monitor(network, SingleRange())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        monitor.profile(loader, trusted_confidence=0.0)
        monitor.calibrate(x, 0.05)
    expected = monitor.check(x.numpy())[1].score
    np.testing.assert_array_equal(monitor.check(x)[1].score, expected)
    assert monitor(x[3])[1].score == expected[3]
    np.testing.assert_array_equal(monitor.deviations(x), monitor.deviations(x.numpy()))


def test_the_selectors_of_criteria_are_what_is_tapped_of_a_model():
    torch = pytest.importorskip("torch")
    nn = torch.nn
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten()).eval()
    data = [np.random.default_rng(0).random((30, 1, 8, 8), np.float32)]

    def columns(criteria):
        monitor = Monitor(module, criteria)
        monitor.profile(data, minimum_per_class=0)
        monitor.network.close()
        return [name.split()[0] for name in monitor.columns]

    assert columns({"@relu:unit": "single_range"}) == ["1:unit", "3:unit"]
    assert columns({"first": "gaussian", "3:grid2": "single_range"}) == ["1:channel", "3:grid2"]
    assert columns({"*": "gaussian"}) == columns("gaussian") == ["1:channel", "1:unit", "3:channel"]
    for wrong, message in ((SingleRange, r"write SingleRange\(\)"), (3, "got 3"), ({"auto": None}, "got None")):
        with pytest.raises(TypeError, match=f"expected a criterion or its name, .*{message}"):
            Monitor(module, wrong)


def test_a_logic_may_be_named(network):
    assert Monitor(network, SingleRange(), logic="votes").logic == Votes()
    with pytest.raises(TypeError, match="expected a logic or its name, got <class"):
        Monitor(network, SingleRange(), logic=Votes)
    with pytest.raises(ValueError, match="expected a logic among"):
        Monitor(network, SingleRange(), logic="vote")


def test_no_batches_at_all_are_told_as_such(network):
    for nothing in ([], iter(())):
        with pytest.raises(ProfileError, match="expected trusted batches, got none; a generator is used up"):
            Monitor(network, SingleRange()).profile(nothing)


def test_a_module_in_place_of_the_model_is_another_network():
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    before = Path(__file__).parents[1] / "data" / "before"
    moves = pytest.raises(MismatchError, match=r"got another: .*of engine onnx; `transfer` moves it")
    with moves, pytest.warns(OutriderWarning, match="older"):
        Monitor.load(before / "defaults.outrider", torch.nn.Sequential(torch.nn.ReLU()).eval())


def test_a_module_that_is_refused_keeps_no_hooks(tmp_path):
    torch = pytest.importorskip("torch")
    nn = torch.nn
    modules = [nn.Sequential(nn.Linear(INPUTS, width), nn.ReLU(), nn.Linear(width, CLASSES)).eval() for width in (8, 8)]
    monitor = Monitor(modules[0], "single_range")
    monitor.profile(frames(100), minimum_per_class=0)
    monitor.save(tmp_path / "m.outrider")
    with pytest.raises(MismatchError, match="SHA-256"):
        Monitor.load(tmp_path / "m.outrider", modules[1])
    assert not any(part._forward_hooks for part in modules[1].modules())


def test_a_folder_is_no_file_to_save_to(monitor, tmp_path):
    for folder in (tmp_path, "."):
        with pytest.raises(ProfileError, match="expected the name of a file to write, got a folder"):
            monitor.save(folder)
