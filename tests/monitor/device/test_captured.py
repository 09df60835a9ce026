"""A module in a CUDA graph; without a GPU no more than what is refused."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from outrider.monitor.device.captured import Captured  # noqa: E402


def test_frames_that_are_not_on_a_gpu_are_refused():
    with pytest.raises(ValueError, match=r"expected frames on a CUDA device, got \['cpu'\]"):
        Captured(nn.Identity(), torch.zeros(1))
    with pytest.raises(ValueError, match=r"expected frames on a CUDA device, got \[\]"):
        Captured(nn.Identity())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_follows_its_frames_and_refuses_others():
    captured = Captured(nn.ReLU(), torch.zeros(3, device="cuda"))
    for value in (-1.0, 2.0, 3.0):
        assert captured(torch.full((3,), value, device="cuda")).tolist() == [max(value, 0)] * 3
    with pytest.raises(ValueError, match=r"expected frames torch.float32 \(3,\), as captured, got"):
        captured(torch.zeros(4, device="cuda"))
