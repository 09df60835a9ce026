"""Flags of the commands that read and write files of networks and profiles."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli.options.files import compare, export


def test_compare_runs_eight_random_frames_unless_told_otherwise():
    parser = argparse.ArgumentParser()
    compare(parser)
    options = parser.parse_args(["a.onnx", "b.onnx"])
    assert (options.frames, options.count, options.tolerance) == ("random", 8, 1e-3)


def test_export_needs_a_file_to_write(capsys):
    parser = argparse.ArgumentParser()
    export(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(["a.onnx", "p"])
    assert "--output" in capsys.readouterr().err
