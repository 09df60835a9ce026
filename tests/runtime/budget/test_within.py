"""The whole choice on the digits' network, with a clock that knows the price of each tap."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from outrider.coverage import SingleRange
from outrider.networks import OnnxNetwork, Preprocessing, load_dataset
from outrider.networks.cost import processor
from outrider.runtime import taps_within

PRICES = {
    "relu:unit": 0.5, "relu:channel": 0.2, "relu:sample7": 0.1, "relu:channel-max": 0.2, "@output:unit": 0.0,
}  # fmt: skip


class Clock:
    """A second for the bare network and a hundredth for a verdict; taps are dearer by `off` behind the designs."""

    def __init__(self, prices=PRICES, off=1.0, designs=5):
        self.prices, self.off, self.designs, self.asked = prices, off, designs, []

    def __call__(self, calls, rounds):
        bare, name = calls
        assert bare == "bare"
        for call in calls.values():
            call()
        if rounds > 1:
            self.asked.append(frozenset(name.split(",")))
        seconds = 1.01 + sum(self.prices[tap] for tap in name.split(","))
        if len(self.asked) > self.designs:
            seconds = 1 + self.off * (seconds - 1)
        times = np.linspace(0.98, 1.02, rounds) if rounds > 1 else np.ones(1)
        return {"bare": times, name: seconds * times}


FRAMES = load_dataset("digits", "train").images[:240]
GRAY = {"preprocessing": {"size": (8, 8), "order": "L"}}


def test_a_choice_keeps_within_its_budget_and_says_what_it_detects(model):
    clock, seen = Clock(), []
    found = taps_within(model, FRAMES, 1.3, clock=clock, progress=seen.append, **GRAY)
    assert found.ratio == pytest.approx(1.01 + sum(PRICES[tap] for tap in found.taps))
    assert found.ratio <= 1.3
    assert frozenset(found.taps) in clock.asked[clock.designs :]
    assert found.interval == pytest.approx((found.ratio, found.ratio))
    assert found.candidates == 4
    assert sum(found.frames) == 240
    assert set(found.by_fault) >= {"black", "dead-rows", "under-exposed"}
    assert not {"frozen", "channel-lost"} & set(found.by_fault)  # of a sequence, and of colours
    assert found.auroc == pytest.approx(np.mean([own for own, _ in found.by_fault.values()]))
    assert found.auroc_of_all == pytest.approx(np.mean([every for _, every in found.by_fault.values()]))
    assert found.auroc > 0.7
    assert found.processor == processor()
    assert (found.budget, found.one_class) == (1.3, False)
    assert seen == sorted(seen)
    assert seen[-1] > 12 * 80
    with OnnxNetwork(model, taps=found.taps) as network:
        assert {tap.id for tap in network.taps} == {*found.taps, "logits:unit"}


def test_it_reports_on_frames_that_did_not_choose(model):
    frames = FRAMES.copy()
    frames[160:] = 0  # the last third: a black sensor gives the same
    found = taps_within(model, frames, 1.3, clock=Clock(), **GRAY)
    assert found.frames == (80, 80, 80)
    assert found.by_fault["black"] == (0.5, 0.5)


def test_two_ways_to_the_same_channels_are_never_taken(model):
    found = taps_within(model, FRAMES, 9, clock=Clock(), **GRAY)
    means = [tap for tap in found.taps if tap not in ("relu:unit", "relu:channel-max")]
    assert len(means) <= 1


def test_taps_go_until_the_measurement_is_within(model):
    whole = taps_within(model, FRAMES, 1.65, criteria="single_range", clock=Clock(), **GRAY)
    clock = Clock(off=3.0, designs=4)
    found = taps_within(model, FRAMES, 1.65, criteria="single_range", clock=clock, **GRAY)
    assert len(found.taps) < len(whole.taps)
    assert found.ratio == pytest.approx(1 + 3 * (0.01 + sum(PRICES[tap] for tap in found.taps)))
    assert found.ratio <= 1.65
    assert set(found.taps) < clock.asked[4]  # the first choice, behind the designs


def test_what_costs_less_than_predicted_leaves_room_for_more(model):
    usual = taps_within(model, FRAMES, 1.14, criteria="single_range", clock=Clock(), **GRAY)
    more = taps_within(model, FRAMES, 1.14, criteria="single_range", clock=Clock(off=0.3, designs=4), **GRAY)
    spent, room = (sum(PRICES[tap] for tap in one.taps) for one in (usual, more))
    assert spent < 0.14 < room
    assert more.ratio == pytest.approx(1 + 0.3 * (0.01 + room))
    assert more.ratio <= 1.14


def test_a_budget_too_small_for_any_tap_says_the_least_cost(model):
    with pytest.raises(ValueError, match=r"got 1\.03; the least cost found is 1\.110 of the bare inference"):
        taps_within(model, FRAMES, 1.03, clock=Clock(), **GRAY)


def activation(tmp_path, shape):
    """One ReLU, without classes."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]) for name in ("x", "y")]
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Neg", ["r"], ["y"])]
    made = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(made, tmp_path / "m.onnx")
    return tmp_path / "m.onnx"


def test_frames_that_are_no_pictures_and_a_network_without_classes(tmp_path):
    path = activation(tmp_path, (3, 9, 9))
    frames = np.random.default_rng(0).normal(2, 1, (90, 3, 9, 9)).astype(np.float32)
    clock = Clock({f"r:{way}": 0.1 for way in ("unit", "channel", "sample7", "sample4", "channel-max")})
    found = taps_within(path, frames, 1.2, clock=clock)
    assert set(found.by_fault) == {"noise", "zeros"}
    assert "the frames are no pictures" in str(found)
    assert len(found.taps) == 1
    assert found.auroc > 0.6
    with pytest.raises(ValueError, match=r"the least cost found is 1\.110"):
        taps_within(path, frames, 1.05, clock=clock)


def test_the_frames_of_many_classes_count_as_one(model):
    found = taps_within(model, FRAMES[:60], 9, clock=Clock(), **GRAY)
    assert found.one_class
    assert "all frames count as one class here" in str(found)


def test_a_preprocessing_may_be_whole(model):
    told = Preprocessing(size=(8, 8), order="L")
    one, other = (taps_within(model, FRAMES, 1.3, clock=Clock(), preprocessing=each) for each in (told, told.to_dict()))
    assert one == other


@pytest.mark.parametrize("budget", [1, 0.5, float("nan"), float("inf")])
def test_a_budget_is_above_1(model, budget):
    with pytest.raises(ValueError, match=r"expected a budget above 1, such as 1\.05"):
        taps_within(model, FRAMES, budget)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"taps": "auto"}, "without taps, which it chooses"),
        ({"neurons": "unit"}, "without neurons, which it chooses"),
        ({"criteria": {"@relu": SingleRange()}}, r"criteria on \* and @output beside a budget, got @relu"),
    ],
)
def test_what_does_not_go_with_a_budget_is_refused(model, options, words):
    with pytest.raises(ValueError, match=words):
        taps_within(model, FRAMES, 1.1, clock=Clock(), **GRAY, **options)


def test_other_networks_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="expected an ONNX model to choose taps of"):
        taps_within("zoo:digits", FRAMES, 1.1)
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 5]) for name in ("a", "b", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["a", "b"], ["y"])], "g", ends[:2], ends[2:])
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "two.onnx")
    with pytest.raises(ValueError, match="a network of one input to choose taps of, got a, b"):
        taps_within(tmp_path / "two.onnx", FRAMES, 1.1)
    with pytest.raises(ValueError, match="without a map of class scores, detections or states"):
        taps_within(activation(tmp_path, (3, 8, 8)), np.ones((60, 3, 8, 8), np.float32), 1.1, classes="pixel")
