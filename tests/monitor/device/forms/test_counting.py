"""Criteria that count, as tensors: the counts of the kernels, to the last one."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from outrider.coverage import CoverageBitmap, Gaussian, MultiRange, SingleRange, parse_criterion  # noqa: E402
from outrider.monitor.device.forms import forms_of  # noqa: E402
from outrider.monitor.device.forms.counting import Outside, new_section  # noqa: E402

from .cases import hold, learned  # noqa: E402


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize(
    "text", ["single_range", "single_range(quantile=0.05)", "gaussian", "bitmap", "bitmap(sections=3)"]
)
def test_counts_are_those_of_the_host(text, classes):
    hold(parse_criterion(text), classes, rtol=0)


@pytest.mark.parametrize("classes", [1, 4])
@pytest.mark.parametrize(
    "text", ["single_range(magnitude=True)", "multi_range(sections=6)", "multi_range(sections=1)",
             "multi_range(sections=6, cost=log)"],
)  # fmt: skip
def test_costs_are_those_of_the_host(text, classes):
    hold(parse_criterion(text), classes, rtol=1e-6)


FLOATS = st.floats(-4, 4, width=32)


@given(st.lists(FLOATS, min_size=2, max_size=12), st.lists(FLOATS, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), Gaussian(), MultiRange(4)], ids=repr)
def test_values_on_bounds_and_one_step_beyond_are_told_as_on_the_host(criterion, trusted, values):
    signature = criterion.empty(1, 1)
    criterion.observe(signature, np.array(trusted, np.float32)[:, None], np.zeros(len(trusted), np.int64))
    ends = np.float32([min(trusted), max(trusted)])
    beyond = [np.nextafter(end, np.float32(way)) for end in ends for way in (-np.inf, np.inf)]
    rows = np.concatenate([np.float32(values), np.float32(trusted), ends, np.float32(beyond)])[:, None]
    labels = np.zeros(len(rows), np.int64)
    ((form, _),) = forms_of(criterion, [signature])
    found = form(torch.from_numpy(rows), torch.from_numpy(labels))[:, 0].numpy()
    np.testing.assert_allclose(found, criterion.deviation(signature, rows, labels), rtol=1e-6)


def test_bits_are_read_as_integers_would_be():
    bits = torch.arange(256, dtype=torch.uint8).repeat_interleave(10)
    scaled = torch.arange(-1, 9).repeat(256) + 0.5
    found = new_section(scaled, torch.zeros(()), bits, 2.0 ** -torch.arange(8.0))
    k = np.arange(-1, 9)
    expected = [not (0 <= one < 8 and b >> int(one) & 1) for b in range(256) for one in k]
    np.testing.assert_array_equal(found.numpy(), expected)


def test_columns_without_a_common_block_are_filled_up_and_a_large_one_stands_alone():
    signatures, _ = learned(SingleRange(), 2, sizes=(33, 64, 20_000))
    forms = forms_of(SingleRange(), signatures)
    assert [lot for _, lot in forms] == [[0, 1], [2]]
    (together, alone) = (form for form, _ in forms)
    assert isinstance(together, Outside)
    assert together.fill == [31, 0]
    assert tuple(together.within.shape) == (2, 4)
    assert alone.block == 20_000
