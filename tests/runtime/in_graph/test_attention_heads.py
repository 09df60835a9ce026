"""Head coverage of vision transformers as exporters write them, from the trusted frames to the guarded model."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.coverage import HeadCoverage
from outrider.monitor import Monitor, OutriderWarning, Status, transfer
from outrider.networks import OnnxNetwork, bind, import_torchvision
from outrider.runtime import export

from .guarding import OURS, session

torch = pytest.importorskip("torch")

SHAPE, CLASSES, HEADS = (3, 32, 32), 3, 2


def of_torchvision():
    module = import_torchvision().models.VisionTransformer(32, 8, 2, HEADS, 32, 64, num_classes=CLASSES)
    torch.nn.init.normal_(module.heads.head.weight)
    return module


def of_transformers():
    pytest.importorskip("transformers")
    from outrider.networks.transformers import import_transformers

    transformers = import_transformers()
    config = transformers.ViTConfig(
        image_size=32, patch_size=8, num_hidden_layers=2, num_attention_heads=HEADS, hidden_size=32,
        intermediate_size=64, num_labels=CLASSES, initializer_range=0.2,
    )  # fmt: skip

    class Scores(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers.ViTForImageClassification(config)

        def forward(self, x):
            return self.model(pixel_values=x).logits

    return Scores()


def write(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.zeros(1, *SHAPE),), str(path), dynamo=False, opset_version=17, input_names=["x"],
            output_names=["scores"], dynamic_axes={"x": {0: "n"}, "scores": {0: "n"}},
        )  # fmt: skip
    return path


@pytest.fixture(scope="module", params=[of_torchvision, of_transformers], ids=["torchvision", "transformers"])
def path(request, tmp_path_factory):
    torch.manual_seed(0)
    module = request.param().eval()
    return write(module, tmp_path_factory.mktemp("vit") / "vit.onnx")


def frames(n, seed, contrast=1.0):
    rng = np.random.default_rng(seed)
    coarse = rng.random((n, 3, 4, 4), np.float32).repeat(8, 2).repeat(8, 3)
    return np.clip((coarse + rng.normal(0, 0.05, (n, *SHAPE)) - 0.5) * contrast + 0.5, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def monitor(path):
    return taught(Monitor(path, "head"))


def taught(monitor):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        monitor.profile([frames(40, 1)])
        monitor.calibrate([frames(100, 2)], 0.1, accept_rate=1)
    return monitor


def test_the_heads_are_found_and_taken_by_channel_without_being_named(monitor):
    criteria = {column.criterion for column in monitor.learned.columns}
    assert criteria == {HeadCoverage(channels=16)}
    taps = monitor.learned.facts.taps
    assert [(tap.kind, tap.neurons, tap.layout, tap.size) for tap in taps] == [("attention", "channel", "NHLC", 32)] * 2


def test_deviations_are_heads_in_new_sections_of_the_means_over_tokens(monitor, path):
    batch = np.concatenate([frames(20, 3), frames(20, 4, contrast=8.0)])
    deviations = monitor.deviations(batch)
    whole = OnnxNetwork(path, taps="@attention:unit").observe(batch).activations[:2]
    predictions = monitor.check(batch)[1].prediction
    for column, (signature, values) in enumerate(zip(monitor.learned.signatures, whole, strict=True)):
        means = values.reshape(40, HEADS, 17, 16).mean(axis=2).reshape(40, -1)
        expected = HeadCoverage(16).deviation(signature, np.ascontiguousarray(means), predictions)
        close = deviations[:, column] == expected  # a figure on a border may fall beside it
        assert close.mean() >= 0.9
    assert deviations[20:].sum() > deviations[:20].sum()


def test_a_saved_profile_judges_as_before(monitor, path, tmp_path):
    monitor.save(tmp_path / "heads.outrider")
    again = Monitor.load(tmp_path / "heads.outrider", OnnxNetwork(path, taps="@attention"))
    batch = frames(16, 5, contrast=3.0)
    np.testing.assert_array_equal(again.check(batch)[1].score, monitor.check(batch)[1].score)
    verdict = again(np.full(SHAPE, np.nan, np.float32))[1]
    assert verdict.status is not Status.OK


def test_the_guarded_model_says_the_same_and_leaves_the_scores_as_they_were(monitor, path, tmp_path):
    monitor.save(tmp_path / "heads.outrider")
    export(path, tmp_path / "heads.outrider", tmp_path / "guarded.onnx")
    batch = np.concatenate([frames(40, 6), frames(8, 7, contrast=8.0)])
    found = session(tmp_path / "guarded.onnx").run(["scores", *OURS], {"x": batch})
    scores, score, _, alarm, deviation = found
    np.testing.assert_array_equal(scores, session(path).run(None, {"x": batch})[0])
    verdicts = monitor.check(batch)[1]
    same = (deviation == verdicts.deviation).all(axis=1)  # sums of another order may move a figure off a border
    assert same.mean() >= 0.95
    np.testing.assert_allclose(score[same], verdicts.score[same], rtol=1e-5)
    np.testing.assert_array_equal(alarm[same], verdicts.alarm[same])
    assert np.isfinite(score).any()


def test_a_profile_of_the_model_in_transformers_moves_to_its_onnx_file(tmp_path):
    torch.manual_seed(0)
    module = of_transformers().eval()
    from outrider.networks import TransformerNetwork

    here = TransformerNetwork(module.model)
    there = OnnxNetwork(write(module, tmp_path / "vit.onnx"), taps="@attention")
    monitor = taught(Monitor(here, "head"))
    moved = transfer(monitor, there, bind(here, there, frames(4, 8)))
    batch = np.concatenate([frames(30, 9), frames(10, 10, contrast=8.0)])
    first, second = (one.check(batch)[1] for one in (monitor, moved))
    assert (first.score == second.score).mean() >= 0.95  # activations differ in the last bits
    assert np.unique(first.score[np.isfinite(first.score)]).size > 2
