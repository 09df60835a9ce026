"""One monitor three times: in PyTorch, beside the exported ONNX model, and inside its graph.

The signatures and the threshold are learned in PyTorch and moved. Beside and inside the graph the scores are equal to
float32 rounding, and no verdict differs. PyTorch and ONNX Runtime compute activations that differ in the last bits, so
that a neuron may fall on the other side of a border: one frame of ten may be off by more than STEP of its score, and a
verdict may differ within BAND of the threshold. `benchmarks/reliability/parity.py` measures all of it.
"""

from __future__ import annotations

import functools
import warnings

import numpy as np
import onnxruntime as ort
import pytest

from outrider.coverage import CoverageBitmap, MultiRange, SingleRange
from outrider.monitor import Monitor, OutriderWarning, ZScore, transfer
from outrider.networks import OnnxNetwork, TorchNetwork, bind, import_torchvision, torchvision_classifier, trained
from outrider.runtime import export

torch = pytest.importorskip("torch")

ROUNDING, STEP, BAND = 2e-4, 0.02, 0.1


def vision_transformer():
    module = import_torchvision().models.VisionTransformer(32, 8, 2, 2, 32, 64, num_classes=5)
    torch.nn.init.normal_(module.heads.head.weight)
    return module


def silu():
    layers = torch.nn.Conv2d(3, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.SiLU()
    more = torch.nn.Conv2d(16, 8, 3, stride=2), torch.nn.SiLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    return torch.nn.Sequential(*layers, *more, torch.nn.Linear(8, 4))


NETWORKS = {
    "lenet": (functools.partial(trained, "lenet-fashion-mnist"), (1, 28, 28)),
    "resnet": (functools.partial(trained, "resnet-cifar10"), (3, 32, 32)),
    "mobilenet": (functools.partial(torchvision_classifier, "mobilenet_v3_small", num_classes=5), (3, 64, 64)),
    "vit": (vision_transformer, (3, 32, 32)),
    "silu": (silu, (3, 16, 16)),
}
CRITERIA = {
    "ranges": (SingleRange(), ZScore()),
    "sections": (MultiRange(sections=8, cost="log"), ZScore()),
    "bitmap": (CoverageBitmap(), ZScore()),
    "default": (None, None),
}


def frames(n, shape, seed, contrast=1.0):
    """Blurred colours with grain in [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((n, shape[0], 4, 4), np.float32).repeat(shape[1] // 4, 2).repeat(shape[2] // 4, 3)
    grain = rng.normal(0, 0.05, (n, *shape)).astype(np.float32)
    return np.clip((coarse + grain - 0.5) * np.float32(contrast) + 0.5, 0, 1)


@pytest.fixture(scope="module", params=NETWORKS)
def networks(request, tmp_path_factory):
    """A module and the ONNX file that was exported from it."""
    make, shape = NETWORKS[request.param]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = make().eval()
    path = tmp_path_factory.mktemp(request.param) / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, *shape),), str(path), dynamo=False, opset_version=17, input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    with TorchNetwork(module, shape, taps=("auto", "first:unit")) as first:
        yield first, OnnxNetwork(path, taps=("auto", "first:unit")), path
    torch.set_num_threads(threads)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_three_monitors_say_the_same(criterion, networks, tmp_path):
    here, there, path = networks
    shape = here.input_shape
    criteria, logic = CRITERIA[criterion]
    monitor = Monitor(here, {"*:channel": criteria} if criteria else None, logic=logic)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        monitor.profile([frames(80, shape, 1)])
        monitor.calibrate([frames(40, shape, 2)], 0.1)
    moved = transfer(monitor, there, bind(here, there, frames(8, shape, 3)))
    moved.save(tmp_path / "moved.outrider")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        export(path, tmp_path / "moved.outrider", tmp_path / "guarded.onnx")

    batch = np.concatenate([frames(12, shape, 4), frames(4, shape, 5, contrast=6.0)])
    first, beside = (m.check(torch.from_numpy(batch) if m is monitor else batch)[1] for m in (monitor, moved))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(tmp_path / "guarded.onnx"), options, providers=["CPUExecutionProvider"])
    score, alarm = session.run(["outrider_score", "outrider_alarm"], {"x": batch})

    np.testing.assert_allclose(score, beside.score, rtol=ROUNDING, atol=ROUNDING)
    assert np.isclose(score, first.score, rtol=STEP, atol=STEP).mean() >= 0.9
    for band, verdicts in ((ROUNDING, beside), (BAND, first)):
        clear = ~(np.abs(verdicts.score - verdicts.threshold) <= band * np.maximum(verdicts.threshold, 1))
        np.testing.assert_array_equal(alarm[clear], verdicts.alarm[clear])
    assert np.isfinite(first.score).any()
