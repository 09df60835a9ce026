"""Flags that several commands take."""

from __future__ import annotations

import argparse

from outrider.networks import Preprocessing
from outrider.networks.pictures.fitting import FITS, INTERPOLATIONS
from outrider.runtime.cli.opening import pictures
from outrider.runtime.cli.options.shared import add_batch_arguments, add_picture_arguments, add_shape_argument


def test_pictures_are_told_by_the_fields_of_preprocessing():
    parser = argparse.ArgumentParser()
    add_picture_arguments(parser.add_argument_group())
    assert pictures(parser.parse_args([])) == {}
    words = "--size 4 6 --fit crop --shorter 8 --interpolation box --white 1.5 --scale 1 --mean 1,2,3 --order BGR"
    told = Preprocessing.from_dict(pictures(parser.parse_args(words.split())))
    assert told == Preprocessing(
        (4, 6), 1, (1, 2, 3), order="BGR", fit="crop", shorter=8, interpolation="box", white=1.5
    )
    assert pictures(parser.parse_args(["--fill", "114"])) == {"fill": 114}
    choices = {action.dest: action.choices for action in parser._actions}
    assert (choices["fit"], choices["interpolation"]) == (FITS, INTERPOLATIONS)


def test_rows_and_shapes_are_parsed():
    parser = argparse.ArgumentParser()
    add_batch_arguments(parser, 16, "DATA")
    add_shape_argument(parser, "where it is open")
    options = parser.parse_args(["--rows", "3:", "--input-shape", "left=3,8,8", "--input-shape", "right=1"])
    assert (options.rows, options.batch_size) == (slice(3, None), 16)
    assert options.input_shape == [("left", (3, 8, 8)), ("right", (1,))]
