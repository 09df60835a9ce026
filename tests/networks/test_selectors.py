"""The language of selectors, one table for the candidates and for the taps of a network."""

from __future__ import annotations

import pytest

from outrider.networks import Taps
from outrider.networks.selectors import (
    DEFAULT_TAPS,
    choose,
    default_taps,
    did_you_mean,
    selector_of,
    split_selector,
    stands_for,
)
from outrider.networks.tap import Candidate

NETWORK = [
    Candidate("conv", "conv2d", (3, 5, 5), "NCHW", "float32"),
    Candidate("t1", "relu", (3, 5, 5), "NCHW", "float32", paths=("layer1.relu", "layer1")),
    Candidate("t2", "relu", (3, 5, 5), "NCHW", "float32", paths=("layer2.relu", "layer2")),
    Candidate("layer1", "gelu", (8,), "NC", "float32"),
    Candidate("gate", "sigmoid", (8,), "NC", "float32"),
    Candidate("scores", "output", (4,), "NC", "float32"),
]
WAYS = ("channel", "unit")
TAPS = Taps(choose(NETWORK, ("*", "@output"), WAYS))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("auto", ["t1", "t2", "layer1"]),
        ("first", ["t1"]),
        ("last", ["t2"]),
        ("stages", ["t2", "layer1"]),
        ("widest", ["t2"]),
        ("conv", ["conv"]),
        ("layer1.relu", ["t1"]),
        ("layer1", ["layer1"]),
        ("layer2", ["t2"]),
        ("layer*", ["t1", "t2", "layer1"]),
        ("t?", ["t1", "t2"]),
        ("*", ["conv", "t1", "t2", "layer1", "gate"]),
        ("@relu", ["t1", "t2"]),
        ("@output", ["scores"]),
        ("scores", ["scores"]),
    ],
)
@pytest.mark.parametrize("neurons", ["", ":channel", ":unit"])
def test_a_selector_means_the_same_of_candidates_and_of_taps(pattern, names, neurons):
    chosen = choose(NETWORK, pattern + neurons, WAYS)
    assert list(dict.fromkeys(tap.name for tap in chosen)) == names
    assert [TAPS[index] for index in TAPS.select(pattern + neurons)] == chosen
    ways = (neurons[1:],) if neurons else WAYS
    assert {tap.neurons for tap in chosen if tap.layout != "NC"} <= set(ways)


@pytest.mark.parametrize("selector", ["@tanh", "score*", "", ":", "layer1.rleu"])
def test_what_means_nothing_is_refused_in_the_same_words(selector):
    messages = []
    for ask in (lambda: choose(NETWORK, selector, WAYS), lambda: TAPS.select(selector)):
        with pytest.raises(
            ValueError, match="expected auto, first, last, stages, widest, places, the name of a tensor"
        ) as error:
            ask()
        messages.append(str(error.value))
    assert messages[0].partition(", got ")[0] == messages[1].partition(", got ")[0]
    hinted = ["(did you mean 'layer1.relu'" in message for message in messages]
    assert hinted == [selector == "layer1.rleu"] * 2


def test_words_need_activations_whatever_they_are_held_against():
    for ask in (lambda word: choose(NETWORK[:1], word, WAYS), Taps(TAPS[:2]).select):
        with pytest.raises(ValueError, match=r"expected activations to tap, got none; name tensors among: conv$"):
            ask("first")


def test_a_selector_is_split_at_its_neurons_only():
    for selector, parts in {
        "layer1*:grid4": ("layer1*", "grid4"),
        "model:0": ("model:0", None),
        "model:0:unit": ("model:0", "unit"),
        "relu:grid0": ("relu:grid0", None),
    }.items():
        assert split_selector(selector) == parts


def test_what_a_selector_could_stand_for_is_told_without_shapes():
    for selector in ("auto:unit", "stages", "layer2", "t*:grid2", "@sigmoid"):
        meant = {tap.name for tap in choose(NETWORK, selector.partition(":")[0], "channel")}
        assert meant <= {c.name for c in NETWORK if stands_for(selector, c.name, c.kind, c.paths)}
    assert not stands_for("layer2", "conv", "conv2d")
    assert not stands_for("first", "conv", "conv2d")


def test_close_names_are_offered():
    assert did_you_mean("cnov", ["conv", "pool"]) == " (did you mean 'conv'?)"
    assert did_you_mean("cnov", ["pool"]) == ""


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


def test_stages_are_the_last_of_the_widest_activations_of_each_size():
    maps = [
        Candidate("a", "relu", (8, 32, 32), "NCHW", "float32"),
        Candidate("b", "relu", (32, 32, 8), "NHWC", "float32"),
        Candidate("narrow", "relu", (4, 32, 32), "NCHW", "float32"),
        Candidate("c", "relu", (32, 16, 8), "NHWC", "float32"),
        Candidate("d", "relu", (16, 16, 32), "NHWC", "float32"),
        Candidate("squeeze", "relu", (4, 1, 1), "NCHW", "float32"),
        Candidate("tokens", "gelu", (16, 64), "NLC", "float32"),
        Candidate("dense", "relu", (9,), "NC", "float32"),
        Candidate("e", "relu", (64, 16, 16), "NCHW", "float32"),
        Candidate("less", "relu", (8,), "NC", "float32"),
    ]
    chosen = choose(maps, "stages", "channel")
    assert [tap.name for tap in chosen] == ["b", "c", "tokens", "e", "less"]
    assert [tap.name for tap in choose([maps[5]], "stages", "channel")] == ["squeeze"]


@pytest.mark.parametrize(
    ("shapes", "widest"),
    [
        ([("NCHW", (8, 4, 6)), ("NHWC", (6, 4, 9)), ("NCHW", (9, 4, 6)), ("NCHW", (5, 4, 6))], 2),
        ([("NCHW", (8, 4, 4)), ("NCHW", (16, 8, 8)), ("NCHW", (4, 4, 4)), ("NCHW", (99, 1, 1)), ("NC", (99,))], 0),
        ([("NCHW", (8, 4, 1)), ("NCHW", (16, 2, 3)), ("NCHW", (16, 8, 8))], 0),
        ([("NLC", (16, 64)), ("NCHW", (64, 4, 4)), ("NCL", (64, 17))], 1),
        ([("NCHW", (8, 1, 1)), ("NC", (9,)), ("NC", (7,))], 1),
        ([("NC", (9,)), ("NC", (9,))], 1),
    ],
)
def test_the_widest_is_the_last_of_the_smallest_maps_with_most_channels(shapes, widest):
    layers = [Candidate(str(i), "relu", shape, layout, "float32") for i, (layout, shape) in enumerate(shapes)]
    (tap,) = choose([*layers, Candidate("gate", "sigmoid", (999, 2, 2), "NCHW", "float32")], "widest", "channel")
    assert tap.name == str(widest)


@pytest.mark.parametrize(
    ("shapes", "last"),
    [
        ({"NCHW": (8, 4, 4), "NHWC": (1, 2, 8), "NC": (9,)}, "NHWC"),
        ({"NCHW": (8, 4, 4), "NHWC": (1, 1, 8), "NC": (9,)}, "NCHW"),  # of one pixel, as a gate has it
        ({"NCHW": (8, None, None), "NC": (9,)}, "NCHW"),
        ({"NCHW": (8, 4, 4), "NLC": (197, 64)}, "NLC"),
        ({"NCHW": (8, 4, 4), "NHLC": (2, 5, 8)}, "NCHW"),
        ({"NHWC": (1, 1, 8), "NC": (9,)}, "NC"),
        ({"NC": (9,)}, "NC"),
    ],
)
def test_the_last_is_the_last_map_where_one_is(shapes, last):
    layers = [Candidate(layout, "relu", shape, layout, "float32") for layout, shape in shapes.items()]
    gate = Candidate("gate", "sigmoid", (8, 4, 4), "NCHW", "float32")
    (tap,) = choose([*layers, gate], "last:channel-max", "channel")
    assert (tap.name, tap.neurons) == (last, "unit" if last == "NC" else "channel-max")
    assert stands_for("last:channel-max", last, "relu")


def test_a_dense_network_has_each_layer_once_by_default():
    dense = [Candidate(name, "relu", (9,), "NC", "float32") for name in "ab"]
    assert [tap.id for tap in choose(dense, DEFAULT_TAPS, "channel")] == ["a:unit", "b:unit"]
    maps = [Candidate(name, "relu", (9, 3, 3), "NCHW", "float32") for name in "ab"]
    ids = [tap.id for tap in choose(maps, DEFAULT_TAPS, "channel")]
    assert ids == ["a:channel", "a:unit", "b:channel", "b:channel-max"]


@pytest.mark.parametrize("name", ["last", "first", "auto", "stages", "widest", "relu[0]", "a:b", "conv"])
def test_a_tensor_is_meant_whatever_its_name(name):
    others = [Candidate(other, "relu", (9, 3, 3), "NCHW", "float32") for other in ("before", "behind", "relu0", "xast")]
    own = Candidate(name, "conv2d", (9, 3, 3), "NCHW", "float32")
    candidates = [others[0], own, *others[1:]]
    selector = selector_of(own.tap("grid2"))
    assert [tap.id for tap in choose(candidates, selector, "channel")] == [f"{name}:grid2"]
    assert stands_for(selector, name, "conv2d")
    assert not stands_for(selector, "before", "relu")


def test_stages_need_known_sizes():
    maps = [Candidate("a", "relu", (8, None, 32), "NCHW", "float32")]
    with pytest.raises(ValueError, match=r"expected known sizes to tell the stages .* apart, got 8x\?x32 at 'a'"):
        choose(maps, "stages", "channel")
    with pytest.raises(ValueError, match=r"expected known sizes .*, got 8x\?x32 at 'a'; fix the input shape"):
        choose(maps, "widest", "channel")


def test_a_map_of_class_scores_takes_the_ways_of_places():
    layers = [
        Candidate("r", "relu", (8, 6, 6), "NCHW", "float32"),
        Candidate("y", "output", (3, 6, 6), "NCHW", "float32"),
    ]
    for ways, expected in (("channel", ["pixel"]), (("unit", "pixel2", "pixel3"), ["pixel2", "pixel3"])):
        assert [tap.neurons for tap in choose(layers, "@output", ways)] == expected
    assert [tap.id for tap in choose(layers, ("@output:channel", "*", "y:pixel4"), "pixel")] == [
        "r:pixel", "y:channel", "y:pixel4"
    ]  # fmt: skip
    assert selector_of(layers[1].tap("pixel4")) == "@output:pixel4"


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


@pytest.mark.parametrize("selectors", ["budget:1.05", ("first:unit", "budget:2")])
def test_a_budget_takes_frames_and_a_clock(selectors):
    with pytest.raises(ValueError, match=r"taps_within\(model, frames, R\).*`outrider profile --taps budget:R`"):
        choose(CANDIDATES, selectors, "channel")


def test_activations_that_cannot_be_tapped_say_why():
    with pytest.raises(ValueError, match="got none; name tensors among: conv; 'pair' cannot be tapped: expected"):
        choose([CANDIDATES[0], CANDIDATES[-1]], "auto", "unit")


def test_a_network_without_activations_lists_what_can_be_named():
    with pytest.raises(ValueError, match="expected activations to tap, got none; name tensors among: conv"):
        choose(CANDIDATES[:1], "auto", "unit")


def mapped(name, shape, kind="relu", **more):
    return Candidate(name, kind, shape, "NCHW", "float32", **more)


SCORES = mapped("y", (12, 360, 480), "output")


@pytest.mark.parametrize(
    ("maps", "alone", "with_scores"),
    [
        # The first and the last of the widest of the smallest size, of at most 4,096 places; with scores the last.
        (
            [(131, 90, 120), (64, 45, 60), (256, 45, 60), (256, 45, 60), (9, 45, 60)],
            ["1:pixel", "3:pixel"],
            ["3:pixel"],
        ),
        ([(131, 90, 120), (256, 45, 60), (12, 45, 60), (12, 90, 120)], ["1:pixel"], ["1:pixel"]),
        # Smaller maps are passed over where there are larger ones: of the first 256 places count, of the other 64.
        ([(9, 45, 60), (64, 16, 16), (99, 12, 15), (90, 7, 9), (64, 1, 1)], ["1:pixel", "2:pixel"], ["1:pixel"]),
        ([(64, 16, 16), (32, 16, 16), (900, 7, 9)], ["0:pixel"], ["0:pixel"]),
        ([(8, 4, 4), (8, 6, 6)], ["1:pixel"], ["1:pixel"]),
        ([(8, 128, 128), (9, 128, 128)], ["0:pixel2", "1:pixel2"], ["1:pixel2"]),
    ],
)
def test_places_are_what_late_stages_make_of_the_picture(maps, alone, with_scores):
    candidates = [mapped(str(i), shape) for i, shape in enumerate(maps)]
    assert [tap.id for tap in choose(candidates, "places", "channel")] == alone
    assert [tap.id for tap in choose([*candidates, SCORES], "places", "channel")] == with_scores


def test_places_want_maps_of_known_size():
    for shape in ((3, None, 5), (3, 1, 1)):
        with pytest.raises(ValueError, match="expected an activation that is a map of known size, got none"):
            choose([mapped("m", shape)], "places", "channel")


def test_places_mean_the_taps_of_places():
    maps = [mapped("a", (8, 16, 16)), mapped("b", (4, 32, 32)), SCORES]
    taps = Taps(choose(maps, ("places", "auto", "@output:pixel24"), "channel"))
    assert [taps[i].id for i in taps.select("places")] == ["a:pixel", "y:pixel24"]
    assert stands_for("places", "a", "relu")


@pytest.mark.parametrize(
    ("shape", "ways", "told", "expected"),
    [
        ((3, 16, 16), "channel", None, DEFAULT_TAPS),
        ((3, 16, 16), "channel", 12, ("places",)),
        ((3, 16, 16), ("pixel", "pixel4"), None, ("places",)),
        ((3, 16, 16), ("pixel", "unit"), None, DEFAULT_TAPS),
        ((3, None, 16), "channel", 12, ("auto", "last:channel-max")),
        ((3, None, 16), "channel", None, ("auto", "last:channel-max")),
    ],
)
def test_a_network_with_places_is_tapped_there_by_default(shape, ways, told, expected):
    assert default_taps([mapped("m", shape)], ways, told) == expected
