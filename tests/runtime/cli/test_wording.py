"""Python arguments in the library's errors become flags."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli.options import inspect, profile
from outrider.runtime.cli.wording import in_flags


def actions(add_arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser._actions


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("got two sizes; size= brings them to one", "got two sizes; --size HEIGHT WIDTH brings them to one"),
        ("expected batch_size=, got none", "expected --batch-size N, got none"),
        ('give less: taps="auto", neurons="channel".', "give less: --taps auto, --neurons channel."),
        ("no_labels= ignores them", "--no-labels ignores them"),
        ("say it with scale=", "say it with --scale SCALE"),
        ("say layouts={'a.b': 'NCL'} or 'NLC'", "say --tap-layout a.b=NCL or 'NLC'"),
        ("topic= and network= are no flags here", "topic= and network= are no flags here"),
        ("multi_range(sections=8) at a=b, size=3", "multi_range(sections=8) at a=b, size=3"),
        ("resize=, a word of its own", "resize=, a word of its own"),
        ("is dropped; calibrate() sets another", "is dropped; `outrider calibrate` sets another"),
        ("open it with classes=None", "open it with `outrider profile --classes none`"),
        ("give preprocessing= to read it", "give `outrider profile` a flag such as --scale to read it"),
        (
            "`outrider.monitor.transfer` carries it over",
            "`outrider compare NETWORK OTHER --profile PROFILE -o FILE` carries it over",
        ),
    ],
)
def test_an_argument_is_told_as_the_flag_of_its_command(text, told):
    assert in_flags(text, actions(profile)) == told


def test_each_command_has_its_own_flags():
    assert in_flags("expected input_shape=, and size=", actions(inspect)) == "expected --input-shape C,H,W, and size="
    assert in_flags("layouts={'a': 'NCL'}", []) == "layouts={'a': 'NCL'}"
    assert in_flags("size= says it", []) == "size= says it"
    assert in_flags('give less: taps="auto", neurons="channel"', []) == "give less: `outrider profile --taps auto`"
