"""Decoders that carry a guard of heads: what their own model says, bit for bit, and what the heads in PyTorch say."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest

from outrider.monitor import ExportError, MismatchError
from outrider.runtime import guard_facts
from outrider.runtime.in_graph.heads import nodes
from outrider.runtime.in_graph.heads.exporting import export_heads
from outrider.runtime.in_graph.heads.read_out import LinearReadOut

from .graphs import decoder_graph, heads_by_hand
from .running import ALARM, SCORE, padded, run

PROMPTS = [[5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15], [16, 17, 18, 19, 20]]


def score_of(decoder, read_out, prompt):
    """From the heads in PyTorch, one by one."""
    torch = pytest.importorskip("torch")
    ids = torch.tensor([prompt])
    heads = decoder.prefill({"input_ids": ids, "attention_mask": torch.ones_like(ids)}).heads[0]
    return sum(w @ heads[at] for at, w in zip(read_out.chosen, read_out.weights, strict=True)) + read_out.bias


def assert_own_outputs_are_equal(bare, guarded):
    assert [*bare, SCORE, ALARM] == list(guarded)
    for name, values in bare.items():
        assert values.tobytes() == guarded[name].tobytes(), name


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int4"])  # fp16 comes with MultiHeadAttention
def test_the_builders_model_scores_the_last_token_as_pytorch_does(built, decoder, read_out, tmp_path, precision):
    bare, guarded = f"{built(precision)}/model.onnx", tmp_path / "guarded.onnx"
    facts = export_heads(read_out, bare, guarded, decoder=decoder)
    assert (tmp_path / "model.onnx.data").is_file()
    assert facts == guard_facts(guarded)
    assert facts["compared"] < {"fp32": 1e-5, "fp16": 0.01, "int4": 0.5}[precision]
    ids, mask = padded(PROMPTS, "right")
    whole, before = run(guarded, ids, mask), run(bare, ids, mask)
    assert_own_outputs_are_equal(before, whole)
    assert (whole[SCORE].dtype, whole[ALARM].dtype) == (np.float32, np.bool_)
    if precision != "int4":
        close = {"rtol": 1e-4, "atol": 1e-4} if precision == "fp32" else {"rtol": 0.02, "atol": 0.05}
        expected = [score_of(decoder, read_out, prompt) for prompt in PROMPTS]
        np.testing.assert_allclose(whole[SCORE], expected, **close)
        np.testing.assert_array_equal(whole[ALARM], np.array(expected) > read_out.threshold)
    if precision == "fp16":
        return  # decode steps of the bare model fail on the CPU
    # One more token behind each prompt: the padding stays between.
    more, grown = [[21], [22], [23]], np.concatenate([mask, np.ones((3, 1), np.int64)], axis=1)
    after = run(guarded, more, grown, past=whole)
    assert_own_outputs_are_equal(run(bare, more, grown, past=before), after)
    if precision == "fp32":
        np.testing.assert_allclose(after[SCORE][0], score_of(decoder, read_out, [*PROMPTS[0], 21]), rtol=1e-4)


def test_a_backbone_that_takes_embeddings(built, decoder, read_out, tmp_path):
    bare, guarded = f"{built('fp32', 'exclude_embeds=true')}/model.onnx", tmp_path / "guarded.onnx"
    export_heads(read_out, bare, guarded)
    table = decoder.model.get_input_embeddings().weight.detach().numpy()
    ids, mask = padded(PROMPTS, "right")
    found = run(guarded, ids, mask, inputs_embeds=table[ids])
    assert_own_outputs_are_equal(run(bare, ids, mask, inputs_embeds=table[ids]), found)
    expected = [score_of(decoder, read_out, prompt) for prompt in PROMPTS]
    np.testing.assert_allclose(found[SCORE], expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ExportError, match="expected an input input_ids to compare the heads on prompts"):
        export_heads(read_out, bare, guarded, decoder=decoder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_plain_export_scores_the_last_real_token(plain, decoder, read_out, tmp_path, side):
    guarded = tmp_path / "guarded.onnx"
    facts = export_heads(read_out, plain, guarded, decoder=decoder)
    assert facts["compared"] < 1e-5
    ids, mask = padded(PROMPTS, side)
    found = run(guarded, ids, mask)
    assert_own_outputs_are_equal(run(plain, ids, mask), found)
    expected = [score_of(decoder, read_out, prompt) for prompt in PROMPTS]
    np.testing.assert_allclose(found[SCORE], expected, rtol=1e-4, atol=1e-4)
    for threshold in (min(expected) - 1, np.median(expected), np.inf):
        alarms = run(guarded, ids, mask, outrider_threshold=np.float32([threshold]))[ALARM]
        np.testing.assert_array_equal(alarms, found[SCORE] > np.float32(threshold))


@pytest.fixture
def simple(tmp_path):
    """A decoder by hand, its weights, and a read-out of two of its heads."""
    weights = decoder_graph(tmp_path / "bare.onnx")
    values = np.random.default_rng(2).normal(size=(2, 4))
    return tmp_path / "bare.onnx", weights, LinearReadOut([(1, 0), (0, 1)], values, -0.5, 0.1, 2, 2)


@pytest.mark.parametrize(
    "options", [{}, {"flat": True}, {"mask": False}, {"tower": 6}], ids=["mask", "flat", "no mask", "tower"]
)
def test_heads_computed_by_hand(tmp_path, options):
    bare, guarded = tmp_path / "bare.onnx", tmp_path / "guarded.onnx"
    weights = decoder_graph(bare, **options)
    read_out = LinearReadOut([(1, 0), (0, 1)], np.arange(8.0).reshape(2, 4), -0.5, 0.1, 2, 2)
    facts = export_heads(read_out, bare, guarded)
    assert facts["tensors"] == ["heads0", "heads1"]
    ids = np.array([[1, 5, 3], [4, 2, 9]])
    found = run(guarded, ids)
    assert_own_outputs_are_equal(run(bare, ids), found)
    if "tower" not in options:
        heads = np.stack([heads_by_hand(weights, row) for row in ids])
        expected = heads[:, 1, 0] @ np.arange(4.0) + heads[:, 0, 1] @ np.arange(4.0, 8.0) - 0.5
        np.testing.assert_allclose(found[SCORE], expected, rtol=1e-5)


def test_heads_of_other_sizes_are_refused(simple, tmp_path):
    bare, _, read_out = simple
    for chosen, weights, layers, heads, message in (
        ([(1, 0)], np.ones((1, 4)), 3, 2, "expected 3 attention layers of 2 heads .* got 2 such layers among 2"),
        ([(1, 0)], np.ones((1, 5)), 2, 2, "with 5 numbers each, 10 together, got 0 such layers among 2, of width 8"),
    ):
        with pytest.raises(ExportError, match=message):
            export_heads(LinearReadOut(chosen, weights, 0, 0, layers, heads), bare, tmp_path / "guarded.onnx")
    export_heads(read_out, bare, tmp_path / "guarded.onnx")
    with pytest.raises(ExportError, match="expected a bare model, got one that carries a monitor"):
        export_heads(read_out, tmp_path / "guarded.onnx", tmp_path / "again.onnx")


def test_another_model_of_the_same_shape_is_told_by_its_heads(plain, decoder, read_out, tmp_path):
    model = onnx.load(plain)
    held = [tensor for tensor in model.graph.initializer if list(tensor.dims) == [64, 32]]
    first, second = held[:2]  # matrices of a layer change places
    first.raw_data, second.raw_data = second.raw_data, first.raw_data
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(MismatchError, match=r"expected the heads of .*, got others: .* the first is layer"):
        export_heads(read_out, tmp_path / "other.onnx", tmp_path / "guarded.onnx", decoder=decoder)
    assert not (tmp_path / "guarded.onnx").exists()


def test_a_guard_of_another_decoder_is_refused(plain, decoder, read_out, tmp_path):
    facts = {"decoder": {"fingerprint": "f" * 64}}
    other = LinearReadOut(read_out.chosen, read_out.weights, 0, 0, read_out.layers, read_out.heads, facts)
    with pytest.raises(MismatchError, match="expected the decoder that the guard was made for, ffffffffffff…, got"):
        export_heads(other, plain, tmp_path / "guarded.onnx", decoder=decoder)


def test_what_comes_out_differently_is_not_kept(simple, tmp_path, monkeypatch):
    bare, _, read_out = simple
    add = nodes.add_read_out
    monkeypatch.setattr(
        nodes, "_at", lambda ops, tensor, index: ops("Gather", tensor, ops.constant(0, np.int64), axis=1)
    )
    with pytest.raises(ExportError, match=r"expected score .*, got "):
        export_heads(read_out, bare, tmp_path / "guarded.onnx")
    assert not (tmp_path / "guarded.onnx").exists()
    assert nodes.add_read_out is add


def test_the_facts_are_printed(simple, tmp_path, outrider):
    bare, _, read_out = simple
    facts = export_heads(read_out, bare, tmp_path / "guarded.onnx")
    shown = outrider("inspect", tmp_path / "guarded.onnx")
    assert shown.code == 0, shown.err
    assert "2 of 4 heads: L1H0, L0H1" in shown.out
    assert "outrider_score, outrider_alarm" in shown.out
    assert json.loads(outrider("inspect", tmp_path / "guarded.onnx", "--json").out) == json.loads(json.dumps(facts))


def test_the_command_line_exports_the_file_of_a_guard(
    plain, llama, decoder, guard, guard_file, prompts, tmp_path, outrider
):
    target = tmp_path / "guarded.onnx"
    made = outrider("export", plain, guard_file, "-o", target, "--decoder", llama, "--json")
    assert made.code == 0, made.err
    facts = json.loads(made.out)
    assert facts == guard_facts(target)
    assert facts["compared"] < 1e-5
    for prompt, score in zip(prompts["new"], guard.scores(prompts["new"]), strict=True):
        ids = np.asarray(decoder.encode([prompt])["input_ids"])
        found = run(target, ids)
        np.testing.assert_allclose(found[SCORE], score, rtol=1e-3, atol=1e-4)
    told = outrider("inspect", target)
    assert f"guard of        {decoder.name}" in told.out
    assert "for a false-alarm rate of 0.05; 0 seen on 24 held-out safe prompts" in told.out
