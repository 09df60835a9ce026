"""Prompts that a decoder is tried on, by the names and sizes of its inputs."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from outrider.monitor import ExportError
from outrider.networks.onnx.reading.graph import OnnxGraph
from outrider.runtime.in_graph.heads.probe import find_heads, last_tokens, mask_of, probe_feeds
from outrider.runtime.in_graph.heads.read_out import LinearReadOut

from .graphs import decoder_graph, heads_by_hand


def model(*inputs):
    """inputs: (name, type, sizes)."""
    values = [helper.make_tensor_value_info(name, kind, sizes) for name, kind, sizes in inputs]
    nodes = [helper.make_node("Identity", [inputs[0][0]], ["y"])]
    graph = helper.make_graph(nodes, "test", values, [helper.make_empty_tensor_value_info("y")])
    return helper.make_model(graph).SerializeToString()


IDS = ("input_ids", TensorProto.INT64, ["b", "s"])
MASK = ("attention_mask", TensorProto.INT32, ["b", "all"])


def test_a_decoder_with_a_cache_begins_without_past():
    past = ("past_key_values.0.key", TensorProto.FLOAT16, ["b", 3, "past", "size"])
    positions = ("position_ids", TensorProto.INT64, ["b", "s"])
    whole, padded = probe_feeds(model(IDS, MASK, past, positions), (9, 64))
    assert whole["input_ids"].shape == (2, 6)
    assert len(np.unique(whole["input_ids"])) > 4
    assert (whole["past_key_values.0.key"].shape, whole["past_key_values.0.key"].dtype) == ((2, 3, 0, 64), np.float16)
    assert whole["position_ids"].tolist() == [list(range(6))] * 2
    assert (whole["attention_mask"].dtype, whole["attention_mask"].min()) == (np.int32, 1)
    assert padded["attention_mask"].tolist() == [[1, 1, 1, 1, 0, 0], [1] * 6]


def test_embeddings_and_positions_of_three_kinds():
    embeddings = ("inputs_embeds", TensorProto.FLOAT, ["b", "s", 32])
    positions = ("position_ids", TensorProto.INT64, [3, "b", "s"])
    (feeds,) = probe_feeds(model(embeddings, positions), (2, 4))
    assert (feeds["inputs_embeds"].shape, feeds["position_ids"].shape) == ((2, 6, 32), (3, 2, 6))


def test_sizes_that_a_model_fixes_and_a_prompt_of_the_users():
    fixed = [(name, kind, [1, 4]) for name, kind, _ in (IDS, MASK)]
    assert {value.shape for feeds in probe_feeds(model(*fixed), (2, 4)) for value in feeds.values()} == {(1, 4)}
    ids = np.array([[7, 8, 9]])
    (feeds,) = probe_feeds(model(IDS, MASK), (2, 4), ids)
    assert (feeds["input_ids"].tolist(), feeds["attention_mask"].tolist()) == ([[7, 8, 9]], [[1, 1, 1]])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            [IDS, ("pixels", TensorProto.FLOAT, ["b", 3, 8, 8])],
            "expected inputs input_ids .* got 'pixels'; give inputs",
        ),
        ([MASK], "expected a decoder with an input input_ids or inputs_embeds, got one without"),
    ],
)
def test_inputs_of_unknown_meaning_are_named(inputs, message):
    with pytest.raises(ExportError, match=message):
        probe_feeds(model(*inputs), (2, 4))


def test_a_mask_of_another_form_is_refused():
    assert mask_of(model(IDS)) is None
    assert mask_of(model(IDS, MASK)) == "attention_mask"
    with pytest.raises(
        ExportError, match=r"expected an input 'attention_mask' of \(batch, tokens\), got one of 4 axes"
    ):
        mask_of(model(IDS, ("attention_mask", TensorProto.FLOAT, ["b", 1, "s", "all"])))


@pytest.mark.parametrize("options", [{}, {"flat": True}], ids=["three axes", "flattened"])
def test_heads_are_found_in_the_order_of_layers_and_read_at_the_last_token(tmp_path, options):
    path = tmp_path / "decoder.onnx"
    weights = decoder_graph(path, layers=3, **options)
    data = path.read_bytes()
    read_out = LinearReadOut([(0, 0)], np.ones((1, 4)), 0, 0, 3, 2)
    feeds = probe_feeds(data, (2, 4))
    names, values = find_heads(path, data, OnnxGraph(data), read_out, feeds)
    assert names == ["heads0", "heads1", "heads2"]
    found = last_tokens(values[1], feeds[1], read_out)
    for row, length in enumerate((4, 6)):
        expected = heads_by_hand(weights, feeds[1]["input_ids"][row, :length], layers=3)
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)


def test_a_model_without_attention_is_refused(tmp_path):
    path, data = tmp_path / "model.onnx", model(IDS)
    path.write_bytes(data)
    with pytest.raises(
        ExportError, match=r"expected 3 attention layers with 2 heads .* got 0 attention layers without"
    ):
        find_heads(
            path, data, OnnxGraph(data), LinearReadOut([(0, 0)], np.ones((1, 4)), 0, 0, 3, 2), probe_feeds(data, (2, 4))
        )
