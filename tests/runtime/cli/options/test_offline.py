"""Flags of the commands that learn from data."""

from __future__ import annotations

import argparse

from outrider.runtime.cli.options.offline import calibrate, profile


def test_criteria_add_up_and_defaults_are_those_of_python():
    parser = argparse.ArgumentParser()
    profile(parser)
    options = parser.parse_args(["n.onnx", "d", "-o", "p", "--criterion", "single_range", "--criterion", "@relu=box"])
    assert options.criterion == [(None, "single_range"), ("@relu", "box")]
    assert (options.trusted_confidence, options.minimum_per_class, options.neurons) == (0.9, 5, ("channel",))


def test_the_rate_is_left_open_for_frames_a_second():
    parser = argparse.ArgumentParser()
    calibrate(parser)
    options = parser.parse_args(["p", "d", "--fps", "30", "--hours", "8"])
    assert (options.false_alarm_rate, options.fps, options.hours) == (None, 30.0, 8.0)
