"""A detector of red (class 0) and green (class 1) squares that looks at means of 4 x 4 pixels, and scenes for it.

Its features are the three colours and three mixes of them, its output that of FastestDet with 2 classes: a place with
much red or green says a box of 8 x 8 pixels that begins there. A square has much of its colour in its first place.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from outrider.networks import Network, Observation, Tap, Taps

SIZE, STRIDE, SIDE = 32, 4, 8
DECODER = "fastestdet(stride=4, score=0.5)"


def weights():
    """(first, second, bias): features from colours, (6, 3), and numbers of a box from features, (7, 6) and (7,)."""
    first = np.concatenate([np.eye(3), np.random.default_rng(6).uniform(0.2, 1, (3, 3))]).astype(np.float32)
    second = np.zeros((7, 6), np.float32)
    second[0, :2] = 1  # objectness: red or green
    second[5, 0] = second[6, 1] = 1
    bias = np.zeros(7, np.float32)
    bias[1:3] = math.atanh(0.999)  # the middle lies one place further
    share = SIDE / SIZE
    bias[3:5] = math.log(share / (1 - share))
    return first, second, bias


def onnx_detector():
    """The model as bytes: input x (n, 3, 32, 32), output boxes (n, 7, 8, 8), and the map `features` between them."""
    from onnx import TensorProto, helper, numpy_helper, shape_inference

    first, second, bias = weights()
    constants = {"w1": first[..., None, None], "w2": second[..., None, None], "b2": bias}
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2),
        helper.make_node("Conv", ["pooled", "w1"], ["mixed"]),
        helper.make_node("Relu", ["mixed"], ["features"]),
        helper.make_node("Conv", ["features", "w2", "b2"], ["boxes"]),
    ]
    graph = helper.make_graph(
        nodes, "detector",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 3, SIZE, SIZE))],
        [helper.make_empty_tensor_value_info("boxes")],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return shape_inference.infer_shapes(made).SerializeToString()


def torch_detector():
    """The same as a module; its features are those of the module `relu`."""
    import torch
    from torch import nn

    first, second, bias = map(torch.from_numpy, weights())

    class Squares(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool, self.relu = nn.AvgPool2d(STRIDE), nn.ReLU()
            self.mix, self.head = nn.Conv2d(3, 6, 1, bias=False), nn.Conv2d(6, 7, 1)
            with torch.no_grad():
                self.mix.weight.copy_(first[..., None, None])
                self.head.weight.copy_(second[..., None, None])
                self.head.bias.copy_(bias)

        def forward(self, x):
            return self.head(self.relu(self.mix(self.pool(x))))

    return Squares().eval()


def scene(*squares, seed=0):
    """A frame (3, 32, 32) with squares (column, row of the first place, class, blue), on a dark floor."""
    rng = np.random.default_rng(seed)
    frame = rng.uniform(0, 0.05, (3, SIZE, SIZE)).astype(np.float32)
    for column, row, class_index, blue in squares:
        there = slice(row * STRIDE, row * STRIDE + SIDE), slice(column * STRIDE, column * STRIDE + SIDE)
        frame[(class_index, *there)] = rng.uniform(0.3, 0.4, (SIDE, SIDE))
        frame[class_index, there[0].start :, there[1].start :][:STRIDE, :STRIDE] += 0.5
        frame[(2, *there)] = blue + rng.normal(0, 0.02, (SIDE, SIDE))
    return frame


def scenes(count, seed=0, classes=2, blue=0.3):
    """Frames (count, 3, 32, 32), each with a square in its left and one in its right half, of any of the classes."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(count):
        left, right = rng.integers(0, 2), rng.integers(4, 6)
        rows = rng.integers(0, 6, 2)
        kinds = rng.integers(0, classes, 2)
        blues = blue + rng.normal(0, 0.05, 2)
        squares = zip((left, right), rows, kinds, blues, strict=True)
        found.append(scene(*squares, seed=(seed, i)))
    return np.stack(found)


class NumpyDetector(Network):
    """The same in plain numpy, with its features at every place."""

    engine = "numpy"
    classes = None
    input_shape = (3, SIZE, SIZE)

    def __init__(self, detections=DECODER):
        self.first, self.second, self.bias = weights()
        side = SIZE // STRIDE
        self.taps = Taps([Tap("features", "relu", (6, side, side), "NCHW", "float32", "pixel")])
        self.fingerprint = hashlib.sha256(self.first.tobytes() + self.second.tobytes()).hexdigest()
        self.detections = detections

    def observe(self, batch):
        side = SIZE // STRIDE
        pooled = batch.reshape(len(batch), 3, side, STRIDE, side, STRIDE).mean((3, 5), dtype=np.float32)
        features = np.maximum(np.einsum("fc,ncyx->nyxf", self.first, pooled), 0).astype(np.float32)
        output = np.moveaxis(features @ self.second.T + self.bias, -1, 1).astype(np.float32)
        return Observation(output, None, (np.ascontiguousarray(features.reshape(-1, 6)),))

    def run(self, batch):
        return self.observe(batch).output

    def close(self):
        pass
