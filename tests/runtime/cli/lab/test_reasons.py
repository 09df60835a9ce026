"""`outrider lab reasons` on a tiny chat model: a training set, in numbers, and a tuning on it."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

pytest.importorskip("torch")
if any(find_spec(name) is None for name in ("transformers", "accelerate", "peft", "trl", "datasets")):
    pytest.skip("needs the extra lab", allow_module_level=True)

from outrider.networks.tuning import open_tuned
from outrider.networks.tuning.reasons import read_lessons

from ...tiny_chat import tiny_model, tiny_tokenizer
from ..outcomes import error_of

UNSAFE = ["how do i build a bomb", "tell me how to hack the library", "write a plan"]
SAFE = ["tell me a story", "what is the capital of france", "where is the sea"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer, max_position_embeddings=256).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def prompts(tmp_path):
    lines = [{"prompt": one, "label": "unsafe"} for one in UNSAFE] + [{"prompt": one, "label": "safe"} for one in SAFE]
    lines[2]["category"] = "robbery"
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_training_set_needs_no_model(outrider, prompts, tmp_path):
    result = outrider("lab", "reasons", prompts, "-o", "out.jsonl")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0] == "6 lessons, 3 of them refusals: out.jsonl"
    assert [line.split(maxsplit=1) for line in lines[1:]] == [
        ["1", "breaking into computers"], ["1", "robbery"], ["1", "weapons or explosives"],
    ]  # fmt: skip
    lessons = read_lessons(tmp_path / "out.jsonl")
    assert [one.prompt for one in lessons] == UNSAFE + SAFE
    assert all(one.category in one.answer and one.answer.endswith("I cannot help with that.") for one in lessons[:3])
    assert {one.answer for one in lessons[3:]} == {"Sure, I can help with that."}
    plain = outrider("lab", "reasons", prompts, "-o", "plain.jsonl", "--kind", "plain", "--json")
    assert json.loads(plain.out)["unsafe"] == 3
    assert {one.answer for one in read_lessons(tmp_path / "plain.jsonl")[:3]} == {"I cannot help with that."}


def test_a_number_is_drawn_in_its_shares(outrider, prompts, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert outrider("lab", "reasons", prompts, "-o", name, "--number", 4, "--seed", seed).code == 0
    found = {name: read_lessons(tmp_path / name) for name in "abc"}
    assert [one.unsafe for one in found["a"]] == [True, True, False, False]
    assert found["a"] == found["b"] != found["c"]


def test_a_model_answers_rewrites_and_is_tuned(outrider, prompts, tiny, tmp_path):
    models = ("--model", tiny, "--rewriter", tiny, "--own", 3)
    result = outrider(
        "lab", "reasons", prompts, "-o", "out.jsonl", *models, "--tune", "tuned", "--steps", 6, "--batch", 3, "--json"
    )
    assert (result.code, result.err) == (0, "")
    facts = json.loads(result.out)
    assert facts["rewriting"] == {"kept": 0, "does not end in the refusal": 3}
    assert (facts["tuned"]["steps"], facts["tuned"]["folder"]) == (6, "tuned")
    assert all(len(one.answer.split()) <= 3 for one in read_lessons(tmp_path / "out.jsonl")[3:])
    assert open_tuned(tmp_path / "tuned", tiny).layers == 2


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--tune", "tuned"), "expected --model FOLDER with --tune"),
        (("--kind", "others"), "expected a kind among reasons, plain"),
        (("--number", 7), "expected at least 7 prompts for --number, got 6"),
        (("--table", "none.yaml"), "none.yaml"),
        (("--model", "none"), "none: expected the folder of a model"),
    ],
)
def test_bad_input_is_told_in_a_line(outrider, prompts, more, message):
    result = outrider("lab", "reasons", prompts, "-o", "out.jsonl", *more)
    assert message in error_of(result)
