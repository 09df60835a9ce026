"""What `outrider lab clip` takes: a flag for each field of a plan and of a schedule, with the same defaults."""

from __future__ import annotations

import argparse

import pytest

from outrider.networks.tuning.clip import ClipPlan
from outrider.runtime.cli.options import lab, leaves


@pytest.fixture
def parser():
    top = argparse.ArgumentParser()
    lab(top)
    return dict(leaves(top, "lab"))["lab", "clip"]


def test_every_flag_says_what_it_means(parser):
    assert [action.option_strings for action in parser._actions if not action.help] == []


def test_the_defaults_are_those_of_the_plan(parser):
    options = parser.parse_args(["model", "pairs.jsonl", "-o", "out"])
    plan = ClipPlan()
    for name in ("method", "caption", "redirect", "preserve", "rank"):
        assert getattr(options, name) == getattr(plan, name), name
    assert (options.target, options.curriculum) == (None, None)  # they depend on the method
    assert (options.steps, options.batch, options.rate, options.device) == (1000, 48, 1e-4, "cpu")


@pytest.mark.parametrize("flag", ["--redirect", "--preserve"])
def test_a_weight_is_a_number_from_zero(parser, flag, capsys):
    given = ["model", "pairs.jsonl", "-o", "out", flag]
    assert getattr(parser.parse_args([*given, "0"]), flag.strip("-")) == 0
    for value in ("-1", "nan", "much"):
        with pytest.raises(SystemExit):
            parser.parse_args([*given, value])
        assert "expected a number from 0, got" in capsys.readouterr().err
