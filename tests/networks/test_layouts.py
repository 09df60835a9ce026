"""Layouts that a user tells."""

from __future__ import annotations

import re

import pytest

from outrider.networks import NetworkWarning
from outrider.networks.layouts import undecided, warn_of_undecided, with_layouts
from outrider.networks.selectors import choose
from outrider.networks.tap import Candidate

SIGNAL = undecided(Candidate("net.relu", "relu", (16, 128), "NLC", "float32", paths=("net.block.act", "net.block")))
OTHER = undecided(Candidate("net.gelu", "gelu", (20, 8), "NLC", "float32"))
MAP = Candidate("map", "relu", (3, 8, 9), "NCHW", "float32")
DENSE = Candidate("dense", "relu", (5,), "NC", "float32")
UNSEEN = Candidate("unseen", "relu")
SCORES = Candidate("scores", "output", (10,), "NC", "float32")
ALL = [SIGNAL, OTHER, MAP, DENSE, UNSEEN, SCORES]


def layouts(told):
    return {c.name: c.layout for c in with_layouts(ALL, told)}


def test_a_signal_of_unknown_axis_waits_for_its_layout():
    assert SIGNAL.obstacle == "its channel axis cannot be told: say layouts={'net.relu': 'NCL'} or 'NLC'"
    assert (undecided(MAP), undecided(DENSE), undecided(UNSEEN)) == (MAP, DENSE, UNSEEN)
    with pytest.raises(ValueError, match=r"'net.relu' cannot be tapped: its channel axis cannot be told: say layouts="):
        choose(ALL, "net.relu", "channel")
    told = with_layouts(ALL, {"net.relu": "NCL"})
    (tap,) = choose(told, "net.relu", "channel")
    assert (tap.layout, tap.size) == ("NCL", 16)
    (tap,) = choose(with_layouts(ALL, {"net.relu": "NLC"}), "net.relu", "channel")
    assert (tap.layout, tap.size) == ("NLC", 128)


def test_a_volume_of_unknown_axis_waits_for_its_layout_too():
    volume = undecided(Candidate("v", "relu", (6, 3, 8, 9), "NCDHW", "float32"))
    assert volume.obstacle == "its channel axis cannot be told: say layouts={'v': 'NCDHW'} or 'NDHWC'"
    (found,) = with_layouts([volume], {"v": "NDHWC"})
    assert (found.layout, found.obstacle, found.tap("channel").size) == ("NDHWC", "", 9)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (None, {}),
        ({"*": "NCL"}, {"net.relu": "NCL", "net.gelu": "NCL"}),
        ({"*": "NHWC"}, {"map": "NHWC"}),
        ({"@gelu": "NLC", "*": "NCL"}, {"net.relu": "NCL", "net.gelu": "NLC"}),
        ({"*": "NCL", "@gelu": "NLC"}, {"net.relu": "NCL", "net.gelu": "NCL"}),
        ({"*": "NCL", "net.block": "NLC"}, {"net.relu": "NLC", "net.gelu": "NCL"}),
        ({"net.block.act": "NLC", "net.relu": "NCL"}, {"net.relu": "NCL"}),
        ({"unseen": "NCL", "dense": "NC", "scores": "NC"}, {}),
        ({"map": "NHLC"}, {"map": "NHLC"}),
    ],
)
def test_names_come_before_paths_and_paths_before_globs(told, found):
    assert layouts(told) == {c.name: c.layout for c in ALL} | found


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"net.relv": "NCL"}, "expected layouts of tensors that the network has, got one of 'net.relv' (did you mean"),
        ({"@silu": "NCL"}, "expected layouts of tensors that the network has, got one of '@silu'"),
        ({"net.relu": "CNL"}, "expected a layout among NC, NLC, NCL, NCHW"),
        ({"net.relu": "NCHW"}, "expected a layout among NLC, NCL for 'net.relu', which is 16x128 for one frame, got"),
        ({"map": "NCL"}, "expected a layout among NCHW, NHWC, NHLC, NLHC for 'map', which is 3x8x9 for one frame"),
    ],
)
def test_layouts_that_fit_nothing_are_refused(told, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        with_layouts(ALL, told)


def test_channels_must_have_a_known_number():
    open_steps = undecided(Candidate("x", "relu", (16, None), "NLC", "float32"))
    assert with_layouts([open_steps], {"x": "NCL"})[0].obstacle == ""
    obstacle = with_layouts([open_steps], {"x": "NLC"})[0].obstacle
    assert obstacle == "expected a known number of channels, got shape 16x?; fix the input shape"


def test_what_words_and_kinds_leave_out_is_told():
    many = [undecided(Candidate(f"r{i}", "relu", (4, 5), "NLC", "float32")) for i in range(5)]
    left = r"left out r0, r1, r2 and 2 more: the channel axis cannot be told; say layouts=\{'r0': 'NCL'\} where"
    for selectors in ("auto", ("stages:grid2",), ("map", "@relu:unit")):
        with pytest.warns(NetworkWarning, match=left):
            warn_of_undecided([*many, MAP], selectors)
    warn_of_undecided([*many, MAP], ("map", "r*", "@gelu"))
    warn_of_undecided(with_layouts(many, {"*": "NCL"}), "auto")


def test_gates_of_unknown_axis_are_told_of_only_where_there_is_nothing_else():
    gate = undecided(Candidate("g", "sigmoid", (4, 5), "NLC", "float32"))
    warn_of_undecided([gate, MAP], "auto")
    with pytest.warns(NetworkWarning, match="left out g: "):
        warn_of_undecided([gate], "auto")
