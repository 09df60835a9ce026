"""The whole attack on monitors of a tiny network: every count is the monitor's own."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.coverage import Mahalanobis, SingleRange  # noqa: E402
from outrider.monitor import Monitor, NotReadyError  # noqa: E402
from outrider.monitor.evaluation.adaptive import STRATEGIES, Strategy, attack  # noqa: E402
from outrider.monitor.evaluation.adaptive.attack import _Task  # noqa: E402
from outrider.networks import TorchNetwork  # noqa: E402

from .conftest import SHAPE, calibrated, pictures  # noqa: E402

EPSILON = 0.25


@pytest.fixture(scope="module")
def monitor(module):
    network = TorchNetwork(module, SHAPE, neurons=("unit", "channel"))
    return calibrated(network, {"*:unit": SingleRange(), "*:channel": Mahalanobis()})


@pytest.fixture(scope="module")
def right(module):
    images, labels = pictures(60, 5)
    with torch.no_grad():
        ok = module(torch.from_numpy(images)).argmax(1).numpy() == labels
    return images[ok][:40], labels[ok][:40]


@pytest.fixture(scope="module")
def found(monitor, right):
    return attack(monitor, *right, EPSILON, mask=None, strategies=STRATEGIES[1:4], trusted=pictures(200, 1)[0])


def test_an_attack_that_knows_the_monitor_evades_what_one_that_does_not_cannot(monitor, right, found):
    images, labels = right
    assert found.fooled.mean() > 0.8
    assert found.fooled_alone.mean() > 0.8
    assert found.evaded_alone.mean() < 0.35
    assert found.evaded.mean() > 0.75
    _, verdicts = monitor.check(found.images)
    np.testing.assert_array_equal(found.evaded, (verdicts.prediction != labels) & ~verdicts.alarm)
    assert [bool(name) for name in found.by] == found.evaded.tolist()
    assert np.abs(found.images.astype(float) - images).max() <= EPSILON + 1e-6
    assert 0 <= found.images.min() <= found.images.max() <= 1


def test_what_was_tried_adds_up(found):
    assert sum(won for _, won in found.tried.values()) == found.evaded.sum()
    left = len(found.evaded)
    for tried, won in found.tried.values():
        assert tried == left
        left -= won
    assert f"{found.evaded.sum()} by one that does" in str(found)


def test_a_mask_holds_the_rest_still(monitor, right):
    images, labels = right
    allowed = np.zeros(SHAPE, bool)
    allowed[:, :5] = True
    masked = attack(monitor, images, labels, EPSILON, mask=allowed, strategies=(Strategy(steps=20),))
    np.testing.assert_array_equal(masked.images[:, :, 5:], images[:, :, 5:])
    assert (masked.images != images).any()


def test_images_with_a_flat_background_are_attacked_on_the_object_alone_too(monitor):
    images, labels = pictures(12, 5)
    flat = np.where(images > 0.35, images, 0)
    lines = []
    attack(
        monitor, flat, labels, 0.1, strategies=(Strategy(masked=True, steps=3), Strategy(steps=3)), report=lines.append
    )
    assert any("object only" in line for line in lines)


def test_what_nothing_fools_is_given_up_when_asked(monitor, right):
    few = attack(monitor, *right, 0.12, strategies=(Strategy(steps=5),), persistent=False)
    (tried, _), (first, won) = few.tried["λ 1, lead 0.3, 5 steps"], few.tried["network alone"]
    assert 0 < few.fooled_alone.sum() < len(few.fooled)
    assert first == len(few.fooled)
    assert tried == few.fooled_alone.sum() - won


class Opaque:
    """The network behind an interface that shows no module."""

    def __init__(self, network):
        self._network = network

    def __getattr__(self, name):
        return getattr(self._network, name)


def test_without_gradients_the_square_attack_sees_answers_alone(module, right):
    network = Opaque(TorchNetwork(module, SHAPE))
    monitor = calibrated(network, "mahalanobis")
    images, labels = right
    with pytest.raises(ValueError, match="expected a monitor of a TorchNetwork, or queries="):
        attack(monitor, images, labels, EPSILON)
    blind = attack(monitor, images[:10], labels[:10], 0.4, queries=200)
    _, verdicts = monitor.check(blind.images)
    np.testing.assert_array_equal(blind.evaded, (verdicts.prediction != labels[:10]) & ~verdicts.alarm)
    assert blind.evaded.any()
    assert set(blind.tried) == {"unchanged", "square"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": np.zeros(3)}, "expected a class for each of 40 images, got float64"),
        ({"labels": np.full(40, 3)}, r"expected labels in \[0, 3\), got 3 to 3"),
        ({"epsilon": -0.1}, "expected an epsilon from 0 on, got -0.1"),
        ({"bounds": (0.0, 0.5)}, "expected images within bounds"),
        ({"batch": 0}, "expected a batch of 1 image or more, got 0"),
        ({"strategies": (), "trusted": np.full((3, *SHAPE), 200, np.uint8)}, "expected trusted images within bounds"),
    ],
)
def test_what_does_not_fit_is_refused(monitor, right, change, said):
    images, labels = right
    with pytest.raises(ValueError, match=said):
        attack(monitor, images, **{"labels": labels, "epsilon": 0.1, **change})


def test_a_monitor_without_a_threshold_is_refused(network, right):
    with pytest.raises(NotReadyError, match="calibrate"):
        attack(Monitor(network), *right, 0.1)


def test_the_monitor_is_imported_without_torch():
    code = "import sys, outrider.monitor.evaluation; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


class _Named(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return {"mean": x.mean((1, 2, 3)), "scores": self.module(x)}


def test_the_scores_are_read_by_their_name(module, right):
    network = TorchNetwork(_Named(module).eval(), SHAPE, scores_output="scores")
    task = _Task.checked(calibrated(network, Mahalanobis()), *right, 0.1, (0, 1), None, 7)
    with torch.no_grad():
        expected = module(torch.from_numpy(right[0])).numpy()
    np.testing.assert_allclose(task.ask(right[0]).logits, expected, atol=1e-5)
