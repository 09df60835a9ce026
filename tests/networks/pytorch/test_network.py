"""TorchNetwork: batches, taps and the module behind it."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.networks import LeNet, SmallResNet, TorchNetwork, torchvision_classifier  # noqa: E402
from outrider.networks.detections.found import detected  # noqa: E402

from ...detectors import DECODER, scene, torch_detector  # noqa: E402
from .modules import SHAPE, built, chain, conv_net, images, seen_by_hooks  # noqa: E402


@pytest.mark.parametrize("make", [LeNet, lambda: SmallResNet(width=8)])
def test_activations_are_those_of_hooks(make):
    module = built(make())
    shape = (1, 28, 28) if isinstance(module, LeNet) else (3, 32, 32)
    names = [name for name, part in module.named_modules() if isinstance(part, nn.ReLU)]
    batch = images(3, shape)
    output, seen = seen_by_hooks(module, batch, names)
    with TorchNetwork(module, shape, taps="auto", neurons=("unit", "channel")) as network:
        observation = network.observe(batch)
    assert {tap.name for tap in network.taps} == {*names, "output"}
    np.testing.assert_array_equal(observation.output, output)
    np.testing.assert_array_equal(observation.logits, output)
    for tap, found in zip(network.taps[:-1], observation.activations[:-1], strict=True):
        value = seen[tap.name][0]
        expected = value.flatten(1) if tap.neurons == "unit" else value.mean((2, 3))
        assert tap.shape == tuple(value.shape[1:])
        assert found.shape == (3, tap.size)
        assert found.flags.c_contiguous
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, expected)
    assert observation.activations[-1] is observation.logits


def test_the_module_stays_as_it_was():
    module = conv_net()
    module(torch.from_numpy(images())).sum().backward()
    module[0].weight.requires_grad_(False)
    state = copy.deepcopy(module.state_dict())
    gradients = {name: p.grad.clone() for name, p in module.named_parameters()}
    needs = {name: p.requires_grad for name, p in module.named_parameters()}
    text = str(module)
    network = TorchNetwork(module, SHAPE, neurons="unit")
    network.observe(images())
    assert network.module is module
    network.close()
    assert str(module) == text
    assert not any(part._forward_hooks or part.training for part in module.modules())
    assert {name: p.requires_grad for name, p in module.named_parameters()} == needs
    for name, parameter in module.named_parameters():
        assert torch.equal(parameter, state[name])
        assert torch.equal(parameter.grad, gradients[name])


def test_the_module_can_be_used_beside_the_network():
    module, batch = conv_net(), images()
    network = TorchNetwork(module, SHAPE)
    expected = network.observe(batch)
    output = module(torch.from_numpy(images(7, seed=1)))
    assert output.requires_grad
    np.testing.assert_array_equal(network.observe(batch).activations[0], expected.activations[0])


def test_a_constructor_that_fails_leaves_no_hooks():
    module = conv_net()
    with pytest.raises(ValueError, match="got 'nothing'"):
        TorchNetwork(module, SHAPE, taps="nothing")
    with pytest.raises(ValueError, match=r"expected a module that takes a batch of shape \(2, 1, 8, 8\), got Runtime"):
        TorchNetwork(module, (1, 8, 8))
    assert not any(part._forward_hooks for part in module.modules())


def test_training_mode_is_refused_not_changed():
    module = conv_net()
    module[1].train()
    with pytest.raises(
        ValueError, match=r"expected a module in eval mode \(call \.eval\(\)\), got training mode in 1$"
    ):
        TorchNetwork(module, SHAPE)
    assert module[1].training
    module.eval()
    network = TorchNetwork(module, SHAPE)
    module.train()
    with pytest.raises(RuntimeError, match="got training mode"):
        network.observe(images())


@pytest.mark.parametrize(
    "view",
    [
        torch.from_numpy,
        lambda x: torch.from_numpy(x).contiguous(memory_format=torch.channels_last),
        lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        lambda x: np.ascontiguousarray(x[:, :, ::-1])[:, :, ::-1],
        lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    ],
    ids=["tensor", "channels-last", "strided", "reversed", "read-only"],
)
def test_batches_of_every_make(view):
    network = TorchNetwork(conv_net(), SHAPE, neurons="unit")
    expected, found = network.observe(images()), network.observe(view(images()))
    for first, second in zip(expected.activations, found.activations, strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)
        assert second.flags.c_contiguous


@pytest.mark.parametrize(
    ("batch", "error", "message"),
    [
        (images().astype(np.float64), TypeError, "expected a batch of dtype float32, got float64; convert it"),
        (torch.zeros(2, *SHAPE, dtype=torch.float64), TypeError, r"dtype float32, got torch\.float64"),
        (np.zeros((2, *SHAPE), np.uint8), TypeError, "dtype float32, got uint8"),
        (images().tolist(), TypeError, "expected a numpy array or a torch tensor, got list"),
        (images()[0], ValueError, r"expected a batch of shape \(n, 3, 8, 8\), got \(3, 8, 8\)"),
        (images()[:, :, :5], ValueError, r"got \(3, 3, 5, 8\)"),
        (images()[:0], ValueError, r"got \(0, 3, 8, 8\)"),
        (torch.zeros(1, 1, 8, 8), ValueError, r"got \(1, 1, 8, 8\)"),
    ],
)
def test_other_batches_are_refused(batch, error, message):
    network = TorchNetwork(conv_net(), SHAPE)
    for call in (network.observe, network.run):
        with pytest.raises(error, match=message):
            call(batch)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({1: nn.Conv2d(4, 5, 1), 5: nn.Linear(180, 5)}, "2 rows of 4 values at tap 1:channel, .* got 2 of 5;"),
        ({5: nn.Linear(144, 6)}, "2 rows of 5 values at tap output:unit, .* got 2 of 6;"),
        ({1: nn.Flatten(0, 1), 2: nn.Unflatten(0, (-1, 4))}, r"a tensor of 1 as in the trial run, got \(8, 6, 6\): "),
    ],
)
def test_shapes_other_than_in_the_trial_are_an_error(changed, message):
    module = chain(nn.Conv2d(3, 4, 3), nn.Sequential(), nn.Sequential(), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5))
    network = TorchNetwork(module, SHAPE, taps="1")
    network.observe(images(2))
    for index, part in changed.items():
        if index == 1:
            module[1].append(part)
        else:
            module[index] = part
    with pytest.raises(RuntimeError, match=message):
        network.observe(images(2))


def test_nan_passes_through():
    batch = images()
    batch[1, 0, 3, 3] = np.nan
    observation = TorchNetwork(conv_net(), SHAPE).observe(batch)
    assert np.isnan(observation.logits).any(1).tolist() == [False, True, False]


def test_by_default_every_activation_is_pooled_the_first_also_taken_by_unit_and_the_last_by_its_largest():
    network = TorchNetwork(conv_net(), SHAPE)
    assert [tap.id for tap in network.taps] == ["1:channel", "1:unit", "3:channel", "3:channel-max", "output:unit"]


def test_the_class_scores_alone():
    network = TorchNetwork(conv_net(), SHAPE, taps="@output")
    assert [tap.id for tap in network.taps] == ["output:unit"]
    assert len(network.observe(images()).activations) == 1


def test_half_precision_modules_are_fed_and_read_in_float32():
    module = conv_net().to(torch.bfloat16)
    network = TorchNetwork(module, SHAPE, neurons=("unit", "channel"))
    observation = network.observe(images())
    assert {tap.dtype for tap in network.taps} == {"bfloat16"}
    assert {values.dtype for values in observation.activations} == {np.dtype(np.float32)}
    _, seen = seen_by_hooks(module.float(), images(), ["1"])
    np.testing.assert_allclose(observation.activations[0], seen["1"][0].flatten(1), atol=0.05)


def test_the_fingerprint_follows_weights_and_structure():
    def fingerprint(module):
        return TorchNetwork(module, SHAPE).fingerprint

    module = conv_net()
    first = fingerprint(module)
    assert len(first) == 64
    assert fingerprint(conv_net()) == first
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] += 1
    assert fingerprint(module) != first
    other = conv_net()
    other[1] = nn.ReLU6().eval()
    assert fingerprint(other) != first


def test_threads_do_not_mix_their_activations():
    network = TorchNetwork(conv_net(), SHAPE)
    batches = [images(2, seed=seed) for seed in range(4)]
    expected = [network.observe(batch).activations[0] for batch in batches]
    wrong = []

    def work(index):
        found = [network.observe(batches[index]).activations[0] for _ in range(10)]
        wrong.extend(not np.array_equal(values, expected[index]) for values in found)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 40
    assert not any(wrong)


def test_the_repr_is_short():
    assert repr(TorchNetwork(conv_net(), SHAPE, taps="auto")) == "TorchNetwork(Sequential, (3, 8, 8)): 3 taps"


def test_a_run_does_not_come_between_an_observation():
    """Both hold the lock while the module runs: its hooks would count a run from another thread."""
    held = []

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()
            self.network = None

        def forward(self, x):
            if self.network is not None:
                held.append(self.network[0]._lock.locked())
            return self.relu(x)

    module = Watched().eval()
    network = TorchNetwork(module, (4,), taps="relu")
    module.network = (network,)
    batch = images(2, (4,))
    network.observe(batch)
    network.run(batch)
    assert held == [True, True]
    with pytest.raises(ValueError, match="expected a batch of shape"):
        network.run(batch[:, :3])
    assert not network._lock.locked()


def test_the_first_batch_tells_the_shape_and_the_taps():
    module, batch = conv_net(), images()
    given, network = TorchNetwork(module, SHAPE), TorchNetwork(module)
    assert not network.shaped
    assert repr(network) == "TorchNetwork(Sequential): no batch seen"
    for name in ("taps", "classes", "input_shape", "map_classes"):
        with pytest.raises(RuntimeError, match=r"expected a network that has seen a batch, .* or call learn_shape"):
            getattr(network, name)
    found, expected = network.observe(batch), given.observe(batch)
    assert network.shaped
    assert given.shaped
    for name in ("taps", "classes", "input_shape", "map_classes", "fingerprint"):
        assert getattr(network, name) == getattr(given, name)
    for first, second in zip(expected.activations, found.activations, strict=True):
        np.testing.assert_array_equal(first, second)
    network.learn_shape(images(2, (3, 9, 9)))
    assert network.input_shape == SHAPE
    with pytest.raises(ValueError, match=r"expected a batch of shape \(n, 3, 8, 8\), got \(2, 3, 9, 9\)"):
        network.observe(images(2, (3, 9, 9)))


@pytest.mark.parametrize("learn", ["run", "learn_shape"])
def test_a_tensor_tells_the_shape_too(learn):
    network = TorchNetwork(conv_net(), taps="auto")
    getattr(network, learn)(torch.from_numpy(images()))
    assert (network.input_shape, len(network.taps), network.classes) == (SHAPE, 3, 5)


def test_a_first_batch_that_does_not_fit_leaves_the_network_as_it_was():
    module = conv_net()
    network = TorchNetwork(module)
    for batch, error in ((images(2, (1, 8, 8)), ValueError), (images().tolist(), TypeError), (images() > 0, TypeError)):
        with pytest.raises(error, match="expected"):
            network.observe(batch)
        assert not network.shaped
    assert not any(part._forward_hooks for part in module.modules())
    network.observe(images())
    network.close()
    assert not any(part._forward_hooks for part in module.modules())


def test_a_tensor_goes_in_as_it_is_and_keeps_no_graph():
    seen = []

    class Looking(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            seen.append((x.data_ptr(), x.requires_grad))
            return self.relu(x * 1)

    network = TorchNetwork(Looking().eval(), (4,), taps="relu")
    batch = torch.from_numpy(images(2, (4,))).requires_grad_()
    observation = network.observe(batch)
    assert seen[-1] == (batch.data_ptr(), False)
    assert not observation.output.requires_grad
    assert batch.requires_grad
    np.testing.assert_array_equal(observation.activations[0], batch.detach().relu())


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "mobilenet_v3_small", "shufflenet_v2_x0_5", "swin_t"])
def test_classifiers_of_torchvision_say_what_they_say_unwatched(name):
    torch.manual_seed(0)
    options = {"init_weights": False} if name == "googlenet" else {}
    module = torchvision_classifier(name, num_classes=4, **options)
    batch = images(2, (3, 64, 64))
    with torch.no_grad():
        expected = module(torch.from_numpy(batch))
    network = TorchNetwork(module, (3, 64, 64))
    seen = network.observe(batch)
    assert torch.equal(seen.output, expected)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    firsts = {"swin_t": "gelu", "mobilenet_v3_small": "hardswish"}
    assert network.taps[0].kind == firsts.get(name, "relu")


@pytest.mark.parametrize("neurons", ["unit", "channel", "channel-max", "grid2", "pixel", "pixel2"])
def test_gradients_flow_from_what_is_observed_to_the_batch(neurons):
    module = conv_net()
    network = TorchNetwork(module, SHAPE, neurons=neurons)
    seen = network.observe(images())
    batch = torch.from_numpy(images()).requires_grad_()
    scores, found = network.with_gradients(batch)
    np.testing.assert_array_equal(scores.detach(), seen.logits)
    for values, expected in zip(found, seen.activations, strict=True):
        np.testing.assert_array_equal(values.detach(), expected)
        (gradient,) = torch.autograd.grad(values.sum(), batch, retain_graph=True)
        assert (gradient != 0).any()
    assert all(parameter.grad is None for parameter in module.parameters())


def test_gradients_of_a_single_score_are_those_of_two_classes():
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 1)).eval()
    network = TorchNetwork(module, (1, 2, 2), classes=2)
    batch = torch.rand(5, 1, 2, 2).requires_grad_()
    scores, _ = network.with_gradients(batch)
    np.testing.assert_array_equal(scores.detach(), network.observe(batch.detach()).logits)
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), batch)
    assert gradient.shape == batch.shape


def test_gradients_are_refused_where_there_is_no_class_or_no_float():
    module = conv_net()
    with pytest.raises(ValueError, match="expected class scores to compute gradients"):
        TorchNetwork(module, SHAPE, classes=None).with_gradients(torch.from_numpy(images()))
    with pytest.raises(ValueError, match="expected a batch of shape"):
        TorchNetwork(module, SHAPE).with_gradients(torch.zeros(1, 1, 2, 2))


def test_detections_are_decoded_of_the_output():
    frames = np.stack([scene((1, 2, 0, 0.3)), scene((5, 4, 1, 0.3))])
    network = TorchNetwork(torch_detector(), (3, 32, 32), taps="relu", detections=DECODER)
    red, green = detected(network.detections, network.observe(frames).output, 2)
    assert (red.classes.tolist(), red.boxes.round().tolist()) == ([0], [[4, 8, 12, 16]])
    assert (green.classes.tolist(), green.boxes.round().tolist()) == ([1], [[20, 16, 28, 24]])


def test_a_budget_is_refused_before_the_shape_is_known():
    with pytest.raises(ValueError, match=r"got 'budget:1\.05': outrider\.runtime\.taps_within\("):
        TorchNetwork(built(LeNet()), taps=("budget:1.05",))
