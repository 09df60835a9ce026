"""The attack that knows the monitor, as a set: counted by the monitor's own verdicts, within epsilon."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

from outrider.monitor.evaluation import judge_set
from outrider.networks import Preprocessing, TorchNetwork
from outrider.runtime.evaluation import EvaluationPlan
from outrider.runtime.evaluation.adaptive import AdaptiveRun

from ...monitor.evaluation.adaptive.conftest import SHAPE, calibrated, module, pictures  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def monitor(module):  # noqa: F811
    return calibrated(TorchNetwork(module, SHAPE, taps="auto"), "mahalanobis")


def test_what_deceives_is_within_epsilon_and_was_right(monitor):
    images, labels = pictures(24, 5)
    one = AdaptiveRun(monitor, "1/5", count=16)
    found = list(one.batches([(list(range(100, 124)), images, labels)]))
    samples, truth = found[0]
    right = np.flatnonzero(monitor.check(images)[1].prediction == labels)[:16]
    assert one.tried == len(right) == 16
    started = images[np.array(one.rows) - 100]
    assert set(np.array(one.rows) - 100) <= set(right)
    assert np.abs(samples - started).max() <= 0.2 + 1e-5
    assert (monitor.check(samples)[1].prediction != truth).all()
    assert (truth == labels[np.array(one.rows) - 100]).all()


def test_it_is_a_set_of_a_plan_and_evades_more_than_one_that_knows_nothing(monitor, tmp_path):
    pytest.importorskip("torchattacks")
    images, labels = pictures(24, 5)
    np.savez(tmp_path / "clean.npz", x=images, y=labels)
    attacks = ["torchattacks:PGD", "adaptive"]
    plan = EvaluationPlan(
        monitor, str(tmp_path / "clean.npz"), {}, attacks=attacks, epsilon=0.2, attack_count=16, batch_size=12
    )
    found = plan.run(resamples=0)
    alone, knowing = found["torchattacks:PGD 0.2"], found["adaptive 0.2"]
    assert (alone.kind, knowing.kind, knowing.tried) == ("attack", "adaptive", 16)
    assert knowing.evaded.count == knowing.frames - knowing.flagged.count
    assert knowing.evaded.count > alone.evaded.count


def test_epsilon_is_of_the_range_of_the_preprocessing(monitor):
    brought = Preprocessing(order="L", mean=(0.5,), std=(0.5,))
    network = SimpleNamespace(
        engine="torch", module=monitor.network.module, classes=3, inputs=[1], dtype="float32", input_shape=SHAPE,
        preprocessing=brought, scores="logits", scores_output=0,
    )  # fmt: skip
    one = AdaptiveRun(SimpleNamespace(network=network), "1/10")
    assert (one._bounds, one._epsilon) == ((-1, 1), pytest.approx(0.2))
    network.preprocessing = Preprocessing(mean=(0.4, 0.5, 0.6))
    with pytest.raises(ValueError, match="treats all channels alike"):
        AdaptiveRun(SimpleNamespace(network=network))


def test_it_ends_with_the_count_and_asks_the_network_where_there_are_no_labels(monitor):
    images, _ = pictures(8, 6)
    one = AdaptiveRun(monitor, 1e-6, count=3)
    batches = iter([([0, 1], images[:2], None), ([2, 3], images[2:4], None), ([4], images[4:5], None)])
    assert len(judge_set(monitor, one.batches(batches), may_be_empty=True)) == len(one.rows)
    assert one.tried == 3


def test_a_network_without_gradients_is_refused():
    with pytest.raises(ValueError, match="expected a network of PyTorch"):
        AdaptiveRun(SimpleNamespace(network=SimpleNamespace(engine="onnx")))
