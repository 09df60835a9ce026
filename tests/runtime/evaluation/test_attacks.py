"""Attacks on a network of two weights, where what an attack must find is known; libraries by stand-ins where absent."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("torchattacks")

import torch

from outrider.networks import Preprocessing, TorchNetwork
from outrider.runtime.evaluation.attacks import ATTACKS, AttackRun, named_attack, number

FGSM = "torchattacks:FGSM"


class Brighter(torch.nn.Module):
    """Class 1 where the mean of a (1, 4, 4) picture is above 0.5, in the values of the network."""

    def __init__(self, low=0.0, high=1.0, channels=1):
        super().__init__()
        self.conv = torch.nn.Conv2d(channels, 1, 1)
        self.relu = torch.nn.ReLU()
        self.middle = (high - low) / 2
        with torch.no_grad():
            self.conv.weight.fill_(1 / channels)
            self.conv.bias.fill_(-low)

    def forward(self, x):
        z = (self.relu(self.conv(x)).mean((1, 2, 3)) - self.middle) * 10
        return torch.stack([-z, z], 1)


def network(module=None, **options):
    return TorchNetwork((module or Brighter()).eval(), (1, 4, 4), **options)


def flat(*levels):
    return np.stack([np.full((1, 4, 4), level, np.float32) for level in levels])


def run(one, samples, labels=None, rows=None):
    found = list(one.batches([(rows or list(range(len(samples))), samples, labels)]))
    return np.concatenate([x for x, _ in found]) if found else np.empty((0, 1, 4, 4)), found


def test_only_what_was_right_is_attacked_and_only_what_deceives_is_kept():
    # 0.45 and 0.55 cross the middle with 0.1; 0.2 does not; 0.48 was wrong before.
    one = AttackRun(network(), FGSM, 0.1)
    found, batches = run(one, flat(0.45, 0.2, 0.55, 0.48), np.array([0, 0, 1, 1]), rows=[10, 11, 12, 13])
    assert one.tried == 3
    assert one.rows == [10, 12]
    np.testing.assert_allclose(found, flat(0.55, 0.45), atol=1e-6)
    assert batches[0][1].tolist() == [0, 1]
    assert one.name == f"{FGSM} 0.1"


def test_without_labels_the_networks_answer_is_right():
    one = AttackRun(network(), FGSM, "1/10")
    run(one, flat(0.45, 0.2, 0.55))
    assert (one.tried, one.rows) == (3, [0, 2])
    again, _ = run(one, flat(0.45, 0.2, 0.55))
    assert (one.tried, one.rows, len(again)) == (3, [0, 2], 2), "a second run counts anew"


def test_it_ends_with_the_count():
    one = AttackRun(network(), FGSM, 0.1, count=2)
    batches = iter([([0], flat(0.45), None), ([1, 2], flat(0.46, 0.47), None), ([3], flat(0.48), None)])
    list(one.batches(batches))
    assert (one.tried, one.rows) == (2, [0, 1])


def test_epsilon_is_of_the_range_from_black_to_white():
    pictures = Preprocessing(scale=1 / 255, mean=(0.5,), std=(0.25,), order="L")
    seen = network(Brighter(-2, 2), preprocessing=pictures)  # the same middle, in values from -2 to 2
    one = AttackRun(seen, FGSM, 0.1)
    found, _ = run(one, (flat(0.45, 0.2) - 0.5) / 0.25)
    np.testing.assert_allclose(found * 0.25 + 0.5, flat(0.55), atol=1e-5)
    bounded = AttackRun(network(Brighter(-2, 2)), FGSM, 0.1, bounds=(-2, 2))
    np.testing.assert_allclose(run(bounded, flat(-0.2, 1.5))[0], flat(0.2), atol=1e-5)


def test_channels_last_are_brought_to_the_same_range():
    class Last(Brighter):
        def forward(self, x):
            return super().forward(x.permute(0, 3, 1, 2))

    pictures = Preprocessing(layout="NHWC", std=(1.0, 0.5, 0.25))
    seen = TorchNetwork(Last(channels=3).eval(), (4, 4, 3), preprocessing=pictures)
    one = AttackRun(seen, FGSM, 0.05)
    assert one._unit.factor.flatten().tolist() == [1, 2, 4]
    assert one._unit.factor.shape == (1, 1, 1, 3)


def test_one_number_and_probabilities_tell_two_classes_too():
    class One(Brighter):
        def forward(self, x):
            return super().forward(x)[:, 1:]

    class Sure(Brighter):
        def forward(self, x):
            return super().forward(x).softmax(1)

    for module, options in ((One(), {"classes": 2}), (Sure(), {"scores": "probabilities"})):
        one = AttackRun(network(module, **options), FGSM, 0.1)
        run(one, flat(0.45, 0.2, 0.55))
        assert one.rows == [0, 2]


def test_autoattack_finds_what_the_gradient_finds():
    class Four(Brighter):
        def forward(self, x):
            z = super().forward(x)
            return torch.cat([z, z - 20], 1)

    one = AttackRun(network(Four()), "autoattack", 0.1)
    run(one, flat(0.45))
    assert (one.tried, one.rows, one.name) == (1, [0], "autoattack 0.1")


def test_foolbox_is_asked_as_it_wants(monkeypatch):
    calls = []

    class FixedEpsilonAttack:
        def __call__(self, model, x, y, *, epsilons):
            calls.append((type(self).__name__, tuple(model.bounds), epsilons))
            changed = 1 - x
            return changed, changed, None

    class LinfPGD(FixedEpsilonAttack):
        pass

    class L2DeepFoolAttack:
        __call__ = FixedEpsilonAttack.__call__

    attacks = SimpleNamespace(
        base=SimpleNamespace(FixedEpsilonAttack=FixedEpsilonAttack), LinfPGD=LinfPGD, L2DeepFoolAttack=L2DeepFoolAttack
    )
    model = lambda module, bounds, device: SimpleNamespace(bounds=bounds)  # noqa: E731
    monkeypatch.setitem(
        sys.modules, "foolbox", SimpleNamespace(__name__="foolbox", attacks=attacks, PyTorchModel=model)
    )
    pgd, deepfool = AttackRun(network(), "pgd", "8/255"), AttackRun(network(), "deepfool")
    np.testing.assert_allclose(run(pgd, flat(0.4))[0], flat(0.6))
    # all black is what foolbox gives for a failure
    assert len(run(deepfool, flat(1.0))[0]) == 0
    assert calls == [("LinfPGD", (0, 1), 8 / 255), ("L2DeepFoolAttack", (0, 1), None)]
    assert (pgd.name, deepfool.name, deepfool.tried) == ("pgd 8/255", "deepfool", 1)


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "deepfool", "cw"])
def test_foolbox_itself_deceives_the_network(attack):
    pytest.importorskip("foolbox")
    one = AttackRun(network(), attack, 0.1)
    run(one, flat(0.45, 0.55))
    assert one.rows == [0, 1]


@pytest.mark.parametrize("attack", [FGSM, "pgd"])
def test_the_module_keeps_its_parameters_and_gets_no_gradients(attack):
    if attack == "pgd":
        pytest.importorskip("foolbox")
    module = Brighter().eval()
    module.conv.bias.requires_grad_(False)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    run(AttackRun(network(module), attack, 0.1), flat(0.45))
    assert all((module.state_dict()[name] == value).all() for name, value in before.items())
    assert [one.grad for one in module.parameters()] == [None, None]
    assert (module.conv.weight.requires_grad, module.conv.bias.requires_grad) == (True, False)
    assert not module.training
    assert (torch.random.get_rng_state() == state).all()


def test_what_cannot_be_attacked_is_refused():
    with pytest.raises(ValueError, match=r"expected a network of PyTorch for attacks.*got one of onnx; move"):
        AttackRun(SimpleNamespace(engine="onnx"), FGSM)
    with pytest.raises(ValueError, match="got 1 of float32 and no classes"):
        AttackRun(network(classes=None), FGSM)
    with pytest.raises(ValueError, match=r"samples between black and white.*attack_bounds="):
        run(AttackRun(network(), FGSM), flat(3.0))
    with pytest.raises(ValueError, match="expected no bounds for a network with preprocessing"):
        AttackRun(network(preprocessing=Preprocessing(order="L")), FGSM, bounds=(0, 1))
    with pytest.raises(ValueError, match="of which the first is lower"):
        AttackRun(network(), FGSM, bounds=(1, 1))


def test_names_and_bounds():
    assert named_attack("pgd") == ("foolbox", "LinfPGD")
    assert named_attack(FGSM) == ("torchattacks", "FGSM")
    assert {named_attack(one)[0] for one in ATTACKS} == {"foolbox", "torchattacks"}
    for strange in ("rain", "art:PGD", "foolbox:"):
        with pytest.raises(ValueError, match="expected an attack fgsm"):
            named_attack(strange)
    with pytest.raises(ValueError, match="an attack of torchattacks such as LinfPGD, got 'Rain'"):
        AttackRun(network(), "torchattacks:Rain")
    assert number("8/255") == 8 / 255
    for strange in ("0", "x", "1/0", -1, "inf"):
        with pytest.raises(ValueError, match="bound above 0"):
            number(strange)


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchattacks", None)
    with pytest.raises(ImportError, match=r"needs torchattacks: pip install.*attacks"):
        AttackRun(network(), FGSM)
