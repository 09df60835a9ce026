"""Guarded models: what they say, against the monitor in Python; what they are refused for; what is left on the disk."""

from __future__ import annotations

import errno
import json
import os
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from outrider.coverage import (  # noqa: E402
    CoverageBitmap,
    Gaussian,
    Mahalanobis,
    MultiRange,
    NearestNeighbour,
    NeuronRank,
    SingleRange,
    Softmax,
)
from outrider.monitor import (  # noqa: E402
    ExportError,
    MaxZ,
    MismatchError,
    Monitor,
    NotReadyError,
    OutriderWarning,
    SmallestP,
    Sum,
    Votes,
    ZScore,
)
from outrider.networks import OnnxNetwork  # noqa: E402
from outrider.runtime import export, guard_facts  # noqa: E402
from outrider.runtime.in_graph import exporting, logics  # noqa: E402
from outrider.runtime.in_graph.builder import refuse_what_cannot_be_exported  # noqa: E402

SHAPE = 3, 8, 8
LEAK = "the profile tells its own data"
OURS = ["outrider_score", "outrider_confidence", "outrider_alarm", "outrider_deviation"]


def model(opset=17, ir=8, dtype=TensorProto.FLOAT, batch="n", classes=4, shape=SHAPE, names=("r1", "r2")):
    """Two convolutions of 16 and 8 channels with ReLU, and class scores that follow the colour of a frame."""
    rng = np.random.default_rng(1)
    float_type = TensorProto.FLOAT16 if dtype == TensorProto.FLOAT16 else TensorProto.FLOAT
    weights = {
        "w1": rng.normal(size=(16, 3, 3, 3)) / 5,
        "w2": rng.normal(size=(8, 16, 3, 3)) / 12,
        "w3": rng.normal(size=(8, classes)) / 99,
        "w4": np.array([[3, 0, -3, 0], [0, 3, 0, -3], [1, -1, 1, -1]])[:, :classes],
        "b4": np.zeros(classes)
        if np.dtype(helper.tensor_dtype_to_np_dtype(dtype)).kind == "f"
        else [-512, -256, 256, 512],
    }
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=float_type),
        helper.make_node("Conv", ["f", "w1"], ["c1"], pads=[1] * 4),
        helper.make_node("Relu", ["c1"], [names[0]]),
        helper.make_node("Conv", [names[0], "w2"], ["c2"], strides=[2, 2], pads=[1] * 4),
        helper.make_node("Relu", ["c2"], [names[1]]),
        helper.make_node("GlobalAveragePool", [names[1]], ["p"]),
        helper.make_node("Flatten", ["p"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w3"], ["small"]),
        helper.make_node("GlobalAveragePool", ["f"], ["means"]),
        helper.make_node("Flatten", ["means"], ["colours"]),
        helper.make_node("Gemm", ["colours", "w4", "b4"], ["large"]),
        helper.make_node("Add", ["small", "large"], ["logits"]),
    ]
    tensors = [
        numpy_helper.from_array(np.asarray(value).astype(helper.tensor_dtype_to_np_dtype(float_type)), name)
        for name, value in weights.items()
    ]
    inputs = [helper.make_tensor_value_info("x", dtype, [batch, *shape])]
    if ir < 4:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    outputs = [helper.make_tensor_value_info("logits", float_type, [batch, classes])]
    graph = helper.make_graph(nodes, "test", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def frames(n, seed=0, dtype=np.float32, shape=SHAPE):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, *shape)) + rng.normal(size=(n, shape[0], 1, 1))
    return (values * 30 + 128).clip(0, 255).astype(dtype) if np.dtype(dtype).kind == "u" else values.astype(dtype)


def taught(path, criteria=None, logic=None, dtype=np.float32, n=300, per_class=False, rate=0.05, **options):
    """A calibrated monitor on a model, and the profile beside it."""
    network = OnnxNetwork(path, **options)
    monitor = Monitor(network, criteria, logic=logic)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", LEAK, OutriderWarning)
        monitor.profile([frames(n, 1, dtype)])
        monitor.calibrate([frames(n, 2, dtype)], rate, per_class=per_class)
    profile = path.with_suffix(".outrider")
    monitor.save(profile)
    return monitor, profile


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def run(path, batch, **feeds):
    """What a model says of a batch, by name."""
    runs = session(path)
    names = [output.name for output in runs.get_outputs()]
    return dict(zip(names, runs.run(None, {"x": batch, **feeds}), strict=True))


def mixed(dtype=np.float32):
    """Frames like the trusted ones, and strange ones."""
    strange = frames(20, 4, dtype) * (3 if np.dtype(dtype).kind == "f" else 1)
    return np.concatenate([frames(40, 3, dtype), strange.astype(dtype)])


def assert_agree(got, monitor, batch, rtol=2e-5):
    """The guarded model's outputs are those of the bare one and of the monitor."""
    output, verdicts = monitor.check(batch)
    np.testing.assert_array_equal(got["logits"], output)
    np.testing.assert_allclose(got["outrider_deviation"], verdicts.deviation, rtol=rtol, atol=1e-6)
    np.testing.assert_allclose(got["outrider_score"], verdicts.score, rtol=rtol, atol=1e-5)
    np.testing.assert_allclose(got["outrider_confidence"], verdicts.confidence, rtol=1e-4, atol=1e-5)
    off = np.abs(verdicts.score - verdicts.threshold) > rtol * np.maximum(verdicts.threshold, 1)
    np.testing.assert_array_equal(got["outrider_alarm"][off], verdicts.alarm[off])
    assert [got[name].dtype for name in OURS] == [np.float32, np.float32, np.bool_, np.float32]
    assert got["outrider_deviation"].shape == verdicts.deviation.shape
    return verdicts


@pytest.fixture
def bare(tmp_path):
    path = tmp_path / "bare.onnx"
    onnx.save(model(), path)
    return path


CASES = {
    "published": (SingleRange(), Sum(), {"taps": ["r1:unit", "r2:unit"]}),
    "sections": (MultiRange(sections=8), Sum(), {}),
    "sections, log": (MultiRange(sections=8, cost="log"), ZScore(), {"neurons": "grid2"}),
    "bitmap": (CoverageBitmap(), Sum(), {"taps": ["r1:channel", "r1:unit", "r2:channel-max"]}),
    "magnitude": (SingleRange(quantile=0.02, magnitude=True), MaxZ(), {}),
    "votes": ({"r1:channel": SingleRange(), "*": [Gaussian(), CoverageBitmap()]}, Votes(k=2), {}),
    "default": (None, None, {}),
    "unsorted": ({"r2:channel": Mahalanobis(), "@relu": CoverageBitmap(), "r1:channel": Mahalanobis()}, None, {}),
    "scores": ({"@output": [Softmax(), Mahalanobis()]}, SmallestP(), {}),
    "no classes": (SingleRange(), ZScore(), {"classes": None}),
}


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


@pytest.mark.parametrize(
    ("opset", "ir"), [(9, 3), (9, 4), (10, 4), (11, 6), (12, 7), (13, 7), (15, 8), (18, 8), (21, 10), (24, 10)]
)
def test_opsets_from_9_on(opset, ir, tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(opset, ir), bare)
    monitor, profile = taught(bare, CASES["unsorted"][0])
    export(bare, profile, tmp_path / "guarded.onnx")
    batch = mixed()
    assert_agree(run(tmp_path / "guarded.onnx", batch), monitor, batch)
    guarded = onnx.load(tmp_path / "guarded.onnx")
    assert guarded.ir_version == max(ir, 4)
    assert [value.name for value in guarded.graph.input] == ["x", "outrider_threshold"]
    assert next(entry.version for entry in guarded.opset_import) == opset


@pytest.mark.parametrize(
    ("dtype", "kind"), [(TensorProto.UINT8, np.uint8), (TensorProto.FLOAT16, np.float16), (TensorProto.DOUBLE, float)]
)
def test_inputs_of_other_types(dtype, kind, tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(dtype=dtype), bare)
    monitor, profile = taught(bare, CoverageBitmap(), ZScore(), kind)
    export(bare, profile, tmp_path / "guarded.onnx")
    batch = mixed(kind)
    assert_agree(run(tmp_path / "guarded.onnx", batch), monitor, batch, rtol=1e-3)
    if kind != np.uint8:
        batch[5, 0, 0, 0] = np.nan
        assert run(tmp_path / "guarded.onnx", batch)["outrider_alarm"][5]


def test_an_open_size_stays_open(tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(shape=(3, "height", "width")), bare)
    monitor, profile = taught(bare, CoverageBitmap(), ZScore())
    assert None in monitor.network.input_shape
    export(bare, profile, tmp_path / "guarded.onnx")
    for shape in (SHAPE, (3, 12, 10)):
        batch = frames(9, 3, shape=shape)
        assert_agree(run(tmp_path / "guarded.onnx", batch), monitor, batch)


@pytest.mark.parametrize("neurons", ["channel", "unit", "grid2", "channel-max"])
@pytest.mark.parametrize("criterion", [SingleRange(), CoverageBitmap(), MultiRange()], ids=repr)
def test_no_frames_give_no_verdicts(criterion, neurons, bare, tmp_path):
    for logic in (Sum(), SmallestP(), Votes(k=2)):
        _, profile = taught(bare, criterion, logic, neurons=(neurons,))
        export(bare, profile, tmp_path / "guarded.onnx")
        got = run(tmp_path / "guarded.onnx", frames(3, 3)[:0])
        assert {name: len(value) for name, value in got.items()} == dict.fromkeys(got, 0)


def test_a_fixed_batch_stays_fixed(tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(batch=3), bare)
    monitor, profile = taught(bare, SingleRange())
    export(bare, profile, tmp_path / "guarded.onnx")
    assert session(tmp_path / "guarded.onnx").get_outputs()[1].shape == [3]
    assert_agree(run(tmp_path / "guarded.onnx", mixed()[:3]), monitor, mixed()[:3])


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
        monitor.calibrate([frames(300, 2)], 0.1)
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


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_quantised_models(form, bare, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")

    class Reader(quantization.CalibrationDataReader):
        feeds = iter([{"x": frames(50, 1)}])

        def get_next(self):
            return next(self.feeds, None)

    path = tmp_path / "int8.onnx"
    quantization.quantize_static(bare, path, Reader(), quant_format=quantization.QuantFormat[form])
    monitor, profile = taught(
        path, {"*:channel": CoverageBitmap(), "*:unit": SingleRange()}, neurons=("channel", "unit")
    )
    assert any(tap.quantised for tap in monitor.learned.facts.taps)
    export(path, profile, tmp_path / "guarded.onnx")
    assert_agree(run(tmp_path / "guarded.onnx", mixed()), monitor, mixed())


def test_a_map_of_class_scores(tmp_path):
    made = model()
    made.graph.node.append(helper.make_node("Conv", ["r2", "w5"], ["map"]))
    made.graph.initializer.append(numpy_helper.from_array(np.ones((3, 8, 1, 1), np.float32), "w5"))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("map", TensorProto.FLOAT, ["n", 3, 4, 4]))
    bare = tmp_path / "bare.onnx"
    onnx.save(made, bare)
    monitor, profile = taught(bare, {"r1:channel": SingleRange()}, classes="pixel")
    assert monitor.network.map_classes == 3
    export(bare, profile, tmp_path / "guarded.onnx")
    batch = mixed()
    batch[4] = 1e38  # finite, as are the means of r1, and too much for the map
    got = run(tmp_path / "guarded.onnx", batch)
    _, verdicts = monitor.check(batch)
    np.testing.assert_array_equal(got["outrider_score"], verdicts.score)
    np.testing.assert_array_equal(got["outrider_alarm"], verdicts.alarm)
    assert np.isinf(verdicts.score[4])


def test_classes_come_from_the_output_that_was_named(tmp_path):
    made = model()
    made.graph.node.append(helper.make_node("Neg", ["logits"], ["other"]))
    made.graph.output.insert(0, helper.make_tensor_value_info("other", TensorProto.FLOAT, ["n", 4]))
    bare = tmp_path / "bare.onnx"
    onnx.save(made, bare)
    monitor, profile = taught(
        bare, {"@output": Softmax(), "r1:channel": CoverageBitmap()}, scores_output="logits", classes=4
    )
    export(bare, profile, tmp_path / "guarded.onnx")
    got = run(tmp_path / "guarded.onnx", mixed())
    _, verdicts = monitor.check(mixed())
    np.testing.assert_allclose(got["outrider_score"], verdicts.score, rtol=1e-4, atol=1e-5)


def test_the_models_own_bytes_stay_and_the_facts_are_in_the_metadata(bare, tmp_path):
    monitor, profile = taught(bare)
    guarded = tmp_path / "guarded.onnx"
    facts = export(bare, profile, guarded)
    assert guarded.read_bytes().startswith(bare.read_bytes())
    assert guard_facts(guarded) == json.loads(json.dumps(facts)) == facts
    assert guard_facts(bare) is None
    assert json.loads(session(guarded).get_modelmeta().custom_metadata_map["outrider"]) == facts
    assert facts["fingerprint"] == monitor.network.fingerprint
    calibration = monitor.calibration
    assert facts["thresholds"] == [np.float32(calibration.thresholds[0])]
    assert [facts[name] for name in ("false_alarm_rate", "n", "realised", "interval")] == [
        calibration.false_alarm_rate, calibration.n, calibration.realised, list(calibration.interval)
    ]  # fmt: skip
    assert facts["taps"] == [tap.id for tap in monitor.learned.facts.taps]
    names = [node.output[0] for node in onnx.load(guarded).graph.node]
    assert len(names) == len(set(names))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.onnx", "bare.outrider", "guarded.onnx"]


# What is refused.


@pytest.mark.parametrize("criterion", [NeuronRank(top=2), NearestNeighbour()], ids=lambda c: c.name)
def test_criteria_without_nodes_are_named(criterion, bare, tmp_path):
    _, profile = taught(bare, {"r1:channel": CoverageBitmap(), "r2:channel": criterion})
    with pytest.raises(ExportError, match=rf"column 'r2:channel {criterion.name}' cannot be computed inside a graph"):
        export(bare, profile, tmp_path / "guarded.onnx")
    assert not (tmp_path / "guarded.onnx").exists()


def test_columns_of_places_are_named(bare, tmp_path):
    _, profile = taught(bare, SingleRange(), taps=["r2:pixel"])
    with pytest.raises(ExportError, match=r"column 'r2:pixel single_range' cannot .*; profile again"):
        export(bare, profile, tmp_path / "guarded.onnx")


def test_a_logic_of_someone_elses_is_refused(bare):
    learned = taught(bare, SingleRange())[0].learned
    with pytest.raises(ValueError, match="expected a detection logic of Outrider's own, got 'mine'"):
        refuse_what_cannot_be_exported(learned, "mine")


def test_a_profile_that_does_not_fit_is_refused(bare, tmp_path):
    monitor, profile = taught(bare, SingleRange())
    other = tmp_path / "other.onnx"
    onnx.save(model(opset=16), other)
    with pytest.raises(MismatchError, match=r"SHA-256: expected [0-9a-f]{12}…, got [0-9a-f]{12}… of .*other.onnx"):
        export(other, profile, tmp_path / "guarded.onnx")
    monitor.calibration = None
    monitor.save(profile)
    with pytest.raises(NotReadyError, match="expected a calibrated profile, got one without a threshold"):
        export(bare, profile, tmp_path / "guarded.onnx")


def test_the_profile_of_a_pytorch_module_is_refused(bare, tmp_path):
    torch = pytest.importorskip("torch")
    from outrider.networks import TorchNetwork

    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 3))
    monitor = Monitor(TorchNetwork(module.eval(), SHAPE), SingleRange())
    monitor.profile([frames(200, 1)], minimum_per_class=0)
    monitor.save(tmp_path / "torch.outrider")
    with pytest.raises(MismatchError, match="expected the profile of an ONNX model, got that of a torch network"):
        export(bare, tmp_path / "torch.outrider", tmp_path / "guarded.onnx")


def test_a_guarded_model_is_not_guarded_again(bare, tmp_path):
    _, profile = taught(bare, SingleRange())
    guarded = tmp_path / "guarded.onnx"
    export(bare, profile, guarded)
    with pytest.raises(ExportError, match="expected a bare model, got one that carries a monitor"):
        export(guarded, profile, tmp_path / "again.onnx")
    with pytest.raises(ValueError, match="expected a bare model, got one that carries a monitor"):
        OnnxNetwork(guarded)


def test_paths_that_cannot_be(bare, tmp_path):
    _, profile = taught(bare, SingleRange())
    before = bare.read_bytes()
    with pytest.raises(ExportError, match="expected another file to write to, got the model itself"):
        export(bare, profile, bare)
    with pytest.raises(FileNotFoundError, match="expected a folder to write to"):
        export(bare, profile, tmp_path / "nowhere" / "guarded.onnx")
    with pytest.raises(FileNotFoundError, match="expected an ONNX model, got no such file"):
        export(tmp_path / "none.onnx", profile, tmp_path / "guarded.onnx")
    with pytest.raises(FileNotFoundError, match="expected a profile"):
        export(bare, tmp_path / "none.outrider", tmp_path / "guarded.onnx")
    assert bare.read_bytes() == before


@pytest.mark.parametrize("names", [("outrider_score", "r2"), ("r1", "outrider_threshold_2")])
def test_names_that_the_monitor_needs(names, tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(names=names), bare)
    _, profile = taught(bare, SingleRange())
    with pytest.raises(ExportError, match="expected a model without names that begin with outrider_"):
        export(bare, profile, tmp_path / "guarded.onnx")


def test_other_names_of_the_model_are_left_alone(tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(names=("outrider_sub_1", "outrider__constant_1")), bare)
    monitor, profile = taught(bare, SingleRange())
    export(bare, profile, tmp_path / "guarded.onnx")
    assert_agree(run(tmp_path / "guarded.onnx", mixed()), monitor, mixed())


def test_an_opset_that_is_too_old(tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(opset=8, ir=3), bare)
    _, profile = taught(bare, SingleRange(), classes=None, taps=["r1:unit", "r2:unit"])
    with pytest.raises(ExportError, match="expected opset 9 or newer, got 8; convert it"):
        export(bare, profile, tmp_path / "guarded.onnx")


def test_large_tables_are_warned_of(bare, tmp_path, monkeypatch):
    _, profile = taught(bare, SingleRange(), taps=["r1:unit", "r2:channel"])
    monkeypatch.setattr(exporting, "_LARGE_TABLES", 1000)
    with pytest.warns(
        OutriderWarning, match="the monitor adds 0 MB to the model's 0 MB, most of it for 'r1:unit single"
    ):
        export(bare, profile, tmp_path / "guarded.onnx")
    monkeypatch.setattr(exporting, "_LARGEST_FILE", 20_000)
    with pytest.raises(ExportError, match=r"expected model and tables of at most 2 GiB together, got [0-9,]+ bytes"):
        export(bare, profile, tmp_path / "more.onnx")


# The check before the file is kept, and what is left on the disk.


def test_a_score_that_comes_out_differently_is_refused(bare, tmp_path, monkeypatch):
    _, profile = taught(bare, SingleRange())
    add = logics.add_score
    monkeypatch.setattr(logics, "add_score", lambda ops, *rest: ops("Mul", add(ops, *rest), ops.constant(1.05)))
    with pytest.raises(ExportError, match=r"expected what the monitor says outside the graph, got score .* is right"):
        export(bare, profile, tmp_path / "guarded.onnx")
    assert not (tmp_path / "guarded.onnx").exists()


def test_outputs_that_come_out_differently_are_named(bare, tmp_path, monkeypatch):
    _, profile = taught(bare, SingleRange())
    monkeypatch.setattr(exporting, "_same", lambda a, b: False)
    with pytest.raises(ExportError, match="expected the outputs of the bare model bit for bit, got others for logits"):
        export(bare, profile, tmp_path / "guarded.onnx")


def test_a_full_disk_leaves_what_was_there(bare, tmp_path, monkeypatch):
    _, profile = taught(bare, SingleRange())
    guarded = tmp_path / "guarded.onnx"
    guarded.write_bytes(b"before")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExportError, match=r"expected to write [0-9]+ bytes, got No space left on device; nothing that"):
        export(bare, profile, guarded)
    assert guarded.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bare.onnx", "bare.outrider", "guarded.onnx"]


@pytest.fixture
def external(tmp_path):
    """A model whose weights lie in a file beside it, and a profile."""
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    path = folder / "bare.onnx"
    onnx.save(model(), path, save_as_external_data=True, location="weights/all.bin", size_threshold=0)
    return path, *taught(path, CoverageBitmap())


def test_weights_beside_the_model_are_shared_or_copied(external, tmp_path):
    path, monitor, profile = external
    beside, elsewhere = path.with_name("guarded.onnx"), tmp_path / "guarded.onnx"
    for target in (beside, elsewhere, elsewhere):
        export(path, profile, target)
        assert_agree(run(target, mixed()), monitor, mixed())
    assert (tmp_path / "weights" / "all.bin").read_bytes() == (path.parent / "weights" / "all.bin").read_bytes()
    assert [entry.name for entry in (tmp_path / "weights").iterdir()] == ["all.bin"]


def test_weights_of_another_model_are_not_overwritten(external, tmp_path):
    path, _, profile = external
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "all.bin").write_bytes(b"another")
    with pytest.raises(ExportError, match=r"all.bin: expected the model's weights or no such file, got another"):
        export(path, profile, tmp_path / "guarded.onnx")
    assert (tmp_path / "weights" / "all.bin").read_bytes() == b"another"
    assert not (tmp_path / "guarded.onnx").exists()


def test_copied_weights_go_when_the_model_cannot_be_written(external, tmp_path, monkeypatch):
    path, _, profile = external

    def full(*_, **__):
        raise ExportError("full")

    monkeypatch.setattr(exporting, "write_whole", full)
    with pytest.raises(ExportError, match="full"):
        export(path, profile, tmp_path / "guarded.onnx")
    assert not (tmp_path / "weights" / "all.bin").exists()
