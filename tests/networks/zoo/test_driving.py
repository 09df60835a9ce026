"""The network that drives, with its shipped weights."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from outrider.networks.zoo.driving import trained_drive_net  # noqa: E402
from outrider.networks.zoo.steering import STEERING, WEIGHTS  # noqa: E402


def test_the_shipped_network_scores_every_position_of_the_wheel():
    module = trained_drive_net()
    state, shipped = module.state_dict(), load_file(WEIGHTS / "drive.safetensors")
    assert all(torch.equal(state[key], shipped[key]) for key in shipped)
    assert sum(parameter.numel() for parameter in module.parameters()) == pytest.approx(61_000, rel=0.02)
    assert not module.training
    with torch.inference_mode():
        assert module(torch.zeros(2, 3, 84, 96)).shape == (2, len(STEERING))


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"drive\.safetensors; make them with `outrider demo drive --retrain`"):
        trained_drive_net(tmp_path)
