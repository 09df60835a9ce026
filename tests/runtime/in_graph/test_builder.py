"""The monitor as nodes: what it says, against the monitor in Python, and what has no nodes."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from outrider.coverage import CoverageBitmap, Mahalanobis, Margin, MultiRange, NearestNeighbour, NeuronRank, SingleRange
from outrider.monitor import ExportError, Monitor, OutriderWarning, SmallestP, Sum, Votes, ZScore
from outrider.monitor.places import WorstPlace
from outrider.monitor.profile import Column
from outrider.networks import OnnxNetwork, Tap
from outrider.runtime import export
from outrider.runtime.in_graph.builder import refuse_what_cannot_be_exported

from .guarding import CASES, LEAK, assert_agree, frames, mixed, model, run, session, taught


@pytest.mark.parametrize("case", CASES)
def test_a_guarded_model_says_what_the_monitor_says(case, bare, tmp_path):
    criteria, logic, options = CASES[case]
    monitor, profile = taught(bare, criteria, logic, **options)
    facts = export(bare, profile, tmp_path / "guarded.onnx")
    batch = mixed()
    verdicts = assert_agree(run(tmp_path / "guarded.onnx", batch), monitor, batch)
    assert verdicts.alarm.any()
    assert not verdicts.alarm.all()
    assert facts["columns"] == list(monitor.columns)


@pytest.mark.parametrize("case", ["published", "sections, log", "bitmap", "votes", "default"])
def test_the_standard_says_the_same(case, bare, tmp_path):
    criteria, logic, options = CASES[case]
    monitor, profile = taught(bare, criteria, logic, **options)
    export(bare, profile, tmp_path / "guarded.onnx")
    guarded = onnx.load(tmp_path / "guarded.onnx")
    onnx.checker.check_model(guarded, full_check=True)
    assert {node.domain for node in guarded.graph.node} <= {""}
    batch = mixed()[::6]
    evaluator = ReferenceEvaluator(guarded)
    with np.errstate(all="ignore"):
        got = dict(
            zip(
                evaluator.output_names,
                evaluator.run(None, {"x": batch, "outrider_threshold": default_of(guarded)}),
                strict=True,
            )
        )
    _, verdicts = monitor.check(batch)
    np.testing.assert_allclose(got["outrider_score"], verdicts.score, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(got["outrider_alarm"], verdicts.alarm)


def default_of(guarded):
    return next(numpy_helper.to_array(t) for t in guarded.graph.initializer if t.name == "outrider_threshold")


@pytest.mark.parametrize("neurons", ["channel", "unit", "grid2", "channel-max"])
@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), MultiRange()], ids=repr)
def test_no_frames_give_no_verdicts(criterion, neurons, bare, tmp_path):
    for logic in (Sum(), SmallestP(), Votes(k=2)):
        _, profile = taught(bare, criterion, logic, neurons=(neurons,))
        export(bare, profile, tmp_path / "guarded.onnx")
        got = run(tmp_path / "guarded.onnx", frames(3, 3)[:0])
        assert {name: len(value) for name, value in got.items()} == dict.fromkeys(got, 0)


def test_the_threshold_is_an_input_with_a_default(bare, tmp_path):
    _, profile = taught(bare, CoverageBitmap(), ZScore())
    export(bare, profile, tmp_path / "guarded.onnx")
    batch, guarded = mixed(), tmp_path / "guarded.onnx"
    default = run(guarded, batch)
    score = default["outrider_score"]
    middle = np.sort(score)[30:31]
    np.testing.assert_array_equal(run(guarded, batch, outrider_threshold=middle)["outrider_alarm"], score > middle)
    confidence = run(guarded, batch, outrider_threshold=middle)["outrider_confidence"]
    np.testing.assert_allclose(confidence, 2.0 ** -(score / middle), rtol=1e-5)
    nothing = run(guarded, batch, outrider_threshold=np.zeros(1, np.float32))
    np.testing.assert_array_equal(nothing["outrider_confidence"], np.where(score > 0, 0, 1))
    for odd in (np.nan, np.inf, -np.inf):
        broken = run(guarded, np.full_like(batch[:1], np.nan), outrider_threshold=np.array([odd], np.float32))
        assert broken["outrider_alarm"].all()
        assert broken["outrider_confidence"] == 0
    assert run(guarded, batch, outrider_threshold=np.array([np.nan], np.float32))["outrider_alarm"].all()
    overridable = session(guarded).get_overridable_initializers()
    assert [(value.name, value.shape) for value in overridable] == [("outrider_threshold", [1])]


def test_a_threshold_for_each_class(bare, tmp_path):
    monitor, profile = taught(bare, CoverageBitmap(), ZScore(), per_class=True, n=600)
    facts = export(bare, profile, tmp_path / "guarded.onnx")
    assert len(facts["thresholds"]) == 4
    np.testing.assert_allclose(facts["thresholds"], monitor.calibration.thresholds, rtol=1e-6)
    assert_agree(run(tmp_path / "guarded.onnx", mixed()), monitor, mixed())


def test_what_is_broken_or_not_covered_alarms(bare, tmp_path):
    network = OnnxNetwork(bare)
    predicted = network.observe(frames(300, 1)).logits.argmax(1)
    rare = np.bincount(predicted, minlength=4).argmin()
    monitor = Monitor(network, {"r1:channel": SingleRange(), "r2:channel": CoverageBitmap()})
    known = frames(300, 1)[predicted != rare]
    with pytest.warns(OutriderWarning, match="fewer than 5 trusted"):
        monitor.profile([known])
    with pytest.warns(OutriderWarning, match=f"left out|{LEAK}"):
        monitor.calibrate([frames(300, 2)], 0.1, accept_rate=0.5)
    monitor.save(tmp_path / "p.outrider")
    facts = export(bare, tmp_path / "p.outrider", tmp_path / "guarded.onnx")
    assert facts["uncovered_classes"] == [rare]
    batch = np.concatenate([frames(300, 1)[predicted == rare][:2], frames(4, 3)])
    batch[2, 1, 3, 3] = np.nan
    batch[3, 2, 0, 0] = -np.inf
    batch[4] = 1e38  # finite, and too much for the network
    got = run(tmp_path / "guarded.onnx", batch)
    _, verdicts = monitor.check(batch)
    assert np.isinf(got["outrider_score"][:5]).all()
    assert (got["outrider_confidence"][:5] == 0).all()
    assert got["outrider_alarm"][:5].all()
    np.testing.assert_array_equal(got["outrider_alarm"], verdicts.alarm)
    np.testing.assert_array_equal(got["outrider_deviation"][[0, 1, 5]], verdicts.deviation[[0, 1, 5]])
    assert np.isinf(got["outrider_deviation"][:2]).all()


@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), MultiRange()], ids=repr)
def test_infinity_at_a_tap_alone_loses_the_frame(criterion, tmp_path):
    """Finite frames, finite class scores: the logarithm of zero lies between them."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Log", ["f"], ["odd"]),
        helper.make_node("Clip", ["odd", "low", "high"], ["tame"]),
        helper.make_node("Add", ["tame", "f"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 4, 4])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(np.float32(v), name) for name, v in (("low", -1), ("high", 1))],
    )
    bare = tmp_path / "bare.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), bare)
    trusted = np.random.default_rng(0).uniform(0.5, 1, (400, 3, 4, 4)).astype(np.float32)
    monitor = Monitor(OnnxNetwork(bare, taps="odd"), {"odd:unit": criterion, "scores": SingleRange()}, logic=Sum())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        monitor.profile([trusted[:200]])
        monitor.calibrate([trusted[200:]], 0.1)
    monitor.save(tmp_path / "p.outrider")
    export(bare, tmp_path / "p.outrider", tmp_path / "guarded.onnx")
    batch = trusted[:3].copy()
    batch[1, 2] = 0
    got = run(tmp_path / "guarded.onnx", batch)
    assert np.isfinite(got["scores"]).all()
    assert got["outrider_alarm"][1]
    assert np.isinf(got["outrider_deviation"]).all(axis=1).tolist() == [False, True, False]
    np.testing.assert_array_equal(got["outrider_alarm"], monitor.check(batch)[1].alarm)


def test_a_map_of_class_scores(tmp_path):
    made = model()
    made.graph.node.append(helper.make_node("Conv", ["r2", "w5"], ["map"]))
    made.graph.initializer.append(numpy_helper.from_array(np.ones((3, 8, 1, 1), np.float32), "w5"))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 3, 4, 4]))
    bare = tmp_path / "bare.onnx"
    onnx.save(made, bare)
    monitor, profile = taught(bare, {"r1:channel": SingleRange()}, classes="pixel", taps="r1:channel")
    assert monitor.network.map_classes == 3
    export(bare, profile, tmp_path / "guarded.onnx")
    batch = mixed()
    batch[4] = 1e38  # finite, as are the means of r1, and too much for the map
    got = run(tmp_path / "guarded.onnx", batch)
    _, verdicts = monitor.check(batch)
    np.testing.assert_array_equal(got["outrider_score"], verdicts.score)
    np.testing.assert_array_equal(got["outrider_alarm"], verdicts.alarm)
    assert np.isinf(verdicts.score[4])


@pytest.mark.parametrize("criterion", [NeuronRank(top=2), NearestNeighbour()], ids=lambda c: c.name)
def test_criteria_without_nodes_are_named(criterion, bare, tmp_path):
    _, profile = taught(bare, {"r1:channel": CoverageBitmap(), "r2:channel": criterion})
    with pytest.raises(ExportError, match=rf"column 'r2:channel {criterion.name}' cannot be computed inside a graph"):
        export(bare, profile, tmp_path / "guarded.onnx")
    assert not (tmp_path / "guarded.onnx").exists()


def test_columns_of_places_of_a_volume_are_named():
    tap = Tap("v", "relu", (4, 2, 6, 6), "NCDHW", "float32", "pixel")
    profile = SimpleNamespace(
        names=["v:pixel single_range"], columns=[Column(SingleRange(), 0, 0)], facts=SimpleNamespace(taps=[tap])
    )
    with pytest.raises(ValueError, match=r"'v:pixel single_range' cannot .* got places of volumes; profile again with"):
        refuse_what_cannot_be_exported(profile, Sum(), 17)


def test_areas_need_an_operator_set_that_counts_them(tmp_path):
    onnx.save(model(opset=10), tmp_path / "old.onnx")
    _, profile = taught(tmp_path / "old.onnx", SingleRange(), taps=["r2:pixel"])
    with pytest.raises(
        ExportError, match=r"expected opset 11 or newer for largest_area, got 10; convert .* worst_place"
    ):
        export(tmp_path / "old.onnx", profile, tmp_path / "guarded.onnx")
    monitor, profile = taught(tmp_path / "old.onnx", SingleRange(), WorstPlace(), taps=["r2:pixel"])
    export(tmp_path / "old.onnx", profile, tmp_path / "guarded.onnx")
    assert_agree(run(tmp_path / "guarded.onnx", mixed()), monitor, mixed())


def test_a_logic_of_someone_elses_is_refused(bare):
    learned = taught(bare, SingleRange())[0].learned
    with pytest.raises(ValueError, match="expected a detection logic of Outrider's own, got 'mine'"):
        refuse_what_cannot_be_exported(learned, "mine", 17)


FORMS = {
    "one logit": ([("MatMul", "raw column", "logits", {})], ["n", 1], 2, "logits"),
    "one logit of no axis": (
        [("MatMul", "raw column", "z", {}), ("Squeeze", "z second", "logits", {})], ["n"], 2, "logits"
    ),
    "one probability": (
        [("MatMul", "raw column", "z", {}), ("Sigmoid", "z", "logits", {})], ["n", 1], 2, "probabilities"
    ),
    "one place": ([("Unsqueeze", "raw third", "logits", {})], ["n", 4, 1, 1], 4, "logits"),
    "one place in half precision": (
        [("Cast", "raw", "half", {"to": 10}), ("Unsqueeze", "half third", "logits", {})], ["n", 4, 1, 1], 4, "logits"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_class_scores_of_every_form_are_read_right_inside(case, tmp_path):
    tail, shape, classes, kind = FORMS[case]
    whole = model()
    whole.graph.node[-1].output[0] = "raw"
    whole.graph.node.extend(helper.make_node(op, names.split(), [end], **more) for op, names, end, more in tail)
    whole.graph.initializer.extend(
        numpy_helper.from_array(values, name)
        for name, values in (
            ("column", np.float32([[1], [-1], [-1], [1]])), ("second", np.array([1])), ("third", np.array([2, 3]))
        )
    )  # fmt: skip
    number = TensorProto.FLOAT16 if "half" in case else TensorProto.FLOAT
    whole.graph.output[0].CopyFrom(helper.make_tensor_value_info("logits", number, shape))
    bare = tmp_path / "bare.onnx"
    onnx.save(whole, bare)
    criteria = {"r1:channel": SingleRange(), "@output": [SingleRange(), Mahalanobis(), Margin()]}
    monitor, profile = taught(bare, criteria, ZScore(), n=600, per_class=True, classes=classes)
    assert (monitor.network.classes, monitor.network.scores) == (classes, kind)
    assert len(set(monitor.calibration.thresholds)) > 1
    export(bare, profile, tmp_path / "guarded.onnx")
    batch = mixed()
    verdicts = assert_agree(run(tmp_path / "guarded.onnx", batch), monitor, batch, rtol=1e-3)
    assert len(set(verdicts.prediction)) == classes
    batch[3, 0, 0, 0] = np.nan
    assert run(tmp_path / "guarded.onnx", batch)["outrider_alarm"][3]
