"""What `outrider lab tune` takes: a flag for each field of a plan, with its default in the help."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

pytest.importorskip("torch")

from outrider.networks.tuning import TuningPlan
from outrider.runtime.cli.options import lab, leaves
from outrider.runtime.cli.options.lab.tune import NOT_OF_THE_PLAN


def parser():
    top = argparse.ArgumentParser()
    lab(top)
    return dict(leaves(top, "lab"))["lab", "tune"]


def test_every_flag_says_what_it_means():
    assert [action.option_strings for action in parser()._actions if not action.help] == []


def test_there_is_a_flag_for_each_field_of_a_plan_and_no_other():
    names = {action.dest for action in parser()._actions} - {"help"}
    assert names - NOT_OF_THE_PLAN == {one.name for one in fields(TuningPlan)}
    options = parser().parse_args(["--model", "m", "--pairs", "p", "-o", "o"])
    given = {name: value for name, value in vars(options).items() if name in names and name not in NOT_OF_THE_PLAN}
    plan = TuningPlan.from_dict({name: value for name, value in given.items() if value is not None})
    assert plan == TuningPlan("m", "p", "o")


def test_the_help_tells_the_plans_defaults():
    plain = [one for one in fields(TuningPlan) if isinstance(one.default, (int, float)) and one.type != "bool"]
    assert len(plain) > 10
    helps = {action.dest: str(action.help) for action in parser()._actions}
    for one in plain:
        assert helps[one.name].endswith(f"default: {one.default}"), one.name
