from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from outrider.runtime.cli.options.lab import evaluate

NEEDED = ["evaluate", "model", "--prompts", "p.jsonl", "-o", "out"]


def parse(*words):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser.add_subparsers())
    return parser.parse_args([*NEEDED, *words])


def test_the_defaults_are_those_of_the_evaluation():
    from outrider.runtime.lab.evaluation.answering import BATCH, MOST_TOKENS
    from outrider.runtime.lab.evaluation.guards import RATE

    options = parse()
    assert (options.model, options.models, options.defences) == (Path("model"), [], None)
    assert (options.tokens, options.batch_size, options.false_alarm_rate) == (MOST_TOKENS, BATCH, RATE)
    assert (options.learn, options.threshold, options.heads, options.judge) == (None, None, None, None)


def test_models_and_defences_are_lists():
    options = parse("--model", "a=x/y", "--model", "b=z", "--defences", "none, both", "--rows", ":60")
    assert options.models == [("a", "x/y"), ("b", "z")]
    assert options.defences == ("none", "both")
    assert options.rows == slice(None, 60)


@pytest.mark.parametrize("words", [["--tokens", "0"], ["--batch-size", "-1"], ["--layer", "x"], ["--model", "=x"]])
def test_values_that_are_none_are_refused(words):
    with pytest.raises(SystemExit):
        parse(*words)
