"""A segmenter and a detector, made on the spot, watched place by place in both engines."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest

from outrider.coverage import Mahalanobis, Margin, SingleRange, Softmax
from outrider.monitor import Monitor
from outrider.networks import OnnxNetwork, TorchNetwork

from .conftest import batches

torch = pytest.importorskip("torch")
nn = torch.nn
SIDE = 16


class Segmenter(nn.Module):
    """Two halves of different brightness as two classes, at every pixel, from features of half the resolution."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.relu1 = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv2d(8, 8, 3, stride=2, padding=1), nn.ReLU()
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x):
        features = self.up(self.relu2(self.conv2(self.relu1(self.conv1(x)))))
        brightness = x.mean(1, keepdim=True)
        return torch.cat([brightness, -brightness], 1) + 0 * features[:, :2]


class Detector(nn.Module):
    """Boxes (n, 4, 4) and their scores (n, 4, 3)."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.relu = nn.Conv2d(3, 7, 4, stride=4), nn.ReLU()

    def forward(self, x):
        found = self.relu(self.conv(x)).flatten(2).transpose(1, 2)[:, ::4]
        return found[..., :4], found[..., 4:]


def scenes(n, seed=0):
    """The left half bright, the right half dark."""
    data = np.random.default_rng(seed).normal(0, 0.2, (n, 3, SIDE, SIDE))
    data += np.where(np.arange(SIDE) < SIDE // 2, 1, -1)
    return data.astype(np.float32)


def opened(engine, module, **options):
    if engine == "torch":
        return TorchNetwork(module.eval(), (3, SIDE, SIDE), **options)
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        torch.onnx.export(
            module.eval(), (torch.zeros(2, 3, SIDE, SIDE),), buffer, dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    return OnnxNetwork(buffer.getvalue(), **options)


@pytest.fixture(params=["torch", "onnx"])
def engine(request):
    return request.param


def calibrated(network, criteria=None):
    monitor = Monitor(network, criteria)
    monitor.profile(batches(scenes(150)))
    monitor.calibrate(batches(scenes(200, seed=1)), 0.05)
    return monitor


@pytest.mark.parametrize("classes", [None, "pixel"])
def test_a_foreign_patch_in_one_corner_is_found_there(engine, classes):
    with opened(engine, Segmenter(), taps="auto", neurons="pixel", classes=classes) as network:
        monitor = calibrated(network, {"*": Mahalanobis()})
        strange = scenes(6, seed=2)
        strange[:, :, 12:, 12:] = np.random.default_rng(3).normal(0, 4, (6, 3, 4, 4))
        output, verdicts = monitor.check(strange)
        assert verdicts.alarm.all()
        np.testing.assert_array_equal(np.asarray(output), np.asarray(network.run(strange)))
        for deviations in [verdicts.maps, *monitor.deviation_maps(strange).values()]:
            rows, columns = np.divmod(deviations.reshape(6, -1).argmax(axis=1), deviations.shape[2])
            assert (rows >= deviations.shape[1] * 11 // 16).all()
            assert (columns >= deviations.shape[2] * 11 // 16).all()
        assert monitor.check(scenes(100, seed=4))[1].alarm.mean() < 0.2


def test_what_is_usual_elsewhere_is_strange_where_another_class_is_seen(engine):
    """Bright and dark places are both known; only their classes tell that the features of one stand for the other."""
    with opened(engine, Segmenter(), taps="auto", neurons="pixel", classes="pixel") as network:
        monitor = calibrated(network, {"*": Mahalanobis()})
        assert monitor.learned.trusted.per_map_class.tolist() == [150, 150]
        low, high = (monitor.learned.signatures[0].arrays["mean"][c] for c in (0, 1))
        assert not np.allclose(low, high)
        assert monitor.learned.signatures[0].counts.tolist() == [150 * SIDE * SIDE // 2] * 2


def test_criteria_on_class_scores_work_at_places(engine, tmp_path):
    """Places that are neither bright nor dark are seen by the margin and the softmax of their scores."""
    taps = ("relu2:pixel2", "@output:pixel4") if engine == "torch" else ("last:pixel2", "@output:pixel4")
    with opened(engine, Segmenter(), taps=taps, classes="pixel") as network:
        criteria = [Margin(), Softmax(), SingleRange()]
        monitor = calibrated(network, criteria)
        (scores,) = [tap for tap in network.taps if tap.kind == "output"]
        assert [name.partition(" ")[0] for name in monitor.columns[:2]] == [scores.id] * 2
        strange = scenes(6, seed=2)
        strange[:, :, 4:8, 8:12] = 0
        maps = monitor.deviation_maps(strange)
        logits = np.asarray(network.run(strange)).reshape(6, 2, 4, 4, 4, 4).mean((3, 5))
        powers = np.exp(logits - logits.max(1, keepdims=True))
        surprise = -np.log((powers / powers.sum(1, keepdims=True)).max(1))
        np.testing.assert_allclose(maps[f"{scores.id} softmax"], surprise, rtol=1e-3, atol=1e-5)
        for name in monitor.columns[:2]:
            assert maps[name].reshape(6, -1).argmax(axis=1).tolist() == [6] * 6
        verdicts = monitor.check(strange)[1]
        assert verdicts.alarm.all()
        monitor.save(tmp_path / "m.outrider")
        again = Monitor.load(tmp_path / "m.outrider", network)
        np.testing.assert_array_equal(again.check(strange)[1].score, verdicts.score)
        module = network.module if engine == "torch" else None
        if module is not None:
            with pytest.raises(ValueError, match=r"expected margin on the class scores, '@output', got 'relu2:pixel2'"):
                Monitor(network, {"relu2": Margin()})
            opened_by_file = Monitor.load(tmp_path / "m.outrider", module)
            assert opened_by_file.network.taps == network.taps
            np.testing.assert_array_equal(opened_by_file.check(strange)[1].score, verdicts.score)


def test_criteria_on_class_scores_say_how_they_are_tapped(engine):
    with (
        opened(engine, Segmenter(), taps="first:pixel", classes="pixel") as network,
        pytest.raises(ValueError, match=r"margin goes on @output \(give the network '@output:pixel8' among its taps"),
    ):
        Monitor(network, Margin())
    with (
        opened(engine, Segmenter(), taps=("first", "@output:channel"), classes="pixel") as network,
        pytest.raises(ValueError, match=r"expected softmax on the class scores, '@output', got '.*:channel'; take"),
    ):
        Monitor(network, Softmax())


def test_a_detector_with_several_outputs_is_watched_without_classes(engine):
    with opened(engine, Detector(), taps="auto", neurons="pixel") as network:
        assert network.classes is None
        monitor = calibrated(network)
        strange = scenes(4, seed=5)
        strange[:, :, :4, 12:] = 9
        output, verdicts = monitor.check(strange)
        assert [np.shape(part) for part in output] == [(4, 4, 4), (4, 4, 3)]
        assert verdicts.alarm.all()
        assert (verdicts.prediction == -1).all()
        assert verdicts.maps.shape[1:] == monitor.deviation_maps(strange)[monitor.columns[0]].shape[1:]
        assert verdicts.maps.reshape(4, -1).argmax(axis=1).tolist() == [3] * 4
        (boxes, scores), verdict = monitor(strange[0])
        assert (boxes.shape, scores.shape, verdict.alarm) == ((4, 4), (4, 3), True)
