"""What a guarded model says of itself, also one that was exported before its last output was renamed."""

from __future__ import annotations

import onnx
import onnxruntime as ort
import pytest

from outrider.monitor import ExportError
from outrider.runtime import export, guard_facts
from outrider.runtime.in_graph.guarded_model import KEY, OUTPUTS, carries_monitor

from ...recorded import BEFORE, FRAMES

OLD_OUTPUTS = ["outrider_score", "outrider_confidence", "outrider_alarm", "outrider_layers"]
BARE, PROFILE, GUARDED = (BEFORE / name for name in ("network.onnx", "ranges.outrider", "guarded.onnx"))
"""A model, its profile, and what the version before the rename made of them."""


def run(path, batch):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, {"x": batch}), strict=True))


def test_a_model_guarded_before_is_read_with_its_old_output(outrider):
    assert guard_facts(GUARDED)["outputs"] == OLD_OUTPUTS
    shown = outrider("inspect", GUARDED)
    assert shown.code == 0
    assert ", ".join(OLD_OUTPUTS) in shown.out


def test_a_model_guarded_before_is_not_guarded_again(tmp_path):
    with pytest.raises(ExportError, match="expected a bare model, got one that carries a monitor"):
        export(GUARDED, PROFILE, tmp_path / "again.onnx")


def test_exported_anew_it_says_the_same_to_the_last_bit_under_the_new_name(tmp_path):
    facts = export(BARE, PROFILE, tmp_path / "again.onnx")
    old = guard_facts(GUARDED)
    assert facts["outputs"] == list(OUTPUTS) == [*OLD_OUTPUTS[:3], "outrider_deviation"]
    assert {**facts, "outputs": OLD_OUTPUTS} == old
    then, now = (run(path, FRAMES) for path in (GUARDED, tmp_path / "again.onnx"))
    then["outrider_deviation"] = then.pop("outrider_layers")
    assert {name: array.tobytes() for name, array in now.items()} == {n: a.tobytes() for n, a in then.items()}


@pytest.mark.parametrize("outputs", [OUTPUTS, OLD_OUTPUTS])
def test_a_monitor_is_found_by_its_facts_or_its_outputs(outputs):
    assert carries_monitor({KEY: "{}"}, ["y"])
    assert carries_monitor({}, ["y", *outputs])
    assert not carries_monitor({"producer": "outrider"}, ["y", *outputs[:3]])


def test_a_model_without_facts_has_none():
    assert guard_facts(BARE) is None


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("{}", "None"),
        ('{"format": 2}', "2"),
        ("no facts at all, but a text", "'no facts at all, but'"),
        ("[" * 99_999, "'" + "[" * 20 + "'"),
    ],
)
def test_facts_of_another_format_are_refused(tmp_path, text, got):
    path = tmp_path / "guarded.onnx"
    model = onnx.load(GUARDED)
    next(entry for entry in model.metadata_props if entry.key == KEY).value = text
    onnx.save(model, path)
    with pytest.raises(ValueError, match="expected a guarded model of format 1, got ") as caught:
        guard_facts(path)
    assert f"got {got}; use the Outrider that wrote it" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx: expected an ONNX model, got no such file"):
        guard_facts(tmp_path / "none.onnx")
