"""The names of functions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from outrider.networks.pytorch.reading.functions import ENDS, POINTWISE, bends, kind_of_function, name_of  # noqa: E402


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (functional.relu, "relu"), (functional.relu_, "relu"), (torch.relu_, "relu"), (torch.Tensor.relu, "relu"),
        (functional.leaky_relu_, "leakyrelu"), (functional.hardtanh, "hardtanh"), (torch.sigmoid, "sigmoid"),
        (functional.scaled_dot_product_attention, "attention"), (functional.log_softmax, ""), (torch.Tensor.mul, ""),
        (functional.max_pool2d, ""), (lambda x: x, ""),
    ],
)  # fmt: skip
def test_kinds(function, kind):
    assert kind_of_function(function) == kind


def test_only_what_bends_is_bent():
    assert name_of(torch.Tensor.clamp_min_) == "clampmin"
    assert bends("clampmin")
    assert bends("relu")
    assert not bends("mul")
    assert ENDS <= POINTWISE
