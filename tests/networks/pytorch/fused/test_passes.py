"""Passes over a map: the plain twins against numpy, and the kernel of Triton, interpreted, against the twins."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from outrider.networks.pytorch.fused import passes  # noqa: E402


def test_the_twins_are_what_numpy_finds():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (2, 3, 5, 4)).astype(np.float32)
    values[0, 1, 2, 2], values[1, 2, 0, 0] = np.nan, np.inf
    x = torch.from_numpy(values)
    y = torch.empty_like(x)
    positive = np.where(values <= 0, 0, values)
    np.testing.assert_allclose(passes.relu_pooled_plain(x, y, "mean")[:, 0], positive.mean((2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(y, positive)
    np.testing.assert_array_equal(passes.pooled_plain(x, "max"), values.max((2, 3)))
    low = positive.mean((2, 3))
    labels = torch.tensor([1, 0])
    bounds = np.stack([low[1] + np.float32(0.1), np.nan_to_num(low[0])]).astype(np.float32)
    pooled, outside = passes.pooled_outside_plain(y, torch.from_numpy(bounds), torch.from_numpy(bounds), labels, "mean")
    found = pooled.numpy()
    np.testing.assert_array_equal(outside, ~((bounds[[1, 0]] <= found) & (found <= bounds[[1, 0]])))


def test_splits_of_several_maps_are_joined_together():
    parts = [torch.rand(2, splits, channels) for splits, channels in ((1, 3), (4, 5), (4, 2), (16, 3))]
    for how, numpy in (("mean", np.sum), ("max", np.max)):
        for own, part in zip(passes.joined(parts, how), parts, strict=True):
            np.testing.assert_allclose(own, numpy(part.numpy(), axis=1), rtol=1e-6)
    assert passes.joined([], "mean") == []


@pytest.mark.parametrize("places_first", [True, False])
@pytest.mark.parametrize("shape", [(1, 64, 12_544), (64, 64, 12_544), (1, 2048, 49), (2, 3, 10)])
def test_a_cut_covers_every_place_once(shape, places_first):
    cut = passes.cut_of(torch.Size(shape), places_first)
    assert cut.of_split * cut.splits >= shape[2]
    assert cut.channels * cut.places <= 8192
    assert passes.cut_of(torch.Size(shape), places_first, whole=True).splits == 1


def test_layouts_are_told_without_a_copy_and_gaps_refused():
    x = torch.rand(2, 3, 4, 5)
    for given, first in ((x, True), (x.contiguous(memory_format=torch.channels_last), False)):
        rows, places_first = passes.as_rows(given)
        assert rows.data_ptr() == given.data_ptr()
        assert places_first is first
        assert torch.equal(rows, given.flatten(2))
    assert passes.as_rows(x[:, :, ::2]) is None
    assert passes.as_rows(torch.rand(2, 3)) is None
    assert not passes.takes(x)


KERNEL = """
import os
os.environ["TRITON_INTERPRET"] = "1"
import torch
from outrider.networks.pytorch.fused import passes
assert passes.HAS_TRITON and passes.INTERPRETED
torch.manual_seed(0)
for shape in ((2, 5, 7, 7), (1, 70, 33, 29), (2, 3, 100, 100), (2, 8, 50)):
    for layout in (torch.contiguous_format, torch.channels_last)[: len(shape) - 2]:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            for how in ("mean", "max"):
                x = torch.randn(shape).to(dtype)
                x[0, 1].view(-1)[3], x[-1, 2].view(-1)[1], x[0, 0] = torch.nan, torch.inf, -0.0
                x = x.contiguous(memory_format=layout)
                y, twin = torch.empty_like(x), torch.empty_like(x)
                (found,) = passes.joined([passes.relu_pooled(x, y, how)], how)
                expected = passes.relu_pooled_plain(x, twin, how)[:, 0]
                assert torch.equal(y.nan_to_num(7), twin.nan_to_num(7)) and torch.equal(y.isnan(), twin.isnan())
                torch.testing.assert_close(found, expected, equal_nan=True)
                low = torch.rand(4, shape[1]) - 0.5
                labels = torch.randint(0, 4, shape[:1])
                pooled, outside = passes.pooled_outside(x, low, low + 0.5, labels, how)
                torch.testing.assert_close(pooled, passes.pooled_plain(x, how), equal_nan=True)
                low[labels] = torch.nan_to_num(pooled, 0, 0, 0)  # exactly on the bound
                pooled, outside = passes.pooled_outside(x, low, low, labels, how)
                inside = (low[labels] <= pooled) & (pooled <= low[labels])
                assert torch.equal(outside, (~inside).float())
                assert outside[0, 1] == 1
print("held")
"""


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs triton")
def test_the_interpreted_kernel_is_its_twin(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KERNEL], cwd=tmp_path, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.stdout == "held\n", done.stderr[-2000:]


@pytest.mark.skipif(not passes.HAS_TRITON, reason="needs triton")
def test_the_operators_know_the_shapes_they_return():
    x, low = torch.rand(2, 3, 4, 5), torch.rand(2, 3)
    labels = torch.tensor([0, 1])
    asked = "test_schema", "test_faketensor"  # the others want a GPU
    calls = {
        torch.ops.outrider.relu_pooled.default: (x, torch.empty_like(x), "mean"),
        torch.ops.outrider.pooled_outside.default: (x, low, low + 1, labels, "max"),
    }
    for operator, arguments in calls.items():
        assert set(torch.library.opcheck(operator, arguments, test_utils=asked).values()) == {"SUCCESS"}
