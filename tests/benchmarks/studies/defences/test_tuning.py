from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

import torch

from benchmarks.studies.defences.tuning import COMPLIANCE, METHODS, REFUSAL, Variants, layer_of
from benchmarks.studies.reasons.tuning import Setting
from outrider.runtime.lab.evaluation import judgement

from .tiny_material import tiny_base, tiny_material


@pytest.fixture(scope="module")
def variants(tmp_path_factory):
    base = tiny_base()
    setting = Setting(steps=2, batch=4, rate=1e-2, rank=2, below=1)
    return Variants(base, tiny_material().pools, 20, setting, tmp_path_factory.mktemp("runs"))


def test_what_is_not_preferred_helps_nobody():
    assert judgement(REFUSAL) == "refused"
    assert judgement(COMPLIANCE) == "answered"
    assert len(COMPLIANCE.split()) < 15


def test_examples_have_the_sides_that_a_method_wants(variants):
    tokenizer = variants.base.processor
    both, one = variants.examples("DPO", 0), variants.examples("SafeCoT", 0)
    assert len(both) == len(one) == 20
    assert {tuple(example) for example in both} == {("preferred", "dispreferred")}
    assert {tuple(example) for example in one} == {("preferred",)}

    def said(side):
        return tokenizer.decode(side["labels"][side["labels"] >= 0], skip_special_tokens=True)

    plain, reasoned = said(variants.examples("SSFT", 0)[0]["preferred"]), said(one[0]["preferred"])
    assert plain in reasoned
    assert len(reasoned.split()) > len(plain.split())
    for example in both:
        prompt = [side["input_ids"][side["labels"] < 0].tolist() for side in example.values()]
        assert prompt[0] == prompt[1]
        assert said(example["preferred"]) != said(example["dispreferred"])


@pytest.mark.parametrize("method", METHODS)
def test_a_variant_is_tuned_once_above_its_layer_and_the_base_stays(variants, method):
    before = {name: value.clone() for name, value in variants.base.model.state_dict().items()}
    steps = []
    first = variants.opened(method, 0, lambda done, _total: steps.append(done))
    assert steps[-1] == 2
    after = variants.base.model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    changed = {
        layer_of(name)
        for name, value in first.model.state_dict().items()
        if not torch.equal(value, before[name].to(torch.bfloat16))
    }
    assert changed == {1}
    steps.clear()
    again = variants.opened(method, 0, lambda done, _total: steps.append(done))
    assert steps == []
    assert again.fingerprint == first.fingerprint
    assert again.dtype == "bfloat16"


def test_seeds_and_methods_differ(variants):
    assert len({variants.opened(method, 0).fingerprint for method in METHODS}) == len(METHODS)
    assert variants.opened("SSFT", 1).fingerprint != variants.opened("SSFT", 0).fingerprint
