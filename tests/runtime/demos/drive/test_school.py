"""The school: a short lesson gives a network that runs the same in PyTorch and ONNX."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

import torch

from outrider.networks import OnnxNetwork
from outrider.networks.zoo.driving import trained_drive_net
from outrider.networks.zoo.steering import drive_model
from outrider.runtime.demos.drive.school import teach, write_weights


def test_the_shipped_network_is_one_in_both_forms(network):
    frames = np.random.default_rng(0).random((2, 3, 84, 96), np.float32)
    with torch.inference_mode():
        expected = trained_drive_net()(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(network.run(frames), expected, atol=1e-4)


def test_the_shipped_file_names_no_file_of_this_machine():
    assert b"/work" not in drive_model().read_bytes()
    assert b".py" not in drive_model().read_bytes()


def test_a_short_lesson_makes_weights_that_load(tmp_path):
    said = []
    module = teach(said.append, rounds=2, tracks=1, frames=130, epochs=(2, 1))
    assert not module.training
    assert any("the expert drives" in line for line in said)
    assert any("the network drives" in line for line in said)
    write_weights(module, tmp_path)
    frames = np.random.default_rng(0).random((2, 3, 84, 96), np.float32)
    with torch.inference_mode():
        expected = trained_drive_net(tmp_path)(torch.from_numpy(frames)).numpy()
    np.testing.assert_allclose(OnnxNetwork(drive_model(tmp_path)).run(frames), expected, atol=1e-4)
