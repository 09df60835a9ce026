"""Texts as values, and texts that are refused."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli import argument_types as types


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (types.words, "unit, channel,", ("unit", "channel")),
        (types.numbers, "0.5,1e-3", (0.5, 0.001)),
        (types.rows, "10:20", slice(10, 20)),
        (types.rows, ":20", slice(None, 20)),
        (types.positive, "1", 1),
        (types.whole, "0", 0),
        (types.above_zero, "5e-324", 5e-324),
        (types.from_zero, "0", 0.0),
        (types.shape, "3,224,224", (3, 224, 224)),
        (types.shape_of_input, "3,224,224", ("", (3, 224, 224))),
        (types.shape_of_input, "camera=3,64,64", ("camera", (3, 64, 64))),
        (types.shape_of_input, "speed=", ("speed", ())),
        (types.state, "h_in=h_out", ("h_in", "h_out")),
        (types.state, "h_in=1", ("h_in", 1)),
        (types.output_name, "1", 1),
        (types.output_name, "scores", "scores"),
        (types.layout, "a=b=NCL", ("a=b", "NCL")),
        (types.k_of_n, "5/5", (5, 5)),
        (types.address, "9464", ("127.0.0.1", 9464)),
        (types.address, "0.0.0.0:0", ("0.0.0.0", 0)),  # noqa: S104
        (types.classes, "auto", "auto"),
        (types.classes, "pixel", "pixel"),
        (types.overlap, "0.5", (0.5, "smaller")),
        (types.overlap, "union:1", (1.0, "union")),
        (types.classes, "none", None),
        (types.classes, "2", 2),
        (types.criterion, "multi_range(sections=8, cost=log)", (None, "multi_range(sections=8, cost=log)")),
        (types.criterion, "auto:unit=multi_range(sections=8)", ("auto:unit", "multi_range(sections=8)")),
        (types.criterion, "=single_range", (None, "single_range")),
    ],
)
def test_a_text_is_read(kind, text, value):
    assert kind(text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (types.shape_of_input, "=3", "expected sizes joined by commas or INPUT=SIZES, got '=3'"),
        (types.shape_of_input, "", "expected sizes joined by commas or INPUT=SIZES, got ''"),
        (types.state, "h_in", "expected INPUT=OUTPUT, such as h_in=h_out, got 'h_in'"),
        (types.state, "=h_out", "expected INPUT=OUTPUT, such as h_in=h_out, got '=h_out'"),
        (types.numbers, "1,a", "expected numbers joined by commas, got '1,a'"),
        (types.rows, "9", "expected START:STOP, got '9'"),
        (types.rows, "1:2:3", "expected START:STOP, got '1:2:3'"),
        (types.positive, "0", "expected a whole number of at least 1, got '0'"),
        (types.whole, "-1", "expected a whole number of at least 0, got '-1'"),
        (types.positive, "1.5", "expected a whole number of at least 1, got '1.5'"),
        (types.above_zero, "0", "expected a number above 0, got '0'"),
        (types.above_zero, "inf", "expected a number above 0, got 'inf'"),
        (types.from_zero, "-1e-9", "expected a number from 0, got '-1e-9'"),
        (types.from_zero, "nan", "expected a number from 0, got 'nan'"),
        (types.layout, "NCL", "expected NAME=LAYOUT, such as conv1=NCL, got 'NCL'"),
        (types.shape, "3,0", "expected a whole number of at least 1, got '0'"),
        (types.k_of_n, "5/3", "expected K/N with 1 <= K <= N, such as 3/5, got '5/3'"),
        (types.k_of_n, "0/3", "expected K/N with 1 <= K <= N, such as 3/5, got '0/3'"),
        (types.address, "localhost:", "expected [ADDRESS:]PORT, such as 9464 or 0.0.0.0:9464, got 'localhost:'"),
        (types.address, "65536", "expected [ADDRESS:]PORT, such as 9464 or 0.0.0.0:9464, got '65536'"),
        (types.output_file, "none/a", "none/a: expected a folder to write to, got no such folder"),
        (types.output_file, "/", "/: expected the name of a file to write, got a folder"),
        (types.overlap, "0", "expected a share above 0, up to 1, such as 0.3 or union:0.3, got '0'"),
        (types.overlap, "both:0.3", "expected a share above 0, up to 1, such as 0.3 or union:0.3, got 'both:0.3'"),
        (types.classes, "1", "expected auto, pixel, none or a number from 2, got '1'"),
    ],
)
def test_other_texts_are_refused(kind, text, message):
    with pytest.raises(argparse.ArgumentTypeError) as caught:
        kind(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("night=some/dir", ("night", "some/dir")),
        ("a=b=c.npz", ("a", "b=c.npz")),
        ("some/night_frames", ("night_frames", "some/night_frames")),
        ("x.npz", ("x", "x.npz")),
        ("mnist:test", ("mnist", "mnist:test")),
    ],
)
def test_data_with_a_name(text, expected):
    assert types.named_data(text) == expected


@pytest.mark.parametrize("text", ["=x", "night=", ""])
def test_data_without_a_name_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="expected NAME=DATA"):
        types.named_data(text)


def test_severities_and_bounds():
    assert types.severities("1,3") == (1, 3)
    assert types.bounds("-1,1") == (-1, 1)
    with pytest.raises(argparse.ArgumentTypeError, match="at least 1, got '0'"):
        types.severities("0")
    with pytest.raises(argparse.ArgumentTypeError, match="expected LOW,HIGH"):
        types.bounds("1")
