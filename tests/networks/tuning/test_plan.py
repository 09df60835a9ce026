"""A plan: YAML there and back, unknown keys, and every value out of its range."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import yaml

from outrider.networks.tuning import Schedule, TuningPlan

PATHS = {"model": "m", "pairs": "p.jsonl", "output": "out"}


def test_a_plan_comes_back_from_its_file(tmp_path):
    plan = TuningPlan(
        tmp_path / "m", tmp_path / "p.jsonl", tmp_path / "out", method="dpo", rate=3e-5, targets=("q_proj", "v_proj"),
        system="be kind: é", max_tokens=9, merge=True, unsafe_share=0.25,
    )  # fmt: skip
    plan.write(tmp_path / "plan.yaml")
    assert TuningPlan.read(tmp_path / "plan.yaml") == plan
    plain = replace(plan, targets=None, system=None, max_tokens=None, unsafe_share=None)
    plain.write(tmp_path / "plan.yaml")
    assert TuningPlan.read(tmp_path / "plan.yaml") == plain


def test_keys_are_flags_and_paths_are_relative_to_the_file(tmp_path):
    (tmp_path / "plan.yaml").write_text(
        "model: ../m\npairs: p.jsonl\noutput: /abs\nsave-every: 7\nweight_decay: 1e-2\ntargets: [a]\nfull: false\n"
        "rate: 1e-4\nsystem: null\n"
    )
    plan = TuningPlan.read(tmp_path / "plan.yaml")
    assert (plan.model, plan.pairs) == (tmp_path / "../m", tmp_path / "p.jsonl")
    assert str(plan.output) == "/abs"
    assert plan.schedule == Schedule(200, 8, 1e-4, weight_decay=1e-2, save_every=7)
    assert plan.targets == ("a",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stepz: 3", "unknown key 'stepz'; did you mean steps"),
        ("zzz: 3", "unknown key 'zzz'; known are model, pairs, output, method"),
        ("3: 3", "unknown key 3"),
        ("save-every: 3\nsave_every: 4", "expected each key once, got save_every twice"),
        ("steps: many", "expected a whole number under steps, got 'many'"),
        ("steps: 1.5", "expected a whole number under steps"),
        ("steps: true", "expected a whole number under steps"),
        ("rate: fast", "expected a number under rate, got 'fast'"),
        ("rate: true", "expected a number under rate"),
        ("full: 1", "expected true or false under full, got 1"),
        ("method: 3", "expected a text under method"),
        ("targets: q_proj", "expected a list of names under targets"),
        ("targets: []", "expected a list of names under targets"),
        ("steps: null", "expected a whole number under steps, got None"),
        ("method: sstf", "expected a method among ssft, dpo, unlearning, sft, trl-dpo, got 'sstf'"),
        ("steps: 0", "expected steps to be a whole number of at least 1, got 0"),
        ("rate: .nan", "expected a rate above 0, got nan"),
        ("dtype: int8", "expected a dtype among"),
        ("full: true\ndtype: bfloat16", "expected dtype float32 to tune all weights, got bfloat16"),
        ("full: true\nmerge: true", "expected adapters to merge"),
        ("unsafe-share: 1", "expected an unsafe_share between 0 and 1, got 1.0"),
        ("beta-preferred: -1", "expected beta_preferred to be at least 0"),
        ("unlearning-weight: .nan", "expected unlearning_weight to be at least 0, got nan"),
        ("max-tokens: 0", "expected max_tokens to be at least 1"),
        ("model: {", "expected YAML, got"),
        ("model: &a !!python/name:os.system", "expected YAML, got"),
    ],
)
def test_what_is_wrong_is_said_with_the_files_name(tmp_path, text, words):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(PATHS) + text + "\n")
    with pytest.raises(ValueError, match="plan") as caught:
        TuningPlan.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_missing_keys_other_files_and_none(tmp_path):
    (tmp_path / "a.yaml").write_text("model: m\n")
    with pytest.raises(ValueError, match="got none for pairs, output"):
        TuningPlan.read(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_text("- model\n")
    with pytest.raises(ValueError, match="of the form `key: value`, got list"):
        TuningPlan.read(tmp_path / "a.yaml")
    with pytest.raises(FileNotFoundError):
        TuningPlan.read(tmp_path / "none.yaml")


def test_what_a_method_takes():
    plan = TuningPlan(**PATHS)
    assert [replace(plan, method=name).share for name in ("ssft", "dpo", "unlearning", "sft", "trl-dpo")] == [
        0.2, 0.5, 0.5, None, None,
    ]  # fmt: skip
    assert replace(plan, method="sft", unsafe_share=0.3).share == 0.3
    assert [replace(plan, method=name).both for name in ("ssft", "dpo", "unlearning", "sft", "trl-dpo")] == [
        False, True, True, False, True,
    ]  # fmt: skip


def test_what_changes_the_result_is_a_setting_and_names_are_not():
    plan = TuningPlan(**PATHS)
    assert plan.settings() == replace(plan, model="x", pairs="y", output="z", device="cuda").settings()
    schedule = {one.name for one in fields(Schedule)}
    for name in {one.name for one in fields(plan)} - schedule - {*PATHS, "device", "merge"}:
        assert name in plan.settings(), name
