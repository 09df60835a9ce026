"""Taps: what makes sense, how they are shown, and how selectors mean them."""

from __future__ import annotations

import pytest

from outrider.networks import Tap, Taps
from outrider.networks.tap import candidate, rows_of

MAP = Tap("layer1.relu", "relu", (3, 5, 7), "NCHW", "float32", "channel")
UNITS = Tap("layer1.relu", "relu", (3, 5, 7), "NCHW", "float32", "unit")
LATER = Tap("layer2.gelu", "gelu", (4, 6), "NLC", "float32", "channel")
DENSE = Tap("dense", "relu", (8,), "NC", "float32", "unit")
SCORES = Tap("output", "output", (10,), "NC", "float32", "unit")
TAPS = Taps([MAP, UNITS, LATER, DENSE, SCORES])


@pytest.mark.parametrize(
    ("layout", "shape", "neurons", "channels"),
    [
        ("NHLC", (2, 5, 8), "channel", 8),
        ("NLHC", (None, 2, 8), "channel-max", 8),
        ("NHLC", (2, 5, 8), "head", None),
        ("NLHC", (5, 2, 8), "unit", None),
        ("NLC", (5, 8), "channel", None),
    ],
)
def test_only_heads_taken_by_channel_have_neurons_of_one_head_behind_the_other(layout, shape, neurons, channels):
    assert Tap("a", "attention", shape, layout, "float32", neurons).head_channels == channels


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
        ("*:pixel16", (3,)),
        ("@output", (4,)),
        ("@output:unit", (4,)),
        ("output", (4,)),
        ("output:unit", (4,)),
    ],
)
def test_a_selector_means_these_taps(selector, indices):
    assert TAPS.select(selector) == indices


@pytest.mark.parametrize(
    ("shape", "layout", "neurons", "window", "places"),
    [
        ((3, 5, 7), "NCHW", "pixel", 1, (5, 7)),
        ((3, 5, 7), "NCHW", "pixel2", 2, (3, 4)),
        ((5, 7, 3), "NHWC", "pixel5", 5, (1, 2)),
        ((5, 7, 3), "NHWC", "pixel7", 7, (1, 1)),
        ((3, None, 7), "NCHW", "pixel10", 10, (None, 1)),
        ((20, 3), "NLC", "pixel10", 10, (2,)),
        ((3, 4, 6, 8), "NCDHW", "pixel4", 4, (1, 2, 2)),
        ((3, 5, 7), "NCHW", "grid4", None, None),
        ((3,), "NC", "unit", None, None),
    ],
)
def test_windows_begin_at_multiples_of_their_size_and_cover_the_map(shape, layout, neurons, window, places):
    tap = Tap("x", "relu", shape, layout, "float32", neurons)
    assert (tap.window, tap.place_sizes, tap.of_places) == (window, places, window is not None)
    if tap.of_places:
        assert tap.size == 3


def test_a_selector_without_a_match_names_itself_the_close_ones_and_the_taps():
    with pytest.raises(ValueError, match=r"got 'layer1\.rleu' \(did you mean 'layer1\.relu'") as error:
        TAPS.select("layer1.rleu")
    assert str(TAPS) in str(error.value)


@pytest.mark.parametrize("selector", ["outp*", "@tanh", "layer1.relu:grid2", "", ":"])
def test_what_means_no_tap_is_refused(selector):
    with pytest.raises(ValueError, match="expected auto, first, last, stages, widest, places, the name of a tensor"):
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


def test_open_sizes_are_shown_as_such():
    assert "3x?x?" in str(Taps([Tap("x", "relu", (3, None, None), "NCHW", "float32", "grid2")]))


def test_the_table_tells_how_many_rows_a_frame_has():
    views = Tap("views", "relu", (3, 5, 7), "NCHW", "float32", "channel", rows=6)
    regions = Tap("regions", "relu", (8,), "NC", "float32", "unit", rows=None)
    assert str(Taps([views, regions])).splitlines()[1:] == [
        "views    relu  6 of 3x5x7        3  channel",
        "regions  relu  ? of 8            8  unit",
    ]


def test_a_tap_whose_name_is_a_word_is_meant_by_it():
    taps = Taps([MAP, Tap("first", "conv2d", (3, 5, 7), "NCHW", "float32", "unit")])
    assert taps.select("first") == taps.select("first:unit") == (1,)
    assert taps.select("first:channel") == (0,)


def test_the_old_question_still_has_its_answer():
    with pytest.warns(DeprecationWarning, match=r"Tap\.matches is now Taps\.select"):
        assert MAP.matches("layer1*:channel")
    with pytest.warns(DeprecationWarning, match="the old name goes with the next release"):
        assert not MAP.matches("layer1*:unit")


def test_class_scores_are_those_of_a_frame_or_of_places():
    scores = [
        Tap("y", "output", (4, 6, 6), "NCHW", "float32", neurons) for neurons in ("pixel", "pixel4", "channel", "unit")
    ]
    assert [tap.of_scores for tap in (SCORES, DENSE, MAP, *scores)] == [True, False, False, True, True, False, False]


def test_taps_of_one_id_may_differ():
    other = Tap("layer1.relu", "relu6", (3, 5, 8), "NHWC", "float32", "channel", paths=("layer1",))
    assert MAP.differences(other) == [
        "expected kind relu, got relu6", "expected shape (3, 5, 7), got (3, 5, 8)", "expected layout NCHW, got NHWC"
    ]  # fmt: skip
    before = Tap("y", "resize", (4, 6, 6), "NCHW", "float32", "pixel")
    assert before.differences(Tap("y", "output", (4, 6, 6), "NCHW", "float32", "pixel")) == []
    assert DENSE.differences(Tap("dense", "output", (8,), "NC", "float32", "unit")) == [
        "expected kind relu, got output"
    ]


def test_two_taps_of_one_id_are_refused():
    with pytest.raises(ValueError, match=r"expected taps that differ, got dense:unit"):
        Taps([DENSE, DENSE])


@pytest.mark.parametrize(
    ("shape", "layout", "neurons", "message"),
    [
        (
            (3, 5),
            "NCHW",
            "unit",
            r"layout among NC, NLC, .*, NCDHW, NDHWC that .* got 'NCHW' and \(3, 5\)",
        ),
        ((3,), "NCL", "unit", "got 'NCL'"),
        ((3,), "CHW", "unit", "got 'CHW'"),
        ((3,), "NC", "channel", "expected neurons 'unit' for a dense tensor, got 'channel'"),
        (
            (3, 5, 7),
            "NCHW",
            "grid",
            r"expected neurons 'unit', .*'gridK' \(grid4\), .*'pixelK' \(pixel4, .*got 'grid'",
        ),
        ((3, 5, 7), "NCHW", "grid0", "got 'grid0'"),
        ((3, 5, 7), "NCHW", "sample", "'sampleK' .sample7., .*got 'sample'"),
        ((3, 5, 7), "NCHW", "sample0", "got 'sample0'"),
        ((3, 5, 7), "NHLC", "sample2", "expected a layout among NLC, .* for neurons 'sample2', got NHLC"),
        ((3, None, 7), "NCHW", "sample2", r"known sizes for neurons 'sample2', got 3x\?x7; fix .* take channel"),
        ((3, 5, 7), "NCHW", "head", "expected a layout among NHLC, NLHC for neurons 'head', got NCHW"),
        (
            (3, 5, 7),
            "NHLC",
            "grid2",
            "layout among NLC, NCL, NCHW, NHWC, NCDHW, NDHWC for neurons 'grid2', got NHLC",
        ),
        ((3, 5, 7), "NLHC", "pixel", "expected a layout among NLC, .* for neurons 'pixel', got NLHC"),
        ((3, 5, 7), "NHLC", "pixel2", "expected a layout among NLC, .* for neurons 'pixel2', got NHLC"),
        ((3,), "NC", "pixel4", "expected neurons 'unit' for a dense tensor, got 'pixel4'"),
        ((3, 5, 7), "NCHW", "pixel1", r"'pixelK' \(pixel4, K from 2\), got 'pixel1'"),
        ((3, 5, 7), "NCHW", "pixel02", "got 'pixel02'"),
        (
            (3, 5, 7),
            "NCHW",
            "pixel8",
            "a map of at least 8 values along an axis for neurons 'pixel8', got 5x7; take",
        ),
        ((7, 3), "NLC", "pixel10", "a map of at least 10 values along an axis for neurons 'pixel10', got 7;"),
        ((None, 5, 7), "NCHW", "pixel2", r"expected known sizes for neurons 'pixel2', got \?x5x7"),
        ((3, None, 7), "NCHW", "unit", r"expected known sizes for neurons 'unit', got 3x\?x7; fix the input shape"),
        ((None, 5, 7), "NCHW", "channel", r"expected known sizes for neurons 'channel', got \?x5x7"),
    ],
)
def test_a_tap_that_makes_no_sense_is_refused(shape, layout, neurons, message):
    with pytest.raises(ValueError, match=message):
        Tap("x", "relu", shape, layout, "float32", neurons)


@pytest.mark.parametrize(
    ("shape", "dtype", "obstacle"),
    [
        ((2, 3), "int64", "expected a tensor of floats or of quantised codes, got int64"),
        ((2, 3), "bool", "expected a tensor of floats or of quantised codes, got bool"),
        ((2, None), "float32", "expected a known number of channels, got shape ?; fix the input shape"),
        ((2, None, 4, 4), "float32", "expected a known number of channels, got shape ?x4x4"),
        ((6, 3), "float32", "expected 2 rows for a batch of 2, got shape (6, 3)"),
        ((), "float32", "expected 2 rows"),
        ((2, 3, 4, 5, 6, 7), "float32", "got 6 axes: (2, 3, 4, 5, 6, 7)"),
        ((2,), "float32", "got 1 axes: (2,)"),
    ],
)
def test_tensors_that_cannot_be_tapped_say_why(shape, dtype, obstacle):
    assert obstacle in candidate("x", "relu", shape, dtype, batch=2).obstacle


@pytest.mark.parametrize(
    ("shape", "last", "layout", "places", "sizes"),
    [
        ((2, 3, 4, 5, 6), None, "NCDHW", (4, 5, 6), {"channel": 3, "pixel": 3, "sample4": 3, "grid2": 24, "unit": 360}),
        ((2, 3, 4, 5, 6), True, "NDHWC", (3, 4, 5), {"channel-max": 6, "pixel": 6, "grid3": 162, "unit": 360}),
    ],
)
def test_volumes_have_three_axes_of_places(shape, last, layout, places, sizes):
    found = candidate("x", "conv", shape, "float32", batch=2, channels_last=last)
    assert (found.layout, found.shape, found.rows, found.obstacle) == (layout, shape[1:], 1, "")
    taps = {way: found.tap(way) for way in sizes}
    assert {way: tap.size for way, tap in taps.items()} == sizes
    assert {tap.map_sizes for tap in taps.values()} == {places}


@pytest.mark.parametrize(
    ("batch", "first", "again", "rows", "obstacle"),
    [
        (2, 2, None, 1, ""),
        (2, 2, (1, 1), 1, ""),
        (2, 12, (1, 6), 6, ""),
        (2, 8, (3, 12), 4, ""),
        (1, 4, (2, 8), 4, ""),
        (2, 7, (1, 3), None, ""),  # one number of all frames together
        (2, 3, (1, 2), None, ""),
        (2, 0, (1, 0), None, ""),  # a detector that finds nothing in either run
        (2, 0, (1, 4), None, ""),
        (2, 3, (4, 6), None, ""),  # one and a half a frame
        (2, 2, (1, 2), 1, "expected rows that belong to frames: 2 and 1 frames have as many"),
        (2, 1, (1, 1), 1, "expected rows that belong to frames"),
        (2, None, (1, 6), 1, "expected a known number of rows; fix the input shape"),
        (2, 12, None, 1, "expected 2 rows for a batch of 2"),
        (2, 12, (2, 12), 1, "expected 2 rows for a batch of 2"),  # another run like the first says no more
        (1, 4, (1, 7), None, ""),
    ],
)
def test_two_runs_tell_the_rows_of_a_frame(batch, first, again, rows, obstacle):
    found, why = rows_of(batch, first, again)
    assert found == rows
    assert why.startswith(obstacle)
    assert bool(why) == bool(obstacle)
    seen = candidate("x", "relu", (first, 5), "float32", batch=batch, again=again)
    assert seen.tap("unit").rows == rows if not obstacle else obstacle in seen.obstacle


@pytest.mark.parametrize("rows", [0, -1, 2.0, True, "2"])
def test_rows_that_make_no_sense_are_refused(rows):
    with pytest.raises(ValueError, match=r"tap 'x': expected 1 row or more a frame, or None, got"):
        Tap("x", "relu", (3,), "NC", "float32", "unit", rows=rows)
