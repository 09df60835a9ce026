from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from outrider.runtime.cli.options.lab import analyse


def parse(*words):
    parser = argparse.ArgumentParser()
    analyse.add_arguments(parser.add_subparsers())
    return parser.parse_args(["analyse", *words])


def test_models_have_names_and_their_folders_else():
    options = parse("base", "SSFT=runs/a", "runs/dpo", "-o", "out", "--jailbreak", "role=r.jsonl", "--alphas", "0,1.5")
    assert options.tuned == [("SSFT", "runs/a"), ("dpo", "runs/dpo")]
    assert options.jailbreak == [("role", "r.jsonl")]
    assert (options.base, options.output, options.alphas) == (Path("base"), Path("out"), (0.0, 1.5))


def test_the_alphas_are_those_of_the_analysis():
    from outrider.runtime.lab.analysis import AnalysisPlan

    assert parse("base", "tuned", "-o", "out").alphas == AnalysisPlan().alphas


@pytest.mark.parametrize(
    "words", [["base", "-o", "out"], ["base", "tuned"], ["base", "tuned", "-o", "out", "--outputs", "0"],
              ["base", "tuned", "-o", "out", "--answers", "-1"], ["base", "tuned", "-o", "out", "--alphas", "x"]],
)  # fmt: skip
def test_what_is_missing_or_out_of_range_is_refused(words):
    with pytest.raises(SystemExit):
        parse(*words)
