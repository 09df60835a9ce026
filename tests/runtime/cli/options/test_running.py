"""Flags of the commands that judge data."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli.options.running import check, watch


def test_check_takes_several_places():
    parser = argparse.ArgumentParser()
    check(parser)
    assert parser.parse_args(["p", "a", "b"]).data == ["a", "b"]


def test_a_rate_and_the_pace_of_the_recording_exclude_each_other(capsys):
    parser = argparse.ArgumentParser()
    watch(parser)
    assert parser.parse_args(["p", "s", "--alarm", "3/5"]).alarm == (3, 5)
    with pytest.raises(SystemExit):
        parser.parse_args(["p", "s", "--rate", "3", "--realtime"])
    assert "not allowed with argument --rate" in capsys.readouterr().err
