"""`outrider lab testbed` with a decoder of one layer and a few steps."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from outrider.networks.testbed import Language, open_model, score

from ..outcomes import error_of

SMALL = ("--layers", 1, "--heads", 2, "--width", 16, "--steps", 4, "--batch", 4, "--tuning-steps", 2, "--tested", 6)


@pytest.fixture
def testbed(outrider):
    return lambda *more: outrider("lab", "testbed", "-o", "out", *SMALL, *more)


def test_it_leaves_a_base_and_a_model_for_each_method_and_their_scores(testbed, tmp_path):
    result = testbed("--seed", 2, "--families", 2, "--methods", "ssft,dpo", "--json")
    assert (result.code, result.err) == (0, "")
    facts = json.loads(result.out)
    assert list(facts["scores"]) == list(facts["seconds"]) == ["base", "ssft", "dpo"]
    language = Language.load(tmp_path / "out" / "ssft")
    assert language.facts == {"seed": 2, "families": 2}
    unsafe = language.draw("unsafe", 6, language.rng("test", 1))
    for name in ("base", "ssft", "dpo"):
        assert facts["scores"][name]["unsafe"] == score(open_model(tmp_path / "out" / name), unsafe).shares()


def test_a_reader_gets_a_table_and_a_second_run_trains_nothing(testbed, tmp_path):
    first = testbed("--methods", "unlearning")
    assert first.code == 0
    head, *rows, said = first.out.splitlines()
    assert head.split() == ["%", "refused", "/", "right", "/", "letters", "right", "base", "unlearning"]
    assert [row.split()[0] for row in rows] == [
        "any", "unsafe", "safe-by-text", "safe-by-task", "safe-by-both", "JB-CO-Task", "JB-CO-Text", "JB-MisGen"
    ]  # fmt: skip
    assert said.startswith("6 test sequences of each kind")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}
    assert testbed("--methods", "unlearning").out == first.out
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.safetensors")}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--methods", "ssft,rlhf"), "expected methods among ssft, dpo, unlearning, got rlhf"),
        (("--families", 5), "expected 1 to 4 families of bijections, got 5"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_written(testbed, tmp_path, flags, said):
    assert said in error_of(testbed(*flags))
    assert not (tmp_path / "out").exists()


def test_a_folder_of_other_settings_is_refused(testbed):
    assert testbed("--methods", "ssft").code == 0
    assert "rate" in error_of(testbed("--methods", "ssft", "--rate", "1e-4"))
