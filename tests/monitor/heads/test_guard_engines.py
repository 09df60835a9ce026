"""The guard on a real, tiny model of transformers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from outrider.monitor import MismatchError, Status, auroc
from outrider.monitor.heads import Cascade, CriticalHead, HeadGuard, ReadOut, measure
from outrider.networks.transformers import Decoder, import_transformers

transformers = import_transformers()

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "user", "assistant", "system", "cake", "bomb", *(f"w{i}" for i in range(30))]
TEMPLATE = (
    "{% for message in messages %}<s> {{ message['role'] }} {{ message['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}<s> assistant{% endif %}"
)


def prompts(word, n, seed):
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(n):
        others = [f"w{i}" for i in rng.integers(0, 30, rng.integers(4, 12))]
        texts.append(" ".join([*others[:-2], word, *others[-2:]]))
    return texts


UNSAFE, SAFE = prompts("bomb", 40, 0), prompts("cake", 40, 1)
HELD_OUT, TEST = prompts("cake", 40, 2), [*prompts("bomb", 15, 3), *prompts("cake", 15, 4)]


@pytest.fixture(scope="module")
def decoder():
    tokenizers = pytest.importorskip("tokenizers")
    raw = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>")
    )
    raw.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        chat_template=TEMPLATE,
    )  # fmt: skip
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS), hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=40, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        initializer_range=0.1,
    )  # fmt: skip
    return Decoder(transformers.LlamaForCausalLM(config).eval(), tokenizer)


@pytest.fixture(scope="module")
def guard(decoder):
    guard = HeadGuard(decoder, heads=4)
    guard.search(UNSAFE, SAFE, permutations=19)
    guard.calibrate(HELD_OUT, 0.1)
    return guard


def test_the_word_is_found_and_the_answer_unchanged(guard, decoder):
    assert guard.report.p_value == 1 / 20
    scores = guard.scores(TEST)
    assert auroc(scores[15:], scores[:15]) > 0.85
    bad = guard.check([TEST[0], "", "w1 " * 60])
    assert [verdict.status == Status.FAULT for verdict in bad] == [False, True, True]
    inputs = decoder.encode(TEST[:1])
    with decoder.watching(keep=guard.keep) as watch:
        decoder.model.generate(**inputs, max_new_tokens=3, do_sample=False)
    assert guard.judge(watch.prefill)[0].score == pytest.approx(scores[0], abs=1e-4)


@pytest.mark.parametrize("statistic", ["read_out", "last_query", "exact", "full"])
def test_one_by_one_and_padded_batches_measure_the_same(decoder, statistic):
    guard = HeadGuard(decoder, statistic)
    some = [*TEST[:5], ""]
    alone = measure(decoder, some, guard.statistic)
    together = measure(decoder, some, guard.statistic, batch=4)
    assert alone.reasons == together.reasons
    np.testing.assert_allclose(together.values[:5], alone.values[:5], atol=1e-3, rtol=1e-4)
    assert alone.lengths.tolist() == together.lengths.tolist()


def test_exact_is_full_and_the_cascade_shares_the_pass(decoder, guard):
    exact, full = (CriticalHead(decoder, name) for name in ("exact", "full"))
    few = [(0, 0), (1, 3), (2, 1)]
    np.testing.assert_allclose(exact.measure(TEST[:4], few).values, full.measure(TEST[:4], few).values, atol=1e-3)
    exact.search(UNSAFE, SAFE, candidates=few, permutations=0)
    cascade = Cascade(guard, exact, band=0.4)
    cascade.calibrate(HELD_OUT, 0.1)
    assert [verdict.status in (Status.OK, Status.ALARM) for verdict in cascade.check(TEST)] == [True] * 30


def test_the_linear_read_out_is_what_the_guard_computes(guard, decoder):
    heads, weights, bias = guard.read_out_weights()
    outputs = decoder.prefill(decoder.encode(TEST)).heads
    by_hand = bias + sum(outputs[:, layer, head] @ w for (layer, head), w in zip(heads, weights, strict=True))
    np.testing.assert_allclose(by_hand, guard.scores(TEST), atol=1e-4)


def test_a_file_serves_this_model_in_this_dtype_with_this_prompt(guard, decoder, tmp_path):
    guard.save(tmp_path / "g.outrider")
    again = HeadGuard.load(tmp_path / "g.outrider", decoder)
    assert [v.score for v in again.check(TEST[:3])] == [v.score for v in guard.check(TEST[:3])]
    assert isinstance(again.statistic, ReadOut)
    half = Decoder(copy.deepcopy(decoder.model).to(torch.bfloat16), decoder.processor)
    with pytest.raises(MismatchError, match="calibrate in the dtype that serves"):
        HeadGuard.load(tmp_path / "g.outrider", half)
    with pytest.raises(MismatchError, match="the system prompt or the image processor differs"):
        HeadGuard.load(tmp_path / "g.outrider", Decoder(decoder.model, decoder.processor, system="w1 w2"))
    tuned = copy.deepcopy(decoder.model)
    with torch.no_grad():
        tuned.model.layers[1].mlp.up_proj.weight[0, 0] += 0.01
    with pytest.raises(MismatchError, match="its weights changed"):
        HeadGuard.load(tmp_path / "g.outrider", Decoder(tuned, decoder.processor))


def test_a_weight_that_is_no_number_makes_a_fault(guard, decoder):
    broken = copy.deepcopy(decoder.model)
    with torch.no_grad():
        broken.model.layers[0].self_attn.v_proj.weight[0, 0] = float("nan")
    bad = HeadGuard(Decoder(broken, decoder.processor), heads=4)
    bad.learn(guard.chosen, guard.model)
    bad.calibration = guard.calibration
    assert bad.check(TEST[:1])[0].status == Status.FAULT
