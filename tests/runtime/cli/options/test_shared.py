"""Flags that several commands take."""

from __future__ import annotations

import argparse

from outrider.runtime.cli.options.shared import add_batch_arguments, add_shape_argument


def test_rows_and_shapes_are_parsed():
    parser = argparse.ArgumentParser()
    add_batch_arguments(parser, 16, "DATA")
    add_shape_argument(parser, "where it is open")
    options = parser.parse_args(["--rows", "3:", "--input-shape", "left=3,8,8", "--input-shape", "right=1"])
    assert (options.rows, options.batch_size) == (slice(3, None), 16)
    assert options.input_shape == [("left", (3, 8, 8)), ("right", (1,))]
