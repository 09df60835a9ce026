"""`outrider head recalibrate`: one command for prompts of another style, and what it says of them."""

from __future__ import annotations

import json

import pytest

from outrider.monitor import read_facts

from ..outcomes import error_of
from .conftest import GOOD, prompts, write


@pytest.fixture
def own(tmp_path):
    """Safe prompts in another style: each begins with a few words more."""
    return write(tmp_path / "own.jsonl", *({"prompt": f"the dog the sea {text}"} for text in prompts(GOOD, 40, 7)))


def test_the_threshold_moves_and_the_change_is_said(head, home, own):
    result = head("recalibrate", "--guard", home.calibrated, "--safe", own, "-o", "r.outrider", "--json")
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out, parse_constant=pytest.fail)
    before, after = read_facts(home.calibrated), read_facts("r.outrider")
    assert found["before"] == pytest.approx(before["calibration"]["threshold"])
    assert found["drift"]["changed"] is True
    assert found["calibration"]["threshold"] == pytest.approx(after["calibration"]["threshold"])
    assert after["calibration"]["false_alarm_rate"] == before["calibration"]["false_alarm_rate"]
    assert after["chosen"] == before["chosen"]


def test_in_words(head, home, own):
    result = head("recalibrate", "--guard", home.calibrated, "--safe", own, "-o", "r.outrider")
    assert result.err == ""
    assert "they are of another kind" in result.out
    assert "the threshold was" in result.out
    assert "from 40 safe prompts" in result.out


def test_without_a_threshold_of_before_there_is_nothing_to_compare(head, home, own):
    said = error_of(head("recalibrate", "--guard", home.searched, "--safe", own))
    assert "`outrider head calibrate" in said
