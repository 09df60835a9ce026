"""What `outrider lab testbed` takes: each flag with what it means, and defaults that are those of the library."""

from __future__ import annotations

import argparse
import inspect

import pytest

pytest.importorskip("torch")

from outrider.networks.testbed import METHODS, new_model
from outrider.runtime.cli.options import lab, leaves


@pytest.fixture(scope="module")
def parser():
    top = argparse.ArgumentParser()
    lab(top)
    return dict(leaves(top, "lab"))["lab", "testbed"]


def test_every_flag_says_what_it_means_and_its_default(parser):
    for action in parser._actions:
        assert action.help
        if isinstance(action.default, (int, float)) and not isinstance(action.default, bool):
            assert f"default: {action.default}" in action.help


def test_defaults_are_those_of_the_library(parser):
    options = parser.parse_args(["-o", "out"])
    library = inspect.signature(new_model).parameters
    assert options.methods == METHODS
    assert options.model == library["kind"].default
    assert all(getattr(options, name) == library[name].default for name in ("layers", "heads", "width"))


@pytest.mark.parametrize(
    "flags", [["--steps", "0"], ["--rate", "0"], ["--model", "bert"], ["--precision", "float16"], []]
)
def test_values_out_of_range_and_no_output_are_refused(parser, flags, capsys):
    output = ["-o", "out"] if flags else []
    with pytest.raises(SystemExit):
        parser.parse_args([*output, *flags])
    assert (flags[0] if flags else "-o/--output") in capsys.readouterr().err
