"""Decoders as graphs, small enough to be computed by hand: attention without positions, flattened or not."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TOKENS = 64


def decoder_graph(path, layers=2, heads=2, size=4, *, flat=False, mask=True, tower=0, more=(), tokens=TOKENS):
    """Save a decoder to a path; return its weights by name.

    Each layer adds to the residual x what its heads return of q = k = v = x, times a matrix. flat: whether batch and
    tokens are one axis in front of that matrix, as exporters write a Gemm. tower: the width of one more attention
    layer of one head, in front of the others. more: inputs that nobody reads.
    """
    rng = np.random.default_rng(3)
    width = heads * size
    weights = {"embed": rng.normal(size=(tokens, width)) / 2, "split": np.array([0, 0, heads, size])}
    weights |= {"merge": np.array([0, 0, width]), "flatten": np.array([-1, width]), "axes": np.array([1, 2])}
    nodes = [helper.make_node("Gather", ["embed", "input_ids"], ["x0"])]
    if mask:
        weights |= {"one": np.float32(1), "far": np.float32(-1e9)}
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["real"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["one", "real"], ["padding"]),
            helper.make_node("Unsqueeze", ["padding", "axes"], ["spread"]),
            helper.make_node("Mul", ["spread", "far"], ["bias"]),
        ]
    if tower:
        weights |= {"tower": rng.normal(size=(width, tower)), "back": rng.normal(size=(tower, width)) / 9}
        nodes += [
            helper.make_node("MatMul", ["x0", "tower"], ["t"]),
            helper.make_node("Transpose", ["t"], ["tt"], perm=[0, 2, 1]),
            helper.make_node("MatMul", ["t", "tt"], ["ts"]),
            helper.make_node("Softmax", ["ts"], ["tp"]),
            helper.make_node("MatMul", ["tp", "t"], ["th"]),
            helper.make_node("MatMul", ["th", "back"], ["to"]),
            helper.make_node("Add", ["x0", "to"], ["xt"]),
        ]
    x = "xt" if tower else "x0"
    for i in range(layers):
        weights[f"o{i}"] = rng.normal(size=(width, width)) / width
        nodes += [
            helper.make_node("Reshape", [x, "split"], [f"s{i}"]),
            helper.make_node("Transpose", [f"s{i}"], [f"v{i}"], perm=[0, 2, 1, 3]),
            helper.make_node("Transpose", [f"s{i}"], [f"k{i}"], perm=[0, 2, 3, 1]),
            helper.make_node("MatMul", [f"v{i}", f"k{i}"], [f"raw{i}"]),
            *([helper.make_node("Add", [f"raw{i}", "bias"], [f"masked{i}"])] if mask else []),
            helper.make_node("Softmax", [f"masked{i}" if mask else f"raw{i}"], [f"p{i}"]),
            helper.make_node("MatMul", [f"p{i}", f"v{i}"], [f"h{i}"]),
            helper.make_node("Transpose", [f"h{i}"], [f"t{i}"], perm=[0, 2, 1, 3]),
            helper.make_node("Reshape", [f"t{i}", "merge"], [f"heads{i}"]),
        ]
        if flat:
            nodes += [
                helper.make_node("Reshape", [f"heads{i}", "flatten"], [f"flat{i}"]),
                helper.make_node("Gemm", [f"flat{i}", f"o{i}"], [f"g{i}"]),
                helper.make_node("Shape", [x], [f"shape{i}"]),
                helper.make_node("Reshape", [f"g{i}", f"shape{i}"], [f"r{i}"]),
            ]
        else:
            nodes.append(helper.make_node("MatMul", [f"heads{i}", f"o{i}"], [f"r{i}"]))
        nodes.append(helper.make_node("Add", [x, f"r{i}"], [f"x{i + 1}"]))
        x = f"x{i + 1}"
    nodes.append(helper.make_node("Identity", [x], ["logits"]))
    tensors = [
        numpy_helper.from_array(
            np.asarray(value, np.int64 if np.asarray(value).dtype.kind == "i" else np.float32), name
        )
        for name, value in weights.items()
    ]
    names = ["input_ids", *(["attention_mask"] if mask else []), *more]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in names]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "tokens", width])]
    graph = helper.make_graph(nodes, "decoder", inputs, outputs, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return weights


def heads_by_hand(weights, ids, layers=2, heads=2, size=4):
    """(layers, heads, size): what the heads return at the last of some tokens."""
    x = weights["embed"][ids]
    found = np.empty((layers, heads, size))
    for layer in range(layers):
        parts = x.reshape(len(ids), heads, size)
        returned = np.empty_like(parts)
        for head in range(heads):
            v = parts[:, head]
            shares = np.exp(v @ v.T - (v @ v.T).max(1, keepdims=True))
            returned[:, head] = shares / shares.sum(1, keepdims=True) @ v
        found[layer] = returned[-1]
        x = x + returned.reshape(len(ids), -1) @ weights[f"o{layer}"]
    return found
