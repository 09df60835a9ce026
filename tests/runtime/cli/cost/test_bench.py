"""`outrider bench`: what it prints of figures that are known, and what it refuses."""

from __future__ import annotations

import argparse
import json
import shutil

import pytest

from outrider.runtime.bench import plan
from outrider.runtime.bench.figures import CostFigures, CostRow, TappedSize
from outrider.runtime.cli.cost import bench

from ...bench.models import of_one_frame, watched, without_activations
from ..outcomes import error_of

WAYS = (
    "bitmap on auto, outside", "bitmap on auto, in the graph", "bitmap on stages, in the graph",
    "bitmap on sample7, in the graph",
)  # fmt: skip
SIZE = TappedSize(35, 15_552, 24_400_000)
AGAIN = CostRow("bare again", "", 1.002, (0.991, 1.006))
OUTSIDE = CostRow("bitmap on auto", "outside", 1.0666, (1.061, 1.07), SIZE, 0.8021, 0.0677)
REFUSED = [CostRow(name, "in the graph", note="an input; say input_shape=") for name in ("one", "two")]


@pytest.fixture(autouse=True)
def no_reads(monkeypatch):
    """Nobody waits for memory."""
    monkeypatch.setattr(plan, "read_seconds", lambda size: 1e-9 * size)


def printed(capsys, *rows, profile=None, frames=1):
    found = CostFigures("net.onnx", profile, "AMD EPYC, AVX-512", "1.32.0", 2, frames, 1234, 11.8712, (AGAIN, *rows))
    flag = argparse.Action(["--input-shape"], "input_shape", metavar="C,H,W")
    bench._print(found, argparse.Namespace(actions=[flag]))
    return capsys.readouterr().out.splitlines()


def test_a_row_shows_ratio_interval_size_and_read(capsys):
    lines = printed(capsys, OUTSIDE)
    assert lines[:3] == [
        "AMD EPYC, AVX-512; onnxruntime 1.32.0, 2 threads",
        "bare session: 11.87 ms, the median of 1,234 rounds",
        "",
    ]
    assert lines[3].split() == ["×", "bare", "95", "%", "interval", "taps", "neurons", "tapped", "one", "read"]
    assert lines[4].split() == ["bare", "again", "1.002", "0.991", "to", "1.006"]
    row = "bitmap on auto, outside 1.067 1.061 to 1.070 35 15,552 24.4 MB 0.802 ms, 6.8 %"
    assert lines[5].split() == row.split()


def test_the_noise_is_said_in_words(capsys):
    text = "\n".join(printed(capsys, OUTSIDE))
    assert "ratios nearer to 1 than its interval reaches, 0.991 to 1.009, say nothing" in text
    assert "in turn over 256 MiB of memory" in text
    assert "monitors were taught on noise" in text
    assert "leaves open" not in text


def test_reasons_stand_below_the_table_once(capsys):
    lines = printed(capsys, OUTSIDE, *REFUSED, CostRow("three", "outside", 2.0, (1.0, 3.0), note="noise alarms"))
    assert "one, in the graph; two, in the graph: not measured: an input; say --input-shape C,H,W" in lines
    assert "three, outside: noise alarms" in lines
    assert [line.split() for line in lines if line.startswith("one, in the graph ")] == [
        ["one,", "in", "the", "graph", "-"]
    ]


def test_what_is_not_known_is_said(capsys):
    of_open = CostRow("net.outrider", "outside", 1.1, (1.0, 1.2), TappedSize(2, 10, None))
    text = "\n".join(printed(capsys, of_open, profile="net.outrider", frames=8))
    assert "11.87 ms for 8 frames, which the model fixes as one run, the median" in text
    assert "no read was measured where the model leaves open how large a tapped tensor is" in text
    assert "one read: of all" not in text
    assert "thresholds out of reach" in text


def test_small_tensors_are_told_in_kilobytes(capsys):
    row = CostRow("m", "outside", 1.1, (1.0, 1.2), TappedSize(1, 4, 384), 0.00172, 0.22)
    assert printed(capsys, row)[5].split()[-6:] == ["0.384", "kB", "0.00172", "ms,", "22", "%"]


def test_a_model_is_measured_without_a_profile(outrider, tmp_path):
    watched(tmp_path / "m.onnx")
    result = outrider("bench", "m.onnx", "--seconds", "0.001")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[1].startswith("bare session: ")
    assert lines[1].endswith("the median of 24 rounds")
    ways = ("bare again", *WAYS, "default monitor, outside", "default monitor, in the graph")
    assert [line[:32].strip() for line in lines[4:11]] == list(ways)
    assert not any("not measured" in line for line in lines)


def test_a_profile_is_measured_in_place_of_them(outrider, calibrated, tmp_path):
    shutil.copy(calibrated, tmp_path / "mine.outrider")
    model = calibrated.with_name("digits.onnx")
    told = "bench", model, "--profile", "mine.outrider", "--seconds", "0.001", "--threads", "2", "--json"
    result = outrider(*told)
    assert (result.code, result.err) == (0, "")
    facts = json.loads(result.out, parse_constant=pytest.fail)
    assert (facts["network"], facts["profile"], facts["threads"]) == (str(model), "mine.outrider", 2)
    assert facts["rounds"] == 20
    assert facts["bare_ms"] > 0
    assert [(row["name"], row["where"]) for row in facts["rows"]] == [
        ("bare again", ""), ("mine.outrider", "outside"), ("mine.outrider", "in the graph"),
    ]  # fmt: skip
    assert all(low <= row["ratio"] <= high for row in facts["rows"] for low, high in [row["interval"]])
    outside, inside = facts["rows"][1:]
    assert outside["size"] == inside["size"]
    assert outside["size"]["nbytes"] == 4 * 6 * 64
    assert outside["read_ms"] == pytest.approx(1e-6 * 4 * 6 * 64)


def test_flags_of_the_network_reach_it(outrider, tmp_path):
    watched(tmp_path / "m.onnx", sides=("h", "w"))
    told = "--input-shape", "3,8,8", "--classes", "none", "--scores-output", "0", "--seconds", "0.001", "--json"
    facts = json.loads(outrider("bench", "m.onnx", *told).out)
    taps = {row["name"]: row["size"]["taps"] for row in facts["rows"][1:]}
    bitmaps = dict.fromkeys(("bitmap on auto", "bitmap on stages", "bitmap on sample7"), 2)
    assert taps == bitmaps | {"default monitor": 3}  # four with classes
    refused = outrider("bench", "m.onnx", "--input-shape", "3,8,8", "--classes", "7")
    assert "expected class scores of shape (2, 7)" in error_of(refused)


def test_what_cannot_be_measured_leaves_the_exit_status(outrider, tmp_path):
    of_one_frame(tmp_path / "m.onnx")
    result = outrider("bench", "m.onnx", "--input-shape", "3,16,16", "--seconds", "0.001")
    assert result.code == 0
    reason = "not measured: m.onnx: expected a model whose inputs have a batch axis"
    assert f"{WAYS[1]}; {WAYS[2]}; {WAYS[3]}; default monitor, in the graph: {reason}" in result.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.onnx",), "none.onnx: expected an ONNX model, got no such file"),
        (("zoo:lenet",), "zoo:lenet: expected an .onnx file, got another network; `outrider evaluate` prints"),
        (("open.onnx",), "expected input sizes that are known, got (3, None, None) for input 'x'; say --input-shape C"),
        (("plain.onnx",), "plain.onnx: expected a monitor that can be measured, got none: expected activations"),
        (("plain.onnx", "--profile", "none.outrider"), "none.outrider: expected a profile, got no such file"),
        (
            ("plain.onnx", "--profile", "{calibrated}"),
            "expected the network it was learned from, got another:",
        ),
        (
            ("{digits}", "--profile", "{profiled}"),
            "got none: {profiled}: expected a calibrated profile, got one without a threshold; calibrate it",
        ),
        (
            ("plain.onnx", "--profile", "p", "--classes", "3", "--tap-layout", "r=NLC"),
            "expected --profile alone, which says how the network is watched, got --classes CLASSES --tap-layout",
        ),
        (("plain.onnx", "--seconds", "0"), "argument --seconds: expected a number above 0, got '0'"),
        (("plain.onnx", "--threads", "0"), "argument --threads: expected a whole number of at least 1, got '0'"),
    ],
)
def test_errors(outrider, tmp_path, calibrated, profiled, arguments, message):
    watched(tmp_path / "open.onnx", sides=("h", "w"))
    without_activations(tmp_path / "plain.onnx")
    places = {"calibrated": calibrated, "profiled": profiled, "digits": calibrated.with_name("digits.onnx")}
    said = error_of(outrider("bench", *(argument.format(**places) for argument in arguments)))
    assert message.format(**places) in said
