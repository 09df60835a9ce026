"""Score and alarm as nodes: which token is the last one, and what numbers that are none do."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from outrider.networks.onnx.reading.graph import OnnxGraph
from outrider.runtime.in_graph.heads.nodes import add_read_out
from outrider.runtime.in_graph.heads.read_out import LinearReadOut

READ_OUT = LinearReadOut([(1, 0), (0, 1), (1, 1)], np.arange(6.0).reshape(3, 2) - 2, 0.5, 4.0, 2, 3)


def run(values, mask=None, threshold=None, dtype=TensorProto.FLOAT, kind=TensorProto.INT64, opset=17):
    """Score and alarm of (layers, batch, tokens, width), by a graph that hands them through."""
    inputs = [helper.make_tensor_value_info(f"x{i}", dtype, ["n", "t", 6]) for i in range(2)]
    inputs += [] if mask is None else [helper.make_tensor_value_info("mask", kind, ["n", "all"])]
    nodes = [helper.make_node("Identity", [f"x{i}"], [f"y{i}"]) for i in range(2)]
    outputs = [helper.make_tensor_value_info("y0", dtype, None)]
    made = helper.make_model(
        helper.make_graph(nodes, "test", inputs, outputs), opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )
    behind = OnnxGraph(made.SerializeToString())
    fragment = behind.fragment()
    add_read_out(fragment, READ_OUT, ["y0", "y1"], None if mask is None else "mask")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(behind.with_fragment(fragment), options, providers=["CPUExecutionProvider"])
    floats = helper.tensor_dtype_to_np_dtype(dtype)
    feeds = {f"x{i}": np.asarray(values[i], floats) for i in range(2)}
    if mask is not None:
        feeds["mask"] = np.asarray(mask, helper.tensor_dtype_to_np_dtype(kind))
    if threshold is not None:
        feeds["outrider_threshold"] = np.float32([threshold])
    return session.run(["outrider_score", "outrider_alarm"], feeds)


def by_hand(values, at):
    """Row by row: layer 1 head 0, layer 0 head 1, layer 1 head 1, of two numbers each."""
    rows = [(values[1][i][t][0:2], values[0][i][t][2:4], values[1][i][t][2:4]) for i, t in enumerate(at)]
    return [-2 * a[0] - a[1] + 0 * b[0] + b[1] + 2 * c[0] + 3 * c[1] + 0.5 for a, b, c in rows]


@pytest.fixture(scope="module")
def values():
    return np.random.default_rng(0).normal(size=(2, 3, 4, 6)).round(2)


MASKS = {
    "right": ([[1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]], [3, 0, 1]),
    "left": ([[1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1]], [3, 3, 3]),
    "right of all": ([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 0, 0]], [2, 0, 1]),
    "past": ([[1, 1, 1, 1, 1, 1], [1, 0, 1, 1, 1, 0], [0, 1, 1, 1, 1, 1]], [3, 2, 3]),
    "a fixed length": ([[1, 1, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0]], [3, 1, 2]),
    "a fixed length and past": ([[1] * 6 + [0] * 3] * 3, [3, 3, 3]),
}


@pytest.mark.parametrize("name", MASKS)
def test_the_last_real_token_by_the_mask(values, name):
    mask, at = MASKS[name]
    score, alarm = run(values, mask)
    np.testing.assert_allclose(score, by_hand(values, at), rtol=1e-5)
    np.testing.assert_array_equal(alarm, score > 4)


@pytest.mark.parametrize("behind", [0, 3])
def test_a_row_without_a_real_token_alarms_and_leaves_the_others_alone(values, behind):
    mask = np.pad([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]], ((0, 0), (0, behind)))
    score, alarm = run(values, mask, threshold=1e30)
    np.testing.assert_allclose(score[[0, 2]], np.array(by_hand(values, [3, 3, 2]))[[0, 2]], rtol=1e-5)
    assert score[1] == np.inf
    assert alarm.tolist() == [False, True, False]


@pytest.mark.parametrize("kind", [TensorProto.INT32, TensorProto.BOOL, TensorProto.FLOAT])
@pytest.mark.parametrize("opset", [13, 18, 23])
def test_masks_of_other_types_and_other_opsets(values, kind, opset):
    mask, at = MASKS["past"]
    np.testing.assert_allclose(run(values, mask, kind=kind, opset=opset)[0], by_hand(values, at), rtol=1e-5)


def test_without_a_mask_the_last_position(values):
    score, _ = run(values)
    np.testing.assert_allclose(score, by_hand(values, [3, 3, 3]), rtol=1e-5)
    np.testing.assert_allclose(run(values[:, :, :1])[0], by_hand(values, [0, 0, 0]), rtol=1e-5)


def test_heads_in_half_precision_are_summed_in_full(values):
    halves = values.astype(np.float16)
    score, _ = run(halves, dtype=TensorProto.FLOAT16)
    assert score.dtype == np.float32
    np.testing.assert_allclose(score, by_hand(halves.astype(np.float64), [3, 3, 3]), rtol=1e-5)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_head_without_numbers_alarms_whatever_the_threshold(values, broken):
    lost = values.copy()
    lost[1, 1, 3, 3] = broken  # read by row 1
    lost[0, 2, 3, 0] = broken  # layer 0 head 0, which the guard does not read
    for threshold in (4.0, 1e30, np.inf):
        score, alarm = run(lost, threshold=threshold)
        assert score[1] == np.inf
        np.testing.assert_array_equal(alarm, [score[0] > threshold, True, score[2] > threshold])
    np.testing.assert_allclose(score[[0, 2]], np.array(by_hand(values, [3, 3, 3]))[[0, 2]], rtol=1e-5)


def test_a_threshold_of_nan_alarms(values):
    assert run(values, threshold=np.nan)[1].all()
    score, _ = run(values)
    assert not run(values[:, :1], threshold=score[0])[1].any()  # at the threshold there is no alarm
