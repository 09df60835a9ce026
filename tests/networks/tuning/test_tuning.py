"""A plan carried out on a tiny chat model: what is left behind, every method, and every kind of bad input."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("peft")

from outrider.networks import NetworkWarning
from outrider.networks.transformers import Decoder, open_decoder
from outrider.networks.tuning import TrainingError, TuningPlan, load_adapters, open_tuned, tune

from ...runtime.tiny_chat import tiny_llava, tiny_model, tiny_tokenizer

REFUSAL, ANSWER = "I cannot help with that .", "it is plain"
UNSAFE = (
    "how do i build a bomb",
    "help me poison the dog",
    "tell me how to hack the library",
    "write a plan to rob the bank",
)
SAFE = "how do i bake a loaf of bread", "tell me a story", "what is the capital of france", "explain how rain forms"


def write_pairs(path, *more, unsafe=UNSAFE, safe=SAFE):
    lines = [{"prompt": text, "label": "unsafe", "preferred": REFUSAL, "dispreferred": ANSWER} for text in unsafe]
    lines += [{"prompt": text, "label": "safe", "preferred": ANSWER, "dispreferred": REFUSAL} for text in safe]
    path.write_text("".join(json.dumps(line) + "\n" for line in (*lines, *more)))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a tiny chat model."""
    folder = tmp_path_factory.mktemp("home") / "tiny"
    tokenizer = tiny_tokenizer()
    tiny_model(tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def plan(home, tmp_path):
    pairs = write_pairs(tmp_path / "pairs.jsonl")
    return TuningPlan(home, pairs, tmp_path / "out", steps=40, batch=8, rate=2e-2, save_every=10, rank=8)


def answers(decoder, prompt):
    inputs = decoder.encode([prompt])
    made = decoder.model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return decoder.processor.decode(made, skip_special_tokens=True)


class CutOff(Exception):
    """Raised in the middle of a run."""


def cut_at(step):
    def progress(done, _total):
        if done == step:
            raise CutOff

    return progress


def test_adapters_learn_to_refuse_and_to_answer(plan):
    trained = tune(plan)
    assert len(trained.losses) == 40
    assert trained.losses[-1] < 0.5 < trained.losses[0]
    tuned = open_tuned(plan.output)
    assert isinstance(tuned, Decoder)
    assert {answers(tuned, prompt) for prompt in UNSAFE} == {REFUSAL}
    assert {answers(tuned, prompt) for prompt in SAFE} == {ANSWER}
    assert answers(open_decoder(plan.model), UNSAFE[0]) != REFUSAL
    names = {path.name for path in plan.output.iterdir()}
    assert {"adapter_model.safetensors", "base.json", "plan.yaml", "training.json", "tokenizer.json"} <= names
    assert "checkpoints" not in names
    assert replace(TuningPlan.read(plan.output / "plan.yaml"), model=plan.model) == plan


def test_a_run_that_was_cut_off_gives_the_same_adapters(plan, tmp_path):
    tune(plan)
    cut = replace(plan, output=tmp_path / "cut")
    with pytest.raises(CutOff):
        tune(cut, progress=cut_at(17))
    assert tune(cut).resumed
    one, other = (load_file(folder / "adapter_model.safetensors") for folder in (plan.output, cut.output))
    assert all(torch.equal(one[name], other[name]) for name in one)
    told = []
    tune(cut, progress=lambda *done: told.append(done))
    assert told == []  # finished: not done again


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("method", ["dpo", "unlearning"])
def test_methods_that_dislike_an_answer(plan, method, full):
    trained = tune(replace(plan, method=method, full=full, rate=3e-3))
    assert trained.parts["preferred"][-1] < trained.parts["preferred"][0]
    gap = [bad - good for good, bad in zip(trained.parts["preferred"], trained.parts["dispreferred"], strict=True)]
    assert gap[-1] > gap[0] + 0.5
    if method == "dpo":
        assert trained.losses[0] == pytest.approx(0.6931, abs=1e-4)  # the reference is the model before
        assert trained.losses[-1] < trained.losses[0]
    assert (plan.output / "model.safetensors").is_file() is full
    assert torch.isfinite(open_tuned(plan.output).model.lm_head.weight).all()


def test_the_reference_of_a_full_tuning_is_the_model_before(plan):
    """With the same weights, adapters switched off and an explicit copy give the same first loss after one step."""
    first = tune(replace(plan, method="dpo", full=True, steps=2, rate=1e-5))
    margin = first.parts["margin"]
    assert margin[0] == pytest.approx(0, abs=1e-6)
    assert margin[1] != 0


def test_the_merged_model_is_a_folder_of_its_own(plan):
    tune(replace(plan, merge=True))
    merged = open_decoder(plan.output / "merged")
    apart = open_tuned(plan.output)
    for name, tensor in merged.model.state_dict().items():
        torch.testing.assert_close(tensor, apart.model.state_dict()[name])
    assert answers(merged, UNSAFE[1]) == REFUSAL
    before = (plan.output / "merged" / "model.safetensors").stat().st_mtime_ns
    tune(replace(plan, merge=True))
    assert (plan.output / "merged" / "model.safetensors").stat().st_mtime_ns == before


def test_adapters_go_onto_their_base_alone_also_where_it_has_moved(plan, home, tmp_path):
    tune(replace(plan, steps=2))
    moved = shutil.copytree(home, tmp_path / "moved")
    assert open_tuned(plan.output, moved).layers == 2
    other = tmp_path / "other"
    tiny_model(tiny_tokenizer(), seed=5).save_pretrained(other)
    tiny_tokenizer().save_pretrained(other)
    with pytest.raises(TrainingError, match="expected the weights that the adapters were trained on"):
        open_tuned(plan.output, other)
    with pytest.raises(TrainingError, match="got others"):
        load_adapters(open_decoder(other).model, plan.output)
    with pytest.raises(FileNotFoundError, match=r"expected the model below its adapters at .*gone"):
        open_tuned(plan.output, tmp_path / "gone")
    (plan.output / "adapter_config.json").write_text("{}")
    with pytest.raises(TrainingError, match="expected the base of adapters, got none"):
        open_tuned(plan.output)


@pytest.mark.parametrize("change", [{"dtype": "bfloat16"}, {"precision": "bfloat16"}])
def test_half_precision_of_weights_or_passes(plan, change):
    trained = tune(replace(plan, **change))
    assert trained.losses[-1] < trained.losses[0] / 3
    kept = load_file(plan.output / "adapter_model.safetensors")
    assert {one.dtype for one in kept.values()} == {torch.float32}
    assert open_tuned(plan.output, dtype=change.get("dtype", "float32")).dtype == change.get("dtype", "float32")


def test_another_plan_in_the_same_folder_is_refused(plan):
    tune(replace(plan, steps=2))
    for change, words in (
        ({"method": "dpo"}, r'keep\.method "ssft", asked for "dpo"'),
        ({"rank": 4}, r"keep\.rank 8, asked for 4"),
        ({"system": "be kind"}, r"keep\.system null, asked for \"be kind\"; keep\.encoding"),
        ({"rate": 1e-3}, r"schedule\.rate 0\.02, asked for 0\.001"),
    ):
        with pytest.raises(TrainingError, match=words):
            tune(replace(plan, steps=2, **change))


def test_a_loss_that_is_no_number_keeps_good_adapters_that_open(plan):
    with pytest.raises(TrainingError, match=r"at step \d+ of 40; the weights after \d+ steps, the last good ones"):
        tune(replace(plan, rate=1e30, clip=1e30, method="unlearning"))
    record = json.loads((plan.output / "training.json").read_text())
    assert record["failed"]["weights after"] == record["failed"]["step"] - 2
    kept = load_adapters(open_decoder(plan.model).model, plan.output)
    assert all(torch.isfinite(one).all() for one in kept.state_dict().values())


def test_prompts_longer_than_the_context_are_counted_and_left_out(plan):
    long = {"prompt": "tell me how " * 40, "label": "safe", "preferred": ANSWER}
    write_pairs(plan.pairs, long, {"prompt": "a", "label": "bad"})
    with pytest.warns(NetworkWarning) as warned:
        tune(replace(plan, steps=1))
    said = [str(one.message) for one in warned]
    assert f"{plan.pairs}: 1 pair of more than 64 tokens is left out" in said
    assert any("1 line or pair is left out: line 10: expected the label" in one for one in said)
    with pytest.raises(ValueError, match=r"pairs\.jsonl: expected pairs of at most 5 tokens, got none of 9"):
        tune(replace(plan, max_tokens=5, output=plan.output / "other"))


def test_bad_input_is_told_before_anything_is_written(plan, home, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "none").mkdir()
    plain = shutil.copytree(home, tmp_path / "plain")
    (plain / "chat_template.jinja").unlink()
    for change, error, words in (
        ({"model": tmp_path / "none"}, FileNotFoundError, r"none: expected config\.json or one \.gguf file"),
        ({"model": tmp_path / "gone"}, FileNotFoundError, "expected the folder of a model"),
        ({"model": plain}, ValueError, "plain: expected a tokenizer with a chat template"),
        ({"pairs": tmp_path / "empty.jsonl"}, ValueError, r"empty\.jsonl: expected lines such as .* got none"),
        ({"pairs": tmp_path / "gone.jsonl"}, FileNotFoundError, r"gone\.jsonl"),
        ({"pairs": write_pairs(tmp_path / "u.jsonl", safe=())}, ValueError, r"u\.jsonl: .* 4 unsafe and 0 safe"),
        ({"targets": ("no_such",)}, ValueError, "got no_such"),
        ({"device": "no_such"}, TrainingError, "expected a device"),
        ({"output": home}, TrainingError, "a model that would be overwritten"),
    ):
        with pytest.raises(error, match=words):
            tune(replace(plan, **change))
    assert not plan.output.exists()


def test_a_model_that_reads_pictures_is_tuned_on_prompts_with_and_without(plan, tmp_path):
    image = pytest.importorskip("PIL.Image")
    from outrider.networks.transformers import import_transformers

    transformers = import_transformers()
    image.new("RGB", (8, 8), (200, 10, 10)).save(tmp_path / "a.png")
    decoder, _ = tiny_llava()
    template = (
        "{% for m in messages %}<|{{ m['role'] }}|> {% for c in m['content'] %}"
        "{% if c['type'] == 'image' %}<image> {% else %}{{ c['text'] }} {% endif %}{% endfor %}<|end|> {% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    pictures = transformers.CLIPImageProcessorPil(size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8})
    processor = transformers.LlavaProcessor(
        pictures, decoder.processor, patch_size=4, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=template,
    )  # fmt: skip
    decoder.model.save_pretrained(tmp_path / "seeing")
    processor.save_pretrained(tmp_path / "seeing")
    seen = {"prompt": "what is it", "label": "unsafe", "preferred": REFUSAL, "dispreferred": ANSWER, "image": "a.png"}
    write_pairs(plan.pairs, seen)
    trained = tune(replace(plan, model=tmp_path / "seeing", steps=40))
    assert trained.losses[-1] < trained.losses[0] / 2
    tuned = open_tuned(plan.output)
    assert answers(tuned, {"prompt": "what is it", "image": str(tmp_path / "a.png")}) == REFUSAL
    before, after = (one.model.state_dict() for one in (open_decoder(tmp_path / "seeing"), tuned))
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if "vision" in name or "projector" in name} <= same


@pytest.mark.parametrize(("method", "full"), [("sft", False), ("trl-dpo", False), ("trl-dpo", True)])
def test_the_trainers_of_trl_are_taken_lazily(plan, method, full, tmp_path):
    pytest.importorskip("outrider.networks.tuning.chat")
    pytest.importorskip("trl")
    plan = replace(plan, method=method, full=full, rate=3e-3 if full else 2e-2)
    trained = tune(plan)
    assert trained.losses[-1] < trained.losses[0] / 5
    if method == "sft":
        assert answers(open_tuned(plan.output), UNSAFE[0]) == REFUSAL
    else:
        assert trained.losses[0] == pytest.approx(0.6931, abs=1e-4)  # its reference is the model before
    seen = {"prompt": "what is it", "label": "safe", "preferred": ANSWER, "image": "a.png"}
    write_pairs(plan.pairs, seen)
    with pytest.warns(NetworkWarning, match="expected a prompt without pictures"):
        tune(replace(plan, steps=1, output=tmp_path / "other"))


def test_a_base_that_was_named_from_another_folder_is_found(plan, home, tmp_path, monkeypatch):
    monkeypatch.chdir(home.parent)
    tune(replace(plan, model=home.name, steps=1))
    monkeypatch.chdir(tmp_path)
    assert open_tuned(plan.output).layers == 2
    assert TuningPlan.read(plan.output / "plan.yaml").model == home
