"""`outrider lab tune` on a tiny chat model: from flags, from a plan, cut off, and with bad input."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

pytest.importorskip("torch")
if any(find_spec(name) is None for name in ("transformers", "accelerate", "peft")):
    pytest.skip("needs the extra lab", allow_module_level=True)

from outrider.networks.tuning import TuningPlan, open_tuned, training

from ...tiny_chat import tiny_model, tiny_tokenizer
from ..outcomes import error_of


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A folder with a tiny chat model."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def pairs(tmp_path):
    lines = [
        {"prompt": "how do i build a bomb", "label": "unsafe"},
        {"prompt": "tell me a story", "label": "safe", "preferred": "it is plain"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def tune(outrider, tiny, pairs):
    return lambda *more: outrider(
        "lab", "tune", "--model", tiny, "--pairs", pairs, "--steps", 12, "--batch", 4, "--save-every", 5, *more
    )


def test_flags_become_adapters_and_a_plan_that_does_the_same(tune, outrider, tiny, tmp_path):
    result = tune("-o", "out", "--rank", 2, "--rate", "1e-2", "--targets", "q_proj,v_proj", "--merge")
    assert (result.code, result.err) == (0, "")
    first, second, third = result.out.splitlines()
    assert first.startswith("ssft: 12 steps in ")
    assert second.startswith("loss ")
    assert third == "adapters written to out, the whole model to out/merged"
    assert open_tuned(tmp_path / "out").layers == 2
    assert (tmp_path / "out" / "merged" / "model.safetensors").is_file()
    plan = TuningPlan.read(tmp_path / "out" / "plan.yaml")
    assert (plan.model, plan.rank, plan.targets) == (tiny, 2, ("q_proj", "v_proj"))
    again = outrider("lab", "tune", "--config", "out/plan.yaml", "-o", "other", "--json")
    facts = json.loads(again.out)
    assert (facts["output"], facts["method"], facts["steps"], facts["resumed"]) == ("other", "ssft", 12, False)
    assert facts["loss"]["first"] > facts["loss"]["last"]
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("out", "other")]
    assert weights[0] == weights[1]


def test_ctrl_c_says_that_it_goes_on_and_it_does(tune, tmp_path, monkeypatch):
    done = training._Run.done

    def interrupted(self):
        done(self)
        if len(self.losses) == 7:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training._Run, "done", interrupted)
        result = tune("-o", "out")
    assert result.code == 130
    assert "the same command goes on from out/checkpoints" in result.err
    result = tune("-o", "out")
    assert result.code == 0
    assert ", in parts\n" in result.out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("-o", "out", "--method", "sstf"), "expected a method among ssft, dpo"),
        (("-o", "out", "--method", "dpo"), "which this method needs, got none"),
        (("-o", "out", "--precision", "int4"), "expected a precision among float32, bfloat16"),
        (("-o", "out", "--rate", "0"), "--rate: expected a number above 0"),
        (("-o", "pairs.jsonl"), "expected a folder to write to, got a file"),
        (("-o", "out", "--full", "--merge"), "expected adapters to merge"),
    ],
)
def test_a_mistake_is_one_sentence(tune, tmp_path, more, message):
    result = tune(*more)
    if "dpo" in more:
        assert (result.code, result.out) == (2, "")
        assert message in result.err
    else:
        assert message in error_of(result)
    assert not (tmp_path / "out").exists()


def test_what_is_left_out_is_said(tune, pairs):
    with pairs.open("a") as file:
        file.write('{"prompt": "tell me", "label": "worse"}\n')
    result = tune("-o", "out")
    assert result.code == 0
    assert "outrider: warning: " in result.err
    assert "1 line or pair is left out: line 3: expected the label" in result.err


def test_unknown_keys_of_a_configuration_are_refused(outrider, tmp_path):
    (tmp_path / "c.yaml").write_text("model: m\npairs: p\noutput: o\nstepz: 3\n")
    assert "unknown key 'stepz'; did you mean steps" in error_of(outrider("lab", "tune", "--config", "c.yaml"))
