"""The reduction of tensors to neurons, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outrider.networks import Tap
from outrider.networks.neurons import fill_neurons, lattice, places_of_lattice, reduce_to_neurons

SHAPES = {
    "NCHW": (3, 5, 7), "NHWC": (5, 7, 3), "NCL": (3, 6), "NLC": (6, 3), "NCDHW": (3, 4, 5, 2), "NDHWC": (4, 5, 2, 3),
    "NHLC": (2, 5, 3), "NC": (9,),
}  # fmt: skip
FIRST = "NCL", "NCHW", "NCDHW"
WORKED_OUT = {
    (2, 1): [0], (3, 1): [1], (4, 1): [1], (5, 1): [2], (6, 1): [2], (7, 1): [3],
    (3, 2): [0, 2], (4, 2): [0, 2], (5, 2): [0, 3], (6, 2): [1, 4], (7, 2): [1, 5],
}  # fmt: skip
"""The places of a lattice, by the size of the axis and how many are asked for."""
ALL = "unit", "channel", "channel-max", "grid2", "pixel", "pixel2"


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NCL", "NLC", "NC", "NCDHW", "NDHWC"])
@pytest.mark.parametrize(
    "neurons", ["unit", "channel", "channel-max", "grid1", "grid2", "grid3", "grid9", "sample1", "sample2", "sample9"]
)
def test_neurons_equal_plain_loops(layout, neurons):
    shape = SHAPES[layout]
    if layout == "NC" and neurons != "unit":
        pytest.skip("dense tensors have units only")
    tap = Tap("x", "relu", shape, layout, "float32", neurons)
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    found = reduce_to_neurons(tap, values)
    assert found.shape == (2, tap.size)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, [by_hand(tap, sample) for sample in values], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("n", "k", "places"),
    [
        (112, 7, [7, 23, 39, 55, 71, 87, 103]), (28, 7, [1, 5, 9, 13, 17, 21, 25]), (14, 7, [0, 2, 4, 6, 8, 10, 12]),
        (13, 7, [0, 2, 4, 6, 8, 10, 12]), (8, 7, [0, 2, 4, 6]), (7, 7, [0, 1, 2, 3, 4, 5, 6]), (3, 7, [0, 1, 2]),
        (9, 1, [4]), (1, 1, [0]), (5, 4, [0, 2, 4]), (15, 7, [1, 4, 7, 10, 13]),
    ],
)  # fmt: skip
def test_a_lattice_covers_an_axis_evenly(n, k, places):
    first, count, step = lattice(n, k)
    assert [first + i * step for i in range(count)] == places
    assert np.arange(n)[places_of_lattice([n], k)].tolist() == places


def by_hand(tap, sample):
    if tap.neurons == "unit":
        return sample.ravel().tolist()
    planes = sample if tap.layout in FIRST else np.moveaxis(sample, -1, 0)
    if tap.neurons.startswith("sample"):
        k = int(tap.neurons[6:])
        chosen = [[i for i in range(n) if n <= k or i in WORKED_OUT[n, k]] for n in planes[0].shape]
        kept = [plane[np.ix_(*chosen)] for plane in planes]
        return [math.fsum(plane.ravel()) / plane.size for plane in kept]
    if not tap.neurons.startswith("grid"):
        largest = tap.neurons == "channel-max"
        return [max(plane.ravel()) if largest else math.fsum(plane.ravel()) / plane.size for plane in planes]
    cells = []
    for plane in planes:
        for window in np.ndindex((tap.grid,) * plane.ndim):
            cut = tuple(
                slice(math.floor(i * n / tap.grid), math.ceil((i + 1) * n / tap.grid))
                for i, n in zip(window, plane.shape, strict=True)
            )
            cells.append(math.fsum(plane[cut].ravel()) / plane[cut].size)
    return cells


@pytest.mark.parametrize("layout", ["NHLC", "NLHC"])
@pytest.mark.parametrize("neurons", ["unit", "channel", "channel-max", "head"])
def test_neurons_of_attention_heads_equal_plain_loops(layout, neurons):
    by_head = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)  # batch, heads, tokens, channels
    values = by_head if layout == "NHLC" else by_head.transpose(0, 2, 1, 3)
    tap = Tap("x", "attention", values.shape[1:], layout, "float32", neurons)
    expected = []
    for sample in by_head:
        columns = [head[:, channel].tolist() for head in sample for channel in range(4)]
        expected.append({
            "unit": values[len(expected)].ravel().tolist(),
            "channel": [math.fsum(column) / 5 for column in columns],
            "channel-max": [max(column) for column in columns],
            "head": [math.sqrt(math.fsum(value * value for value in head.ravel()) / head.size) for head in sample],
        }[neurons])  # fmt: skip
    found = reduce_to_neurons(tap, values)
    assert found.shape == (2, tap.size)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NCL", "NLC", "NCDHW", "NDHWC"])
def test_places_are_rows_of_channels(layout):
    shape = SHAPES[layout]
    tap = Tap("x", "relu", shape, layout, "float32", "pixel")
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    last = [np.moveaxis(sample, 0, -1) if layout in FIRST else sample for sample in values]
    rows = [sample[place] for sample in last for place in np.ndindex(sample.shape[:-1])]
    np.testing.assert_array_equal(reduce_to_neurons(tap, values), rows)
    assert tap.size == 3


def windows_by_hand(tap, sample):
    """The means of each channel over windows, place by place: [[channel, ...], ...]."""
    planes = sample if tap.layout in FIRST else np.moveaxis(sample, -1, 0)
    rows = []
    for place in np.ndindex(*(math.ceil(n / tap.window) for n in planes.shape[1:])):
        cut = tuple(slice(i * tap.window, (i + 1) * tap.window) for i in place)
        rows.append([math.fsum(plane[cut].ravel()) / plane[cut].size for plane in planes])
    return rows


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(["NCHW", "NHWC", "NCL", "NLC", "NCDHW", "NDHWC"]),
    sizes=st.lists(st.integers(1, 9), min_size=3, max_size=3),
    channels=st.integers(1, 4),
    window=st.integers(2, 9),
    seed=st.integers(0, 99),
)
def test_places_are_means_over_windows(layout, sizes, channels, window, seed):
    sizes = sizes[: {4: 2, 3: 1, 5: 3}[len(layout)]]
    window = min(window, max(*sizes, 2))
    sizes[0] = max(sizes[0], window)
    shape = (channels, *sizes) if layout in FIRST else (*sizes, channels)
    tap = Tap("x", "relu", shape, layout, "float32", f"pixel{window}")
    values = np.random.default_rng(seed).normal(size=(2, *shape)).astype(np.float32)
    expected = [row for sample in values for row in windows_by_hand(tap, sample)]
    found = reduce_to_neurons(tap, values)
    assert found.flags.c_contiguous
    assert found.shape == (2 * math.prod(tap.place_sizes), channels)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_one_strange_value_is_in_the_window_that_holds_it():
    values = np.zeros((1, 2, 5, 5), np.float32)
    values[0, 1, 3, 4], values[0, 0, 4, 1] = np.nan, np.inf
    found = reduce_to_neurons(Tap("x", "relu", (2, 5, 5), "NCHW", "float32", "pixel2"), values).reshape(3, 3, 2)
    assert np.argwhere(np.isnan(found)).tolist() == [[1, 2, 1]]
    assert np.argwhere(np.isinf(found)).tolist() == [[2, 0, 0]]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_codes_keep_their_order_and_begin_at_zero(dtype):
    limits = np.iinfo(dtype)
    values = np.array([[limits.min, limits.max, 0, 1]], dtype)
    shift = -int(limits.min)
    units = reduce_to_neurons(Tap("x", "relu", (4,), "NC", dtype, "unit"), values)
    assert units.dtype == (np.uint8 if limits.bits == 8 else np.float32)
    assert units.tolist() == [[0, limits.max + shift, shift, 1 + shift]]
    mean = reduce_to_neurons(Tap("x", "relu", (1, 2, 2), "NCHW", dtype, "channel"), values.reshape(1, 1, 2, 2))
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, [[values.astype(float).mean() + shift]])
    places = reduce_to_neurons(Tap("x", "relu", (1, 4), "NCL", dtype, "pixel3"), values[:, None])
    np.testing.assert_allclose(places, [[values[0, :3].astype(float).mean() + shift], [1 + shift]])


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize(
    ("layout", "way"),
    [
        *((layout, "unit") for layout in SHAPES),
        *((layout, way) for layout in list(SHAPES)[:6] for way in ("pixel", "pixel2")),
    ],
)
def test_neurons_are_written_to_an_array_as_they_are_made(layout, way, dtype):
    shape = SHAPES[layout]
    tap = Tap("x", "relu", shape, layout, dtype, way)
    rng = np.random.default_rng(0)
    values = np.zeros((2, *shape), dtype)
    neurons = np.empty_like(reduce_to_neurons(tap, values))
    calls = fill_neurons(tap, values, neurons)
    for _ in range(2):
        if values.dtype.kind == "f":
            values[:] = rng.normal(0, 1000, values.shape)
            values.flat[:3] = np.nan, np.inf, -np.inf
        else:
            limits = np.iinfo(dtype)
            values[:] = rng.integers(limits.min, limits.max, values.shape, endpoint=True)
            values.flat[:2] = limits.min, limits.max
        for call in calls:
            call()
        expected = reduce_to_neurons(tap, values)
        assert neurons.dtype == expected.dtype
        np.testing.assert_array_equal(neurons, expected)


def test_sizes_may_be_open():
    tap = Tap("x", "relu", (3, None, None), "NCHW", "float32", "grid2")
    assert tap.size == 12
    for sizes in ((4, 6), (5, 3)):
        values = np.random.default_rng(0).normal(size=(2, 3, *sizes)).astype(np.float32)
        whole = Tap("x", "relu", (3, *sizes), "NCHW", "float32", "grid2")
        np.testing.assert_allclose(
            reduce_to_neurons(tap, values), [by_hand(whole, sample) for sample in values], rtol=1e-5, atol=1e-6
        )
    heads = Tap("x", "attention", (2, None, 3), "NHLC", "float32", "head")
    assert reduce_to_neurons(heads, np.ones((4, 2, 7, 3), np.float32)).tolist() == [[1, 1]] * 4


def test_nan_stays_where_it_is():
    values = np.zeros((1, 2, 4, 4), np.float32)
    values[0, 1, 0, 0] = np.nan
    tap = Tap("x", "relu", (2, 4, 4), "NCHW", "float32", "grid2")
    assert np.isnan(reduce_to_neurons(tap, values)).tolist() == [[False] * 4 + [True] + [False] * 3]


@pytest.mark.parametrize(
    ("layout", "neurons"),
    [
        ("NC", "unit"),
        *(("NHLC", way) for way in ("unit", "channel", "channel-max", "head")),
        *((layout, way) for layout in list(SHAPES)[:6] for way in ALL),
    ],
)
def test_rows_are_neurons_each_for_itself_and_may_be_none(layout, neurons):
    tap = Tap("x", "relu", SHAPES[layout], layout, "float32", neurons, rows=None)
    values = np.random.default_rng(0).normal(size=(6, *tap.shape)).astype(np.float32)
    alone = [reduce_to_neurons(tap, values[i : i + 1]) for i in range(6)]
    np.testing.assert_array_equal(reduce_to_neurons(tap, values), np.concatenate(alone))
    nothing = reduce_to_neurons(tap, values[:0])
    assert (nothing.shape, nothing.dtype) == ((0, tap.size), np.float32)
