"""States carried from frame to frame, against a loop written out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.networks import Recurrent
from outrider.networks.adapting import as_network, is_network

from ..several import HIDDEN, SHAPE, Cell, Fused, fused_frames

STATES = {"h_in": "h_out"}


@pytest.fixture
def pictures():
    return fused_frames(7)[0]


def by_hand(pictures, state=None):
    """Scores, states and hidden neurons, frame by frame."""
    cell = Cell()
    state = np.zeros((1, HIDDEN), np.float32) if state is None else state
    rows = []
    for picture in pictures:
        seen = cell.observe((picture[None], state))
        state = seen.output[1]
        rows.append((*seen.output, seen.activations[0]))
    return tuple(np.concatenate(values) for values in zip(*rows, strict=True))


def test_the_rows_of_a_batch_are_frames_in_order_of_time(pictures):
    network = Recurrent(Cell(), STATES)
    assert is_network(network)
    assert [(one.name, one.shape) for one in network.inputs] == [("camera", SHAPE)]
    scores, states, hidden = by_hand(pictures)
    seen = network.observe(pictures)
    np.testing.assert_array_equal(seen.output[0], scores)
    np.testing.assert_array_equal(seen.output[1], states)
    np.testing.assert_array_equal(seen.logits, scores)
    np.testing.assert_array_equal(seen.activations[0], hidden)
    np.testing.assert_array_equal(network.memory["h_in"], states[-1:])


def test_batches_go_on_where_the_last_one_ended_until_reset(pictures):
    network = Recurrent(Cell(), STATES)
    whole = by_hand(pictures)[0]
    cut = [network.run(pictures[:1]), network.observe({"camera": pictures[1:4]}).output, network.run(pictures[4:])]
    np.testing.assert_array_equal(np.concatenate([scores for scores, _ in cut]), whole)
    network.reset()
    np.testing.assert_array_equal(network.run(pictures)[0], whole)


def test_streams_share_a_network_by_its_memory(pictures):
    network, other = Recurrent(Cell(), STATES), fused_frames(7, 1)[0]
    memories, found = [network.memory, network.memory], [[], []]
    for row in range(7):
        for stream, frames in enumerate((pictures, other)):
            network.memory = memories[stream]
            found[stream].append(network.run(frames[row : row + 1])[0])
            memories[stream] = network.memory
    np.testing.assert_array_equal(np.concatenate(found[0]), by_hand(pictures)[0])
    np.testing.assert_array_equal(np.concatenate(found[1]), by_hand(other)[0])
    network.memory = None
    np.testing.assert_array_equal(network.memory["h_in"], np.zeros((1, HIDDEN)))
    with pytest.raises(ValueError, match="expected the states h_in, got c_in"):
        network.memory = {"c_in": 0}


def test_initial_states_make_another_network(pictures):
    first = np.full((1, HIDDEN), 0.5, np.float32)
    network = Recurrent(Cell(), {"h_in": 1}, {"h_in": first})
    np.testing.assert_array_equal(network.run(pictures)[0], by_hand(pictures, first)[0])
    assert Recurrent(Cell(), STATES).fingerprint == Cell().fingerprint != network.fingerprint


def test_an_engine_may_use_its_buffers_again(pictures):
    class Buffers(Cell):
        def observe(self, batch):
            seen = super().observe(batch)
            self.kept = getattr(self, "kept", seen)
            arrays = [(*one.output, *one.activations) for one in (self.kept, seen)]
            for mine, new in zip(*arrays, strict=True):
                mine[:] = new
            return self.kept

    seen = Recurrent(Buffers(), STATES).observe(pictures)
    np.testing.assert_array_equal(seen.output[0], by_hand(pictures)[0])
    np.testing.assert_array_equal(seen.activations[0], by_hand(pictures)[2])


def test_outputs_without_a_batch_axis_come_as_a_list(pictures):
    class Whole(Cell):
        def output(self, scores, hidden, speed):
            return (*super().output(scores, hidden, speed), np.arange(5))

        def unbatched(self, output):
            return output[0][0], output[1][0], output[2]

    found = Recurrent(Whole(), {"h_in": 1}).run(pictures)
    assert isinstance(found, list)
    assert [len(one) for one in found] == [3] * 7
    np.testing.assert_array_equal(np.concatenate([one[0] for one in found]), by_hand(pictures)[0])


@pytest.mark.parametrize(
    ("states", "initial", "message"),
    [
        ({"c_in": "h_out"}, None, "expected states among the inputs camera, h_in, got c_in"),
        ({}, None, "got none"),
        ({"h_in": "c_out"}, None, "expected states from the outputs scores, h_out, got 'c_out'"),
        ({"h_in": 2}, None, "expected states from the outputs scores, h_out, got 2"),
        ({"camera": 0, "h_in": 1}, None, "expected an input that is no state, got states alone: camera, h_in"),
        (STATES, {"c": np.zeros(1)}, "expected initial values of the states h_in, got c"),
        (STATES, {"h_in": np.zeros((1, 4))}, r"expected the initial state h_in as float32 \(1, 4\), got float64"),
        (STATES, {"h_in": np.zeros(4, np.float32)}, r"got float32 \(4,\)"),
    ],
)
def test_what_is_no_state_is_refused(states, initial, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(Cell(), states, initial)


def test_an_output_of_another_form_is_refused_and_changes_nothing(pictures):
    network = Recurrent(Cell(), {"h_in": "scores"})
    with pytest.raises(
        ValueError, match=r"output 'scores' as the state h_in takes it, float32 \(4,\) for a frame, got"
    ):
        network.run(pictures)
    np.testing.assert_array_equal(network.memory["h_in"], np.zeros((1, HIDDEN)))
    with pytest.raises(ValueError, match="expected one frame or more, got none"):
        network.run(pictures[:0])


def test_outputs_without_names_are_told_by_index(pictures):
    class Nameless(Cell):
        output_names = None

    with pytest.raises(ValueError, match="called 'h_out', got outputs without names; say its index"):
        Recurrent(Nameless(), STATES).run(pictures)

    class Mapped(Nameless):
        def output(self, scores, hidden, speed):
            return dict(zip(("scores", "h_out"), super().output(scores, hidden, speed), strict=True))

    for output in ("h_out", 1):
        found = Recurrent(Mapped(), {"h_in": output}).run(pictures)
        np.testing.assert_array_equal(found["scores"], by_hand(pictures)[0])


def test_states_are_no_option_of_a_network_that_is_there():
    with pytest.raises(TypeError, match="expected states for a model, got it for a network that is there already"):
        as_network(Fused(), states=STATES)


def test_a_network_that_does_not_know_its_inputs_is_refused():
    class Unshaped(Cell):
        shaped = False

    with pytest.raises(RuntimeError, match="expected a network that knows its inputs"):
        Recurrent(Unshaped(), STATES)


def test_a_module_with_two_states_says_what_it_says_alone():
    torch = pytest.importorskip("torch")
    from outrider.networks import TorchNetwork

    class Lstm(torch.nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.cell, self.out = torch.nn.LSTMCell(6, 5), torch.nn.Linear(5, 3)

        def forward(self, x, h, c):
            h, c = self.cell(x, (h, c))
            return self.out(torch.relu(h)), h, c

    module = Lstm().eval()
    shapes = {"x": (6,), "h": (5,), "c": (5,)}
    network = as_network(module, input_shape=shapes, taps="auto", states={"h": 1, "c": 2})
    assert isinstance(network, Recurrent)
    assert isinstance(network.network, TorchNetwork)
    frames = np.random.default_rng(0).normal(size=(6, 6)).astype(np.float32)
    h = c = torch.zeros(1, 5)
    rows = []
    for frame in torch.from_numpy(frames):
        scores, h, c = module(frame[None], h, c)
        rows.append(scores)
    output, _, _ = network.observe(frames).output
    assert torch.equal(output, torch.cat(rows))
    assert torch.equal(network.memory["c"], c)


def test_a_graph_whose_states_begin_with_the_layers_takes_one_frame():
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    from outrider.networks import OnnxNetwork

    weights = np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)
    nodes = [("Relu", "x", "seen"), ("MatMul", "seen w", "y"), ("Add", "h_in y", "sum"), ("Tanh", "sum", "h_out")]
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, taken.split(), [given]) for op, taken, given in nodes], "test",
        [info("x", 1, ("n", 4)), info("h_in", 1, (2, "n", 4))], [info("y", 1, ("m", 4)), info("h_out", 1, (2, "n", 4))],
        [onnx.numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    with pytest.raises(ValueError, match="say batch_axis=False"):
        OnnxNetwork(model)
    shapes = {"x": (1, 4), "h_in": (2, 1, 4)}
    options = {"batch_axis": False, "input_shape": shapes, "scores_output": "y"}
    network = as_network(model, states=STATES, taps="auto", **options)
    assert network.classes == 4
    frames = np.random.default_rng(1).normal(size=(3, 1, 4)).astype(np.float32)
    state = np.zeros((2, 1, 4), np.float32)
    for frame, (y, h_out) in zip(frames, network.run(frames), strict=True):
        state = np.tanh(state + np.maximum(frame, 0) @ weights)
        np.testing.assert_allclose(y, np.maximum(frame, 0) @ weights, rtol=1e-5)
        np.testing.assert_allclose(h_out, state, rtol=1e-5)
    np.testing.assert_allclose(network.memory["h_in"], state[None], rtol=1e-5)
