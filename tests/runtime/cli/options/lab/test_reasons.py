"""The flags of `outrider lab reasons`."""

from __future__ import annotations

import argparse

import pytest

from outrider.runtime.cli.options.lab.reasons import add_arguments


@pytest.fixture
def parse():
    parser = argparse.ArgumentParser()
    add_arguments(parser.add_subparsers())
    return lambda *words: parser.parse_args(["reasons", *map(str, words)])


def test_defaults_make_a_set_and_tune_nothing(parse, tmp_path):
    options = parse("prompts.jsonl", "-o", tmp_path / "out.jsonl")
    assert (options.kind, options.number, options.seed, options.own) == ("reasons", None, 0, 12)
    assert (options.tune, options.model, options.rewriter, options.table) == (None, None, None, None)


@pytest.mark.parametrize("flag", ["--number", "--steps", "--batch", "--rank", "--rate"])
def test_numbers_are_above_zero(parse, tmp_path, flag, capsys):
    with pytest.raises(SystemExit):
        parse("prompts.jsonl", "-o", tmp_path / "out.jsonl", flag, 0)
    assert flag in capsys.readouterr().err


def test_the_models_own_answer_may_have_no_tokens(parse, tmp_path):
    assert parse("prompts.jsonl", "-o", tmp_path / "out.jsonl", "--own", 0).own == 0
