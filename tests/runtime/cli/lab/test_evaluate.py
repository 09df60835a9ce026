"""`outrider lab evaluate` on a tiny model in a folder."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from outrider.runtime.lab.evaluation.defences import DEFENCES

from ...lab.evaluation.laboratory import PROMPTS, learning, make_decoder
from ..outcomes import error_of


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def labelled(texts, unsafe):
    return [{"prompt": text, "label": "unsafe" if unsafe else "safe"} for text in texts]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    for name, seed, template in (("tiny", 0, True), ("other", 1, True), ("bare", 2, False)):
        decoder = make_decoder(seed=seed) if template else make_decoder(None, seed=seed)
        decoder.model.save_pretrained(folder / name)
        decoder.processor.save_pretrained(folder / name)
    learned = learning()
    rows = [row for one in PROMPTS for row in labelled([one.text], one.unsafe)]
    return SimpleNamespace(
        folder=folder, model=folder / "tiny", other=folder / "other", bare=folder / "bare",
        prompts=write(folder / "prompts.jsonl", rows), safe=write(folder / "safe.jsonl", rows[3:]),
        learn=write(folder / "learn.jsonl", [*labelled(learned.unsafe, True), *labelled(learned.safe, False)]),
        threshold=write(folder / "threshold.jsonl", labelled(learned.threshold, False)),
    )  # fmt: skip


@pytest.fixture
def evaluate(outrider, home, tmp_path):
    def run(*words, model=home.model, prompts=home.prompts):
        return outrider("lab", "evaluate", model, "--prompts", prompts, "-o", tmp_path / "out", *words)

    return run


def test_all_defences_on_two_models(evaluate, home, tmp_path):
    learn = ["--learn", home.learn, "--threshold", home.threshold, "--false-alarm-rate", "0.2", "--layer", "1"]
    result = evaluate("--model", f"tuned={home.other}", *learn, "--tokens", "3", "--json")
    assert result.code == 0, result.err
    facts = json.loads(result.out)
    assert [(cell["model"], cell["defence"]) for cell in facts["cells"]] == [
        (model, name) for model in ("tiny", "tuned") for name in DEFENCES
    ]
    assert facts["missing"] == []
    assert json.loads((tmp_path / "out" / "table.json").read_text()) == facts
    assert (tmp_path / "out" / "table.md").read_text().startswith("| model |")
    assert len(list((tmp_path / "out" / "cells").iterdir())) == 2 * len(DEFENCES)


def test_the_table_is_printed_and_a_second_run_reads_it(evaluate, tmp_path):
    first = evaluate("--defences", "none,context", "--tokens", "3")
    assert first.code == 0, first.err
    assert "contextual knowledge (attack)" in first.out
    assert "right on " in first.out
    assert first.out.splitlines()[-1].startswith(f"written: {tmp_path / 'out' / 'table.json'}")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()}
    assert evaluate("--defences", "none,context", "--tokens", "3").out == first.out
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "cells").iterdir()} == before


def test_a_local_model_judges(evaluate, home):
    facts = json.loads(evaluate("--judge", home.other, "--defences", "none", "--tokens", "3", "--json").out)
    assert facts["judge"]["judge"] == "other"
    assert facts["judge"]["n"] >= 70


def test_a_model_without_a_template_has_rows_without_figures(evaluate, home):
    result = evaluate("--defences", "none,both", "--tokens", "3", model=home.bare)
    assert result.code == 0, result.err
    assert "bare, instruction and exemplars: not measured: expected a tokenizer with a chat template" in result.out


def test_adapters_go_onto_the_first_model(evaluate, home, tmp_path):
    pytest.importorskip("peft")
    from outrider.networks.transformers import open_decoder
    from outrider.networks.tuning import with_adapters
    from outrider.networks.tuning.weights import BASE, base_digest

    base = open_decoder(home.model).model
    digest = base_digest(base)
    with_adapters(base, 2).save_pretrained(tmp_path / "adapters")
    (tmp_path / "adapters" / BASE).write_text(json.dumps({"weights": digest}))
    words = "--model", f"adapted={tmp_path / 'adapters'}", "--defences", "none", "--tokens", "3", "--json"
    first, second = json.loads(evaluate(*words).out)["cells"]
    assert first["unsafe"] == second["unsafe"]  # adapters that were not trained change nothing
    assert error_of(evaluate(*words, model=home.other)).startswith(str(tmp_path / "adapters"))


def test_prompts_that_are_left_out_are_told(evaluate, home, tmp_path):
    rows = [json.loads(line) for line in home.prompts.read_text().splitlines()]
    mixed = write(tmp_path / "mixed.jsonl", [*rows, rows[0], {"prompt": "see", "label": "safe", "image": "x.png"}, {}])
    result = evaluate("--defences", "none", "--tokens", "3", "--json", prompts=mixed)
    assert result.code == 0
    assert "left out 1 prompt with pictures" in result.err
    assert "left out 1 prompt given before" in result.err
    assert "line 9" in result.err
    assert [json.loads(result.out)["cells"][0][kind]["n"] for kind in ("unsafe_answered", "safe_refused")] == [3, 3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--defences", "none,wall"], "expected defences among none, instruction"),
        (["--tokens", "33"], "answers of 1 to 32 tokens, got 33"),
        (["--defences", "probe"], "prompts to learn 'probe' from"),
        (["--learn", "LEARN"], "--learn FILE and --threshold FILE together, got one of them"),
        (["--learn", "PROMPTS", "--threshold", "THRESHOLD"], "at least 10 prompts of each kind"),
        (["--model", "tiny=OTHER"], "a name of its own for each model, got 'tiny' twice"),
        (["--model", "x=nowhere"], "nowhere: expected the folder of a model or of adapters"),
    ],
)
def test_mistakes_are_told(evaluate, home, words, message):
    places = {"LEARN": home.learn, "PROMPTS": home.prompts, "THRESHOLD": home.threshold}
    given = [places.get(word, str(word).replace("OTHER", str(home.other))) for word in words]
    assert message in error_of(evaluate(*given))


def test_a_file_of_one_kind_is_refused(evaluate, home):
    assert "expected at least one unsafe prompt, got none" in error_of(evaluate(prompts=home.safe))
