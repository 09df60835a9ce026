"""Which models can be guarded, what is refused, and what is left on the disk."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from outrider.coverage import CoverageBitmap, SingleRange, Softmax
from outrider.monitor import ExportError, MismatchError, Monitor, NotReadyError, OutriderWarning, ZScore
from outrider.networks import OnnxNetwork
from outrider.runtime import export, guard_facts
from outrider.runtime.in_graph import exporting

from .guarding import CASES, SHAPE, assert_agree, frames, mixed, model, run, session, taught


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


def test_a_fixed_batch_stays_fixed(tmp_path):
    bare = tmp_path / "bare.onnx"
    onnx.save(model(batch=3), bare)
    monitor, profile = taught(bare, SingleRange())
    export(bare, profile, tmp_path / "guarded.onnx")
    assert session(tmp_path / "guarded.onnx").get_outputs()[1].shape == [3]
    assert_agree(run(tmp_path / "guarded.onnx", mixed()[:3]), monitor, mixed()[:3])


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
    monkeypatch.setattr(exporting, "LARGEST_FILE", 20_000)
    with pytest.raises(ExportError, match=r"expected model and tables of at most 2 GiB together, got [0-9,]+ bytes"):
        export(bare, profile, tmp_path / "more.onnx")


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


def test_a_graph_of_one_frame_is_refused(tmp_path):
    path = tmp_path / "alone.onnx"
    nodes = [helper.make_node("Tanh", ["x"], ["t"]), helper.make_node("Neg", ["t"], ["y"])]
    ends = [helper.make_tensor_value_info("x", 1, (3, 8, 8))], [helper.make_tensor_value_info("y", 1, (3, 8, 8))]
    graph = helper.make_graph(nodes, "alone", *ends)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    _, profile = taught(path, SingleRange(), taps="t", batch_axis=False)
    with pytest.raises(ExportError, match="whose inputs have a batch axis, got one that takes a single frame; export"):
        export(path, profile, tmp_path / "guarded.onnx")
