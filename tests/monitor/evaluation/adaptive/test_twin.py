"""The twin of a monitor says what the monitor says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.coverage import criterion_names, make_criterion  # noqa: E402
from outrider.monitor import Logic, Monitor, NotReadyError  # noqa: E402
from outrider.monitor.criteria import home_of  # noqa: E402
from outrider.monitor.evaluation.adaptive import Twin  # noqa: E402
from outrider.monitor.evaluation.adaptive.criteria import CRITERIA  # noqa: E402
from outrider.networks import TorchNetwork  # noqa: E402

from .conftest import CLASSES, NEURONS, SHAPE, calibrated, convolutional, pictures  # noqa: E402

LOGICS = sorted(cls.name for cls in Logic.__subclasses__() if not cls.of_places)
PAIRS = list(itertools.product(sorted(set(criterion_names()) & set(CRITERIA)), LOGICS))


def strange(seed=4):
    rng = np.random.default_rng(seed)
    images = pictures(30, seed)[0]
    return np.concatenate([images, np.clip(images + rng.normal(0, 0.3, images.shape), 0, 1), rng.random(images.shape)])


def agrees(monitor, images):
    images = images.astype(np.float32)
    _, verdicts = monitor.check(images)
    seen = Twin(monitor)(torch.from_numpy(images))
    np.testing.assert_array_equal(seen.predictions, verdicts.prediction)
    np.testing.assert_allclose(seen.deviations.detach(), verdicts.deviation, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(seen.score.detach(), verdicts.score, rtol=1e-3, atol=1e-6)
    np.testing.assert_array_equal(seen.threshold, verdicts.threshold)
    near = np.abs(verdicts.score - verdicts.threshold) < 2e-3 * verdicts.threshold
    np.testing.assert_array_equal((seen.score > seen.threshold).numpy()[~near], verdicts.alarm[~near])
    return verdicts


@pytest.mark.parametrize(("name", "logic"), PAIRS)
def test_the_score_of_every_criterion_and_logic_is_the_judges(network, name, logic):
    home = {"softmax": "@output", "margin": "@output", "energy": "@output", "head": "7"}.get(name, "*")
    criterion = make_criterion(name, **({"channels": 4} if name == "head" else {}))
    assert home_of(criterion) in (home, "@attention:channel")
    verdicts = agrees(calibrated(network, {home: criterion}, logic, n=200), strange())
    assert len(np.unique(verdicts.score)) > 1


def test_the_default_and_thresholds_per_class(network):
    monitor = calibrated(network, per_class=True)
    monitor.threshold = monitor.threshold * np.linspace(0.8, 1.2, CLASSES)
    verdicts = agrees(monitor, strange())
    assert len(set(verdicts.threshold.tolist())) == CLASSES
    assert 0 < verdicts.alarm.mean() < 1


def test_places_of_a_frame_count_as_its_worst(module):
    network = TorchNetwork(module, SHAPE, neurons="pixel")
    agrees(calibrated(network, "mahalanobis", logic="harmonic_p"), strange())


def test_a_class_that_is_not_covered_alarms_and_is_no_rival(network):
    monitor = Monitor(network, "mahalanobis")
    images, labels = pictures(400, 1)
    with pytest.warns(UserWarning, match="fewer than 5"):
        monitor.profile([(images[labels > 0], labels[labels > 0])], trusted_confidence=0.5)
    monitor.calibrate([images[labels > 0][::-1] * 0.98], 0.05, accept_rate=0.9)
    twin = Twin(monitor)
    found, own = pictures(40, 7)
    seen = twin(torch.from_numpy(found))
    np.testing.assert_array_equal(torch.isinf(seen.score), monitor.check(found)[1].score == np.inf)
    assert torch.isinf(seen.score).any()
    seen = twin(torch.from_numpy(found), avoiding=torch.from_numpy(own))
    rivals = seen.compared
    torch.testing.assert_close(twin.rivals(seen.logits.detach(), torch.from_numpy(own), rank=7) == 0, rivals < 0)
    assert not (rivals == 0).any()
    assert not (rivals == torch.from_numpy(own)).any()


def test_images_are_compared_with_the_class_told(network):
    monitor = calibrated(network, "mahalanobis")
    twin, (images, labels) = Twin(monitor), pictures(20, 3)
    given, avoided = torch.from_numpy(images), torch.from_numpy(labels)
    logits = twin(given).logits.detach()
    for rank in range(CLASSES - 1):
        rivals = twin.rivals(logits, avoided, rank)
        others = logits.scatter(1, avoided[:, None], -torch.inf).sort(1, descending=True).indices
        np.testing.assert_array_equal(rivals, others[:, rank])
        seen = twin(given, toward=rivals)
        np.testing.assert_array_equal(seen.compared, rivals)
        own = twin(given)
        same = (own.predictions == rivals).numpy()
        assert (np.asarray((seen.score == own.score).detach()) == same).mean() > 0.9


def test_gradients_reach_the_image(network):
    twin = Twin(calibrated(network))
    images = torch.from_numpy(pictures(5, 3)[0]).requires_grad_()
    labels = torch.zeros(5, dtype=torch.int64)
    seen = twin(images, avoiding=labels)
    assert (seen.compared != labels).all()
    for value in (seen.pressures.sum(), seen.score.sum(), seen.logits.sum()):
        (gradient,) = torch.autograd.grad(value, images, retain_graph=True)
        assert (gradient.abs().amax((1, 2, 3)) > 0).all()


def test_what_has_no_twin_is_refused(network):
    with pytest.raises(NotReadyError, match="calibrate"):
        Twin(Monitor(network))
    steering = TorchNetwork(nn.Sequential(nn.Flatten(), nn.Linear(64, 4), nn.ReLU(), nn.Linear(4, 1)).eval(), SHAPE)
    monitor = Monitor(steering, "mahalanobis")
    monitor.profile([pictures(100)[0]])
    monitor.calibrate([pictures(300, 1)[0]], 0.05, accept_rate=0.9)
    with pytest.raises(ValueError, match="expected class scores to compute gradients"):
        Twin(monitor)


def test_the_module_is_left_as_it_was(network, module):
    before = [parameter.requires_grad for parameter in module.parameters()]
    twin = Twin(calibrated(network))
    images = torch.from_numpy(pictures(3, 3)[0]).requires_grad_()
    twin(images).score.sum().backward()
    assert [parameter.requires_grad for parameter in module.parameters()] == before
    assert not any(part._forward_hooks for part in module.modules())
    assert NEURONS[0] in {tap.neurons for tap in network.taps}
    assert not convolutional().training
