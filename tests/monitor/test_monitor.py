from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

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
from outrider.monitor import (
    MismatchError,
    Monitor,
    NotReadyError,
    OutriderWarning,
    ProfileError,
    Votes,
)

from .conftest import CLASSES, HIDDEN, INPUTS, NumpyNetwork, batches, frames

HIDDEN_CRITERIA = SingleRange(), SingleRange(quantile=0.01, magnitude=True), MultiRange(4, "log"), CoverageBitmap()
EVERY = {
    "hidden": [*HIDDEN_CRITERIA, NeuronRank(), NearestNeighbour(capacity=10), Gaussian(), Mahalanobis()],
    "@output": Softmax(),
}


def test_output_is_the_networks_own_and_unseen_data_alarms_as_often_as_asked(monitor, network):
    new = frames(4000, seed=2)
    output, verdicts = monitor.check(new)
    np.testing.assert_array_equal(output, network.run(new))
    low, high = monitor.calibration.interval
    assert low <= 0.05 <= high
    assert abs(verdicts.alarm.mean() - 0.05) < 0.02
    assert verdicts.prediction.tolist() == network.run(new).argmax(axis=1).tolist()


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


def test_profiling_anew_says_what_it_drops(monitor):
    said = r"begins anew: what was learned of 2,000 frames and the threshold set for them is discarded; extend\(\)"
    with pytest.warns(OutriderWarning, match=said) as warned:
        monitor.profile(batches(frames(500)))
    assert warned[0].filename == __file__
    assert monitor.calibration is None
    assert monitor.learned.trusted.accepted == 500


@pytest.mark.parametrize("labelled", [False, True])
def test_a_profile_that_is_extended_remembers_what_one_pass_would(network, tmp_path, labelled):
    first, second = frames(300), frames(200, seed=4, far=1.5)
    labels = [network.run(each).argmax(axis=1) if labelled else None for each in (first, second)]
    everything = Monitor(network, EVERY)
    everything.profile([*batches(first, labels=labels[0]), *batches(second, labels=labels[1])])
    monitor = Monitor(network, EVERY)
    monitor.profile(batches(first, labels=labels[0]))
    monitor.save(tmp_path / "m.outrider")
    monitor = Monitor.load(tmp_path / "m.outrider", network)
    monitor.calibrate(batches(frames(400, seed=1)), 0.1)
    threshold, probe = monitor.calibration.thresholds[0], monitor.learned.trusted.probe
    with pytest.warns(OutriderWarning, match="for the profile of before and is dropped") as warned:
        learned = monitor.extend(batches(second, labels=labels[1]))
    assert warned[0].filename == __file__
    for one, other in zip(learned.signatures, everything.learned.signatures, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        for name, array in one.arrays.items():
            np.testing.assert_array_equal(array, other.arrays[name], name)
    assert (learned.trusted.frames, learned.trusted.accepted) == (500, everything.learned.trusted.accepted)
    np.testing.assert_array_equal(learned.digests.values, everything.learned.digests.values)
    assert monitor.calibration is None
    assert (learned.history[-1].what, learned.history[-1].before, learned.history[-1].after) == (
        "extended", threshold, None,
    )  # fmt: skip
    new = np.concatenate([frames(100, seed=2), frames(100, seed=3, far=2)])
    np.testing.assert_array_equal(monitor.deviations(new), everything.deviations(new))
    assert probe.shape != learned.trusted.probe.shape or (probe != learned.trusted.probe).any()


def test_an_extension_that_breaks_leaves_the_monitor_as_it_was(monitor):
    before, learned, calibration = monitor.scores(frames(50, seed=5)), monitor.learned, monitor.calibration

    def broken():
        yield frames(100, seed=6, far=9)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        monitor.extend(broken())
    with pytest.raises(ProfileError, match="expected batches without labels like the first 2000 frames"):
        monitor.extend([(frames(50), np.zeros(50, np.int64))])
    with pytest.raises(ProfileError, match="expected trusted batches, got none"):
        monitor.extend([])
    assert (monitor.learned, monitor.calibration) == (learned, calibration)
    np.testing.assert_array_equal(monitor.scores(frames(50, seed=5)), before)


def test_an_extension_that_is_interrupted_at_its_end_leaves_the_monitor_as_it_was(monitor, network, tmp_path):
    """When all is learned, some frames are run once more, as the probe."""
    monitor.save(tmp_path / "m.outrider")
    monitor = Monitor.load(tmp_path / "m.outrider", network)
    before = monitor.learned, monitor.calibration, monitor.profile_sha256
    more, observe = [frames(50, seed=6), frames(50, seed=7)], network.observe

    def interrupted(batch):
        if network.calls == 2:
            raise KeyboardInterrupt
        return observe(batch)

    network.calls, network.observe = 0, interrupted
    with pytest.raises(KeyboardInterrupt):
        monitor.extend(more)
    assert (monitor.learned, monitor.calibration, monitor.profile_sha256) == before


def test_frames_that_were_learned_before_are_counted(network):
    monitor = Monitor(network, SingleRange())
    with pytest.raises(NotReadyError, match="has seen no trusted data"):
        monitor.extend([frames(10)])
    monitor.profile([frames(300)])
    with pytest.warns(OutriderWarning, match="100 of 150 frames were learned from before, or came twice"):
        monitor.extend([np.concatenate([frames(300)[:100], frames(50, seed=1)])])
    assert monitor.learned.trusted.accepted == 450


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

    default = ["1:channel", "3:channel", "1:unit", "3:channel-max"]
    assert columns({"@relu:unit": "single_range"}) == ["1:unit", "3:unit"]
    assert columns({"first": "gaussian", "3:grid2": "single_range"}) == ["1:channel", "3:grid2"]
    assert columns({"*": "gaussian"}) == columns("gaussian") == default
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
