"""`outrider head recalibrate`: one command for prompts of another style, and what it says of them."""

from __future__ import annotations

import json

import pytest

from outrider.monitor import read_facts
from outrider.monitor.calibration import conformal_threshold
from outrider.networks.transformers import open_decoder
from outrider.runtime import guard_facts, guarded_scores, set_threshold
from outrider.runtime.in_graph.guarded_model import sealed
from outrider.runtime.in_graph.heads.exporting import export_heads
from outrider.runtime.in_graph.heads.read_out import read_out_of

from ...in_graph.heads.graphs import decoder_graph
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


@pytest.fixture
def guarded(home, tmp_path):
    """A decoder of the same form with the guard inside; its numbers are other ones, as those of int4 would be."""
    pytest.importorskip("onnx")
    decoder_graph(tmp_path / "bare.onnx", 2, 4, 8, tokens=200)
    export_heads(read_out_of(home.calibrated), tmp_path / "bare.onnx", tmp_path / "guarded.onnx")
    return tmp_path / "guarded.onnx"


def test_a_guarded_decoder_gets_its_threshold_from_its_own_scores(head, home, guarded, own):
    heads = home.calibrated.read_bytes()
    before = guard_facts(guarded)["thresholds"]
    spoiled = write(own.with_name("spoiled.jsonl"), *own.read_text().splitlines(), {"prompt": "rain " * 90})
    arguments = ("--guard", home.calibrated, "--guarded", guarded, "--safe", spoiled, "--false-alarm-rate", "0.1")
    result = head("recalibrate", *arguments, "--json")
    found, facts = json.loads(result.out, parse_constant=pytest.fail), guard_facts(guarded)
    decoder = open_decoder(home.model)
    texts = [json.loads(line)["prompt"] for line in own.read_text().splitlines()]
    scores = guarded_scores(guarded, [decoder.encode([text])["input_ids"][0].numpy() for text in texts])
    assert facts["thresholds"] == found["thresholds"] == [pytest.approx(conformal_threshold(scores, 0.1))]
    assert (facts["n"], facts["false_alarm_rate"], facts["calibrated"]) == (40, 0.1, "guarded model")
    assert [found["before"]] == before != facts["thresholds"]
    assert "1 safe prompt: expected a prompt of at most 64 tokens" in result.err
    assert home.calibrated.read_bytes() == heads
    set_threshold(guarded, 1.0)
    told = head("recalibrate", *arguments).out
    assert told.startswith("the threshold was 1\nthreshold ")
    assert guard_facts(guarded)["thresholds"] == facts["thresholds"]


def test_a_guarded_decoder_that_does_not_belong_is_refused(head, home, guarded, own):
    arguments = ("--guard", home.calibrated, "--guarded", guarded, "--safe", own)
    assert "expected no --output beside --guarded" in error_of(head("recalibrate", *arguments, "-o", "r.outrider"))
    seen = ("--guard", home.calibrated, "--guarded", guarded, "--safe", home.safe, "--rows", ":24")
    said = head("recalibrate", *seen)
    assert said.code == 2
    assert "24 safe prompts: the search has seen them" in said.err
    bare = guarded.with_name("bare.onnx")
    assert "got one without; export it" in error_of(head("recalibrate", *arguments[:3], bare, *arguments[4:]))
    model = guarded.read_bytes()
    print_of = read_facts(home.calibrated)["decoder"]["fingerprint"].encode()
    guarded.write_bytes(sealed(model.replace(print_of, b"0" * 64), (), guarded.parent))
    assert "one made for the weights 000000000000" in error_of(head("recalibrate", *arguments))
