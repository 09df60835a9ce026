"""What each command of `outrider head` takes."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli.options import head, leaves
from outrider.runtime.cli.options.heads import HEAD_COMMANDS


@pytest.mark.parametrize("add_arguments", HEAD_COMMANDS)
def test_every_flag_says_what_it_means(add_arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert [action.option_strings for action in parser._actions if not action.help] == []
    assert [action.dest for action in parser._actions if "--json" in action.option_strings] == ["json"]


def test_the_commands_stand_at_the_end_of_their_words():
    parser = argparse.ArgumentParser()
    head(parser)
    found = dict(leaves(parser, "head"))
    assert list(found) == [("head", command.__name__) for command in HEAD_COMMANDS]
    options = found["head", "search"].parse_args(["m", "-o", "g", "--labelled", "p", "--rows", ":5"])
    assert (options.statistic, options.permutations, options.rows) == ("read_out", 100, slice(None, 5))
    alone = argparse.ArgumentParser()
    assert list(leaves(alone, "report")) == [(("report",), alone)]
