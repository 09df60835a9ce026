"""What each command takes."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli.options import COMMANDS


@pytest.mark.parametrize("add_arguments", COMMANDS)
def test_every_flag_says_what_it_means(add_arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert [action.option_strings for action in parser._actions if not action.help] == []
