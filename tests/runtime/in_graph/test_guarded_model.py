"""What a guarded model says of itself, also one that was exported before its last output was renamed."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from outrider.monitor import ExportError, Monitor
from outrider.networks import OnnxNetwork
from outrider.runtime import export, guard_facts
from outrider.runtime.in_graph.guarded_model import KEY, OUTPUTS, carries_monitor

# A model, its profile, and what the version before the rename made of them: the guarded model and what it said.

BEFORE = Path(__file__).parents[2] / "data" / "guarded_before"
OLD_OUTPUTS = ["outrider_score", "outrider_confidence", "outrider_alarm", "outrider_layers"]


@pytest.fixture
def before(tmp_path):
    """A copy of the files of then, and the arrays by name."""
    shutil.copytree(BEFORE, tmp_path, dirs_exist_ok=True)
    with np.load(tmp_path / "said.npz") as said:
        return tmp_path, dict(said)


def run(path, batch):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, {"x": batch}), strict=True))


def test_a_model_guarded_before_is_read_with_its_old_output(before, outrider):
    folder, said = before
    facts = guard_facts(folder / "guarded.onnx")
    assert facts["outputs"] == OLD_OUTPUTS
    assert facts["columns"] == ["r:unit single_range", "r:unit bitmap"]
    shown = outrider("inspect", folder / "guarded.onnx")
    assert shown.code == 0
    assert ", ".join(OLD_OUTPUTS) in shown.out
    got = run(folder / "guarded.onnx", said["x"])
    assert list(got) == ["y", *OLD_OUTPUTS]


def test_a_model_guarded_before_is_not_guarded_again(before):
    folder, _ = before
    with pytest.raises(ExportError, match="expected a bare model, got one that carries a monitor"):
        export(folder / "guarded.onnx", folder / "bare.outrider", folder / "again.onnx")


def test_exported_anew_it_says_the_same_to_the_last_bit_under_the_new_name(before):
    folder, said = before
    facts = export(folder / "bare.onnx", folder / "bare.outrider", folder / "again.onnx")
    old = guard_facts(folder / "guarded.onnx")
    assert facts["outputs"] == list(OUTPUTS) == [*OLD_OUTPUTS[:3], "outrider_deviation"]
    assert {**facts, "outputs": OLD_OUTPUTS} == old
    then, now = (run(folder / name, said["x"]) for name in ("guarded.onnx", "again.onnx"))
    then["outrider_deviation"] = then.pop("outrider_layers")
    assert {name: array.tobytes() for name, array in now.items()} == {n: a.tobytes() for n, a in then.items()}


def test_the_profile_of_then_gives_the_verdicts_of_then(before):
    folder, said = before
    monitor = Monitor.load(folder / "bare.outrider", OnnxNetwork(folder / "bare.onnx", taps="r:unit", classes=2))
    _, verdicts = monitor.check(said["x"])
    np.testing.assert_array_equal(verdicts.alarm, said["outrider_alarm"])
    np.testing.assert_array_equal(verdicts.deviation[:-1], said["outrider_layers"][:-1])
    np.testing.assert_allclose(verdicts.score, said["outrider_score"], rtol=1e-5)


@pytest.mark.parametrize("outputs", [OUTPUTS, OLD_OUTPUTS])
def test_a_monitor_is_found_by_its_facts_or_its_outputs(outputs):
    assert carries_monitor({KEY: "{}"}, ["y"])
    assert carries_monitor({}, ["y", *outputs])
    assert not carries_monitor({"producer": "outrider"}, ["y", *outputs[:3]])


def test_a_model_without_facts_has_none(before):
    assert guard_facts(before[0] / "bare.onnx") is None


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("{}", "None"),
        ('{"format": 2}', "2"),
        ("no facts at all, but a text", "'no facts at all, but'"),
        ("[" * 99_999, "'" + "[" * 20 + "'"),
    ],
)
def test_facts_of_another_format_are_refused(before, text, got):
    path = before[0] / "guarded.onnx"
    model = onnx.load(path)
    next(entry for entry in model.metadata_props if entry.key == KEY).value = text
    onnx.save(model, path)
    with pytest.raises(ValueError, match="expected a guarded model of format 1, got ") as caught:
        guard_facts(path)
    assert f"got {got}; use the Outrider that wrote it" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx: expected an ONNX model, got no such file"):
        guard_facts(tmp_path / "none.onnx")
