"""Flags of the commands that say how good a monitor is, and what it costs."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli.options.evaluating import ALL, bench, evaluate


def parsed(*words):
    parser = argparse.ArgumentParser()
    evaluate(parser)
    return parser.parse_args(["p", "--clean", "c", *words])


def test_unsafe_sets_have_names_and_may_be_given_again():
    assert parsed("--unsafe", "a=1", "b=2", "--unsafe", "c=3").unsafe == [("a", "1"), ("b", "2"), ("c", "3")]
    assert parsed().unsafe == []


@pytest.mark.parametrize("flag", ["corruptions", "faults"])
def test_without_names_all_are_meant(flag):
    assert getattr(parsed(f"--{flag}"), flag) == ALL
    assert getattr(parsed(f"--{flag}", "fog,frost"), flag) == ("fog", "frost")
    assert getattr(parsed(), flag) == ()


def test_json_goes_to_a_file_or_to_the_terminal(tmp_path):
    assert parsed("--json", str(tmp_path / "x.json")).json == tmp_path / "x.json"
    assert str(parsed("--json").json) == "-"
    assert parsed().json is None


def test_bench_takes_a_minute_on_one_thread_unless_told_otherwise():
    parser = argparse.ArgumentParser()
    bench(parser)
    options = parser.parse_args(["net.onnx"])
    assert (options.seconds, options.threads, options.profile, options.room) == (60.0, 1, None, "cost")
    assert parser.parse_args(["net.onnx", "--seconds", "2.5"]).seconds == 2.5
