"""Taps, selectors, and the reduction of tensors to neurons, against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from outrider.networks import Tap, Taps
from outrider.networks.neurons import fill_neurons, reduce_to_neurons
from outrider.networks.selectors import choose
from outrider.networks.tap import Candidate, candidate

MAP = Tap("layer1.relu", "relu", (3, 5, 7), "NCHW", "float32", "channel")
UNITS = Tap("layer1.relu", "relu", (3, 5, 7), "NCHW", "float32", "unit")
LATER = Tap("layer2.gelu", "gelu", (4, 6), "NLC", "float32", "channel")
DENSE = Tap("dense", "relu", (8,), "NC", "float32", "unit")
SCORES = Tap("output", "output", (10,), "NC", "float32", "unit")
TAPS = Taps([MAP, UNITS, LATER, DENSE, SCORES])


@pytest.mark.parametrize(
    ("selector", "indices"),
    [
        ("layer1.relu:channel", (0,)),
        ("layer1.relu", (0, 1)),
        ("layer1*:channel", (0,)),
        ("layer*", (0, 1, 2)),
        ("*:unit", (1, 3)),
        ("*:channel", (0, 2, 3)),
        ("dense:channel", (3,)),
        ("*", (0, 1, 2, 3)),
        ("*:*", (0, 1, 2, 3)),
        ("@relu", (0, 1, 3)),
        ("@relu:unit", (1, 3)),
        ("@relu:grid4", (3,)),
        ("@output", (4,)),
        ("@output:unit", (4,)),
        ("output", (4,)),
        ("output:unit", (4,)),
    ],
)
def test_a_selector_means_these_taps(selector, indices):
    assert TAPS.select(selector) == indices


def test_a_selector_without_a_match_names_itself_the_close_ones_and_the_taps():
    with pytest.raises(ValueError, match=r"got 'layer1\.rleu' \(did you mean 'layer1\.relu'") as error:
        TAPS.select("layer1.rleu")
    assert str(TAPS) in str(error.value)


@pytest.mark.parametrize("selector", ["outp*", "@tanh", "layer1.relu:grid2", "", ":"])
def test_what_means_no_tap_is_refused(selector):
    with pytest.raises(ValueError, match="expected a tap, a glob or an @kind"):
        TAPS.select(selector)


def test_names_with_colons_are_names():
    taps = Taps([Tap("model/relu:0", "relu", (4,), "NC", "float32", "unit")])
    assert taps.select("model/relu:0") == taps.select("model*:0") == taps.select("model/relu:0:channel") == (0,)


def test_the_table_is_aligned():
    assert str(TAPS).splitlines() == [
        "tap          kind    shape  neurons  taken by",
        "layer1.relu  relu    3x5x7        3  channel",
        "layer1.relu  relu    3x5x7      105  unit",
        "layer2.gelu  gelu    4x6          6  channel",
        "dense        relu    8            8  unit",
        "output       output  10          10  unit",
    ]


def test_two_taps_of_one_id_are_refused():
    with pytest.raises(ValueError, match=r"expected taps that differ, got dense:unit"):
        Taps([DENSE, DENSE])


@pytest.mark.parametrize(
    ("shape", "layout", "neurons", "message"),
    [
        ((3, 5), "NCHW", "unit", r"layout among NC, NLC, NCL, NCHW, NHWC, NHLC, NLHC that .* got 'NCHW' and \(3, 5\)"),
        ((3,), "NCL", "unit", "got 'NCL'"),
        ((3,), "CHW", "unit", "got 'CHW'"),
        ((3,), "NC", "channel", "expected neurons 'unit' for a dense tensor, got 'channel'"),
        ((3, 5, 7), "NCHW", "grid", r"expected neurons 'unit', .*'gridK' \(grid4\), 'head' or 'pixel', got 'grid'"),
        ((3, 5, 7), "NCHW", "grid0", "got 'grid0'"),
        ((3, 5, 7), "NCHW", "head", "expected a layout among NHLC, NLHC for neurons 'head', got NCHW"),
        ((3, 5, 7), "NHLC", "grid2", "expected a layout among NLC, NCL, NCHW, NHWC for neurons 'grid2', got NHLC"),
        ((3, 5, 7), "NLHC", "pixel", "expected a layout among NLC, .* for neurons 'pixel', got NLHC"),
        ((3, None, 7), "NCHW", "unit", r"expected known sizes for neurons 'unit', got 3x\?x7; fix the input shape"),
        ((None, 5, 7), "NCHW", "channel", r"expected known sizes for neurons 'channel', got \?x5x7"),
    ],
)
def test_a_tap_that_makes_no_sense_is_refused(shape, layout, neurons, message):
    with pytest.raises(ValueError, match=message):
        Tap("x", "relu", shape, layout, "float32", neurons)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NCL", "NLC", "NC"])
@pytest.mark.parametrize("neurons", ["unit", "channel", "channel-max", "grid1", "grid2", "grid3", "grid9"])
def test_neurons_equal_plain_loops(layout, neurons):
    shape = {"NCHW": (3, 5, 7), "NHWC": (5, 7, 3), "NCL": (3, 6), "NLC": (6, 3), "NC": (4,)}[layout]
    if layout == "NC" and neurons != "unit":
        pytest.skip("dense tensors have units only")
    tap = Tap("x", "relu", shape, layout, "float32", neurons)
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    found = reduce_to_neurons(tap, values)
    assert found.shape == (2, tap.size)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, [by_hand(tap, sample) for sample in values], rtol=1e-5, atol=1e-6)


def by_hand(tap, sample):
    if tap.neurons == "unit":
        return sample.ravel().tolist()
    planes = sample if tap.layout in ("NCHW", "NCL") else np.moveaxis(sample, -1, 0)
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


@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "NCL", "NLC"])
def test_places_are_rows_of_channels(layout):
    shape = {"NCHW": (3, 5, 7), "NHWC": (5, 7, 3), "NCL": (3, 6), "NLC": (6, 3)}[layout]
    tap = Tap("x", "relu", shape, layout, "float32", "pixel")
    values = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    last = [np.moveaxis(sample, 0, -1) if layout in ("NCHW", "NCL") else sample for sample in values]
    rows = [sample[place] for sample in last for place in np.ndindex(sample.shape[:-1])]
    np.testing.assert_array_equal(reduce_to_neurons(tap, values), rows)
    assert tap.size == 3


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


SHAPES = {"NCHW": (3, 5, 7), "NHWC": (5, 7, 3), "NCL": (3, 6), "NLC": (6, 3), "NHLC": (2, 5, 3), "NC": (9,)}


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize(
    ("layout", "way"), [*((layout, "unit") for layout in SHAPES), *((layout, "pixel") for layout in list(SHAPES)[:4])]
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
    assert "3x?x?" in str(Taps([tap]))


def test_nan_stays_where_it_is():
    values = np.zeros((1, 2, 4, 4), np.float32)
    values[0, 1, 0, 0] = np.nan
    tap = Tap("x", "relu", (2, 4, 4), "NCHW", "float32", "grid2")
    assert np.isnan(reduce_to_neurons(tap, values)).tolist() == [[False] * 4 + [True] + [False] * 3]


@pytest.mark.parametrize(
    ("shape", "dtype", "obstacle"),
    [
        ((2, 3), "int64", "expected a tensor of floats or of quantised codes, got int64"),
        ((2, 3), "bool", "expected a tensor of floats or of quantised codes, got bool"),
        ((2, None), "float32", "expected a known number of channels, got shape ?; fix the input shape"),
        ((2, None, 4, 4), "float32", "expected a known number of channels, got shape ?x4x4"),
        ((6, 3), "float32", "expected 2 rows for a batch of 2, got shape (6, 3)"),
        ((), "float32", "expected 2 rows"),
        ((2, 3, 4, 5, 6), "float32", "got 5 axes: (2, 3, 4, 5, 6)"),
        ((2,), "float32", "got 1 axes: (2,)"),
    ],
)
def test_tensors_that_cannot_be_tapped_say_why(shape, dtype, obstacle):
    assert obstacle in candidate("x", "relu", shape, dtype, batch=2).obstacle


CANDIDATES = [
    Candidate("conv", "conv2d", (3, 5, 5), "NCHW", "float32"),
    Candidate("relu", "relu", (3, 5, 5), "NCHW", "float32"),
    Candidate("gate", "sigmoid", (3,), "NC", "float32"),
    Candidate("dense", "gelu", (8,), "NC", "float32"),
    Candidate("pair", "relu", obstacle="expected a tensor, got tuple"),
]


@pytest.mark.parametrize(
    ("selectors", "neurons", "ids"),
    [
        ("auto", "channel", ["relu:channel", "dense:unit"]),
        ("first", "unit", ["relu:unit"]),
        ("auto", ("unit", "channel"), ["relu:unit", "relu:channel", "dense:unit"]),
        (("auto:grid2", "conv"), "channel", ["conv:channel", "relu:grid2", "dense:unit"]),
        ("*", "channel", ["conv:channel", "relu:channel", "gate:unit", "dense:unit"]),
        ("@relu", "unit", ["relu:unit"]),
        (("relu:unit", "re*:channel-max"), "channel", ["relu:unit", "relu:channel-max"]),
    ],
)
def test_choose(selectors, neurons, ids):
    assert [tap.id for tap in choose(CANDIDATES, selectors, neurons)] == ids


def test_stages_are_the_last_activations_of_each_size():
    maps = [
        Candidate("a", "relu", (8, 32, 32), "NCHW", "float32"),
        Candidate("b", "relu", (4, 32, 32), "NCHW", "float32"),
        Candidate("c", "relu", (32, 16, 8), "NHWC", "float32"),
        Candidate("d", "relu", (16, 16, 32), "NHWC", "float32"),
        Candidate("squeeze", "relu", (4, 1, 1), "NCHW", "float32"),
        Candidate("tokens", "gelu", (16, 64), "NLC", "float32"),
        Candidate("dense", "relu", (9,), "NC", "float32"),
        Candidate("e", "relu", (64, 16, 16), "NCHW", "float32"),
    ]
    chosen = choose(maps, "stages", "channel")
    assert [tap.name for tap in chosen] == ["b", "c", "tokens", "dense", "e"]
    assert [tap.name for tap in choose([maps[4]], "stages", "channel")] == ["squeeze"]


def test_stages_need_known_sizes():
    maps = [Candidate("a", "relu", (8, None, 32), "NCHW", "float32")]
    with pytest.raises(ValueError, match=r"expected known sizes to tell the stages .* apart, got 8x\?x32 at 'a'"):
        choose(maps, "stages", "channel")


def test_gates_are_tapped_where_there_is_nothing_else():
    assert [tap.name for tap in choose([CANDIDATES[0], CANDIDATES[2]], "auto", "unit")] == ["gate"]


@pytest.mark.parametrize(
    ("selectors", "neurons", "message"),
    [
        ("pair", "unit", "'pair' cannot be tapped: expected a tensor, got tuple"),
        ("cnov", "unit", r"got 'cnov' \(did you mean 'conv'"),
        ("@tanh", "unit", r"a kind \(@conv2d, @gelu, @relu, @sigmoid\), got '@tanh'"),
        ("relu", "mean", "expected neurons 'unit', .* got 'mean'"),
        ("relu", (), "expected one way or more"),
    ],
)
def test_choose_refuses(selectors, neurons, message):
    with pytest.raises(ValueError, match=message):
        choose(CANDIDATES, selectors, neurons)


def test_activations_that_cannot_be_tapped_say_why():
    with pytest.raises(ValueError, match="got none; name tensors among: conv; 'pair' cannot be tapped: expected"):
        choose([CANDIDATES[0], CANDIDATES[-1]], "auto", "unit")


def test_a_network_without_activations_lists_what_can_be_named():
    with pytest.raises(ValueError, match="expected activations to tap, got none; name tensors among: conv"):
        choose(CANDIDATES[:1], "auto", "unit")
