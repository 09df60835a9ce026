"""The application goes on with a module that is observed: runs of its own, threads, copies, files."""

from __future__ import annotations

import copy
import io
import pickle  # noqa: TID251 - what an application does with its module
import threading

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from outrider.networks import TorchNetwork

from . import modules as zoo

SHAPE = (3, 8, 8)


def made(kind):
    torch.manual_seed(0)
    return kind().eval()


def frames(n=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, *SHAPE)).astype(np.float32)


def same(one, other):
    np.testing.assert_array_equal(one.output.numpy(), other.output.numpy())
    for a, b in zip(one.activations, other.activations, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [zoo.Base, zoo.Reused, zoo.InPlace])
def test_runs_of_other_threads_and_between_frames_are_not_recorded(kind):
    module = made(kind)
    network = TorchNetwork(module, SHAPE)
    expected = [network.observe(frames(seed=seed)) for seed in range(4)]
    stop, failed = threading.Event(), []

    def application():
        batch = torch.from_numpy(frames(7, seed=9))
        try:
            while not stop.is_set():
                with torch.inference_mode():
                    module(batch.clone())
        except Exception as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [threading.Thread(target=application) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            for seed in range(4):
                same(network.observe(frames(seed=seed)), expected[seed])
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    with torch.inference_mode():
        module(torch.from_numpy(frames(5)))
    same(network.observe(frames(seed=1)), expected[1])


def test_several_threads_may_observe_one_network():
    network = TorchNetwork(made(zoo.Base), SHAPE)
    expected = [network.observe(frames(seed=seed)) for seed in range(3)]
    failed = []

    def watch(seed):
        try:
            for _ in range(15):
                same(network.observe(frames(seed=seed)), expected[seed])
        except BaseException as error:  # noqa: BLE001 - told by the test
            failed.append(error)

    threads = [threading.Thread(target=watch, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.parametrize("kind", [zoo.Base, zoo.Reused])
def test_a_module_can_be_copied_pickled_and_saved_while_it_is_observed(kind):
    module = made(kind)
    network = TorchNetwork(module, SHAPE)
    expected = network.observe(frames())
    file = io.BytesIO()
    torch.save(module, file)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):  # noqa: S301 - bytes of our own
        with torch.inference_mode():
            np.testing.assert_array_equal(twin(torch.from_numpy(frames())).numpy(), expected.output.numpy())
        same(TorchNetwork(twin, SHAPE).observe(frames()), expected)
    same(network.observe(frames()), expected)


def test_a_module_can_be_moved_while_it_is_observed():
    module = made(zoo.Base)
    network = TorchNetwork(module, SHAPE)
    expected = network.observe(frames())
    module.to("cpu")
    module.double()
    seen = network.observe(frames())
    np.testing.assert_allclose(seen.output.numpy(), expected.output.numpy(), rtol=1e-4, atol=1e-5)
    module.float()
    same(network.observe(frames()), expected)


def test_two_networks_watch_one_module_without_seeing_each_other():
    module = made(zoo.Base)
    one, other = TorchNetwork(module, SHAPE), TorchNetwork(module, SHAPE, taps="conv")
    expected = one.observe(frames())
    other.observe(frames(seed=3))
    same(one.observe(frames()), expected)
    one.close()
    assert other.observe(frames()).activations[0].shape == (2, 4)
