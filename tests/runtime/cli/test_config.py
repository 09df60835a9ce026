"""A configuration file in the place of flags."""

from __future__ import annotations

import json

import pytest

from .outcomes import PROFILE, error_of


def test_a_configuration_file_says_what_flags_say(outrider, model, tmp_path):
    flags = ("--neurons", "unit,channel", "--trusted-confidence", "0.8", "--criterion", "multi_range(sections=4)")
    outrider("profile", model, "digits:train", "-o", "flags.outrider", "--rows", "1:500", *flags)
    (tmp_path / "settings.yaml").write_text(
        "output: yaml.outrider\nrows: 1:500\nneurons: [unit, channel]\ntrusted_confidence: 0.8\n"
        "criterion:\n  - multi_range(sections=4)\n"
    )
    assert outrider("profile", model, "digits:train", "--config", "settings.yaml").code == 0
    assert (tmp_path / "flags.outrider").read_bytes() == (tmp_path / "yaml.outrider").read_bytes()


def test_flags_win_over_the_file(outrider, model, tmp_path):
    (tmp_path / "settings.yaml").write_text("rows: :500\nbatch-size: 50\njson: true\ncriterion: neuron_rank\n")
    command = ("profile", model, "digits:train", "-o", "new.outrider", "--config=settings.yaml", "--rows=:300")
    facts = json.loads(outrider(*command, "--criterion", "gaussian").out)
    assert facts["trusted"]["frames"] == 300
    assert {column["criterion"]["name"] for column in facts["columns"]} == {"gaussian"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minimum-per-clas: 3", "unknown key 'minimum-per-clas'; did you mean minimum-per-class"),
        ("speed: 3", "unknown key 'speed'; known are batch-size, class-map, classes, classes-order, criterion,"),
        ("config: other.yaml", "unknown key 'config'"),
        ("- rows", "expected lines of the form `flag: value`, got list"),
        ("rows: {a: 1}", "rows: expected a value or a list of values, got {'a': '1'}"),
        ("json: maybe", "json: expected true or false, got 'maybe'"),
        ("size: 3", "size: expected 2 value(s), got '3'"),
        ("batch-size: 0", "argument --batch-size: expected a whole number of at least 1, got '0'"),
        ("rows: [", "expected YAML, got"),
        ("rows: ':3'\nrows: ':4'", "expected YAML, got 'rows' for the second time"),
    ],
)
def test_errors_of_the_configuration(outrider, model, tmp_path, text, message):
    (tmp_path / "settings.yaml").write_text(text)
    assert message in error_of(outrider("profile", model, "digits:train", *PROFILE[:2], "--config", "settings.yaml"))
