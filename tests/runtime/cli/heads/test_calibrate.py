"""`outrider head calibrate`: a threshold from safe prompts that the search has not seen."""

from __future__ import annotations

import json

import pytest

from outrider.monitor import read_facts
from outrider.monitor.heads import HeadGuard
from outrider.networks.transformers import open_decoder
from outrider.runtime.inputs.prompts import of_kind, read_prompts

from ..outcomes import error_of
from .conftest import write


def test_the_threshold_is_that_of_the_library(head, home):
    result = head(
        "calibrate", "--guard", home.searched, "--safe", home.safe, "--rows", "24:", "-o", "c.outrider",
        "--false-alarm-rate", "0.1", "--json",
    )  # fmt: skip
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out, parse_constant=pytest.fail)
    guard = HeadGuard.load(home.searched, open_decoder(home.model))
    expected = guard.calibrate(of_kind(read_prompts(home.safe), "safe", slice(24, None))[0], 0.1)
    assert found["threshold"] == pytest.approx(expected.threshold, abs=1e-5)
    assert (found["n"], found["false_alarm_rate"], found["left_out"]) == (36, 0.1, [])
    assert read_facts("c.outrider")["calibration"]["threshold"] == pytest.approx(expected.threshold, abs=1e-5)
    assert read_facts(home.searched)["calibration"] is None


def test_the_rate_is_one_in_twenty_unless_it_is_told(home):
    assert read_facts(home.calibrated)["calibration"]["false_alarm_rate"] == 0.05


def test_prompts_of_the_search_are_left_out_and_said_to_be(head, home):
    result = head("calibrate", "--guard", home.searched, "--safe", home.safe, "-o", "c.outrider")
    assert result.code == 0
    assert "24 of 60 safe prompts were left out: the search has seen them" in result.err
    assert "threshold" in result.out
    assert "from 36 safe prompts" in result.out


def test_too_few_prompts_name_the_number(head, home):
    said = error_of(head("calibrate", "--guard", home.searched, "--safe", home.safe, "--rows", "24:30"))
    assert "expected at least 19 safe prompts" in said


def test_unsafe_lines_do_not_calibrate(head, home, tmp_path):
    mixed = write(tmp_path / "m.jsonl", *home.unsafe.read_text().splitlines(), *home.safe.read_text().splitlines()[24:])
    result = head("calibrate", "--guard", home.searched, "--safe", mixed, "-o", "c.outrider", "--json")
    assert json.loads(result.out)["n"] == 36
