"""What is timed: designs by hand, a monitor that is bound, and the bare network."""

from __future__ import annotations

import numpy as np
import pytest

from outrider.monitor import Verdict
from outrider.networks import OnnxNetwork, Tap, load_dataset
from outrider.runtime.budget.designs import (
    bare_call,
    bound,
    designs_of,
    name_of,
    near_frames,
    rounds_for,
    selectors_of,
)
from outrider.runtime.budget.taught import criteria_by_tap


def tap(name, neurons="channel"):
    return Tap(name, "relu", (4, 16, 16), "NCHW", "float32", neurons)


def test_designs_differ_in_what_they_read_and_compare():
    a, b, c, d = (tap(name) for name in "abcd")
    units, largest, few = tap("a", "unit"), tap("d", "channel-max"), [tap("a", "sample7"), tap("b", "sample4")]
    dense = Tap("e", "relu", (7,), "NC", "float32", "unit")
    assert designs_of([units, a, few[0], b, few[1], c, d, largest, dense]) == [
        [], [a, b, c, d, dense], [few[0], b, c, d, dense], [few[0], few[1], c, d, dense], [a, b], [c, d, dense], [a, d],
        [b, d], [units], [a, b, c, d, dense, units, largest],
    ]  # fmt: skip
    assert designs_of([a]) == [[], [a]]


def test_taps_are_named_by_their_selectors():
    assert selectors_of([tap("a"), tap("auto", "sample7")]) == ("a:channel", "[a]uto:sample7")
    assert name_of([tap("a"), tap("b")]) == "a:channel,b:channel"
    assert selectors_of([]) == ("@output:unit",)


@pytest.mark.parametrize("selectors", [("relu:sample4",), ("@output:unit",)])
def test_a_frame_is_judged_and_the_output_is_the_bare_one(model, selectors):
    frames = load_dataset("digits", "train")[:16].floats()
    with OnnxNetwork(model) as whole:
        criteria = criteria_by_tap(whole, None)
    criteria["relu:sample4"] = criteria["relu:channel"]

    opened_ones = []

    def opened(asked):
        network = OnnxNetwork(model, taps=asked)
        opened_ones.append(network)
        assert selectors_of([one for one in network.taps if one.kind != "output"]) == selectors
        return network

    taps = [tap("relu", "sample4")] if selectors[0].startswith("relu") else []
    with bound(opened, taps, criteria, frames) as call:
        output, verdict = call()
    with pytest.raises(RuntimeError, match="expected an open network"):
        opened_ones[0].run(frames)
    assert isinstance(verdict, Verdict)
    assert not verdict.alarm
    outputs = [bare_call(model, {}, frame)()[0][0] for frame in near_frames(frames[:12])]
    assert any(np.array_equal(output, one) for one in outputs)


def test_a_model_that_fixes_its_batch_gets_a_whole_one(tmp_path):
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3, 5]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", ends[:1], ends[1:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    frame = np.array([1, -2, 3, -4, 5], np.float32)
    (found,) = bare_call(tmp_path / "m.onnx", {}, frame)()
    np.testing.assert_array_equal(found, np.repeat([[1, 0, 3, 0, 5]], 3, axis=0))


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_near_frames_are_others_and_nearly_the_same(dtype):
    frames = (np.random.default_rng(0).random((12, 3, 8, 8)) * 255).astype(dtype)
    near = near_frames(frames)
    assert (near.shape, near.dtype) == ((20, 3, 8, 8), frames.dtype)
    same = np.abs(near.astype(float) - frames[np.arange(20) % 12]) < 1
    assert same.reshape(20, -1).mean(axis=1).min() > 0.97
    assert len({frame.tobytes() for frame in (*near, *frames)}) == 32


@pytest.mark.parametrize(("each", "rounds"), [(1e-3, 300), (0.05, 200), (9.0, 30)])
def test_rounds_fit_into_some_seconds(each, rounds):
    calls = {"bare": print, "a": print}
    assert rounds_for(lambda calls, n: {name: np.full(n, each) for name in calls}, calls, 20.0) == rounds
