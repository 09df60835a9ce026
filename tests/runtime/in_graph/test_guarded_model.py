"""What a guarded model says of itself, also one that was exported before its last output was renamed."""

from __future__ import annotations

import warnings

import onnx
import onnxruntime as ort
import pytest

from outrider.monitor import ExportError, OutriderWarning, ProfileError
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
    with pytest.warns(OutriderWarning, match="exported by an older Outrider: what it holds cannot be checked"):
        assert guard_facts(GUARDED)["outputs"] == OLD_OUTPUTS
    shown = outrider("inspect", GUARDED)
    assert shown.code == 0
    assert ", ".join(OLD_OUTPUTS) in shown.out


def test_a_model_guarded_before_is_not_guarded_again(tmp_path):
    with pytest.raises(ExportError, match="expected a bare model, got one that carries a monitor"):
        export(GUARDED, PROFILE, tmp_path / "again.onnx")


def test_exported_anew_it_says_the_same_to_the_last_bit_under_the_new_name(tmp_path):
    with pytest.warns(OutriderWarning, match="ranges.outrider: written by an older Outrider"):
        facts = export(BARE, PROFILE, tmp_path / "again.onnx")
    with pytest.warns(OutriderWarning, match="guarded.onnx: exported by an older Outrider"):
        old = guard_facts(GUARDED)
    assert (old["format"], facts.pop("format")) == (1, 2)
    del old["format"]
    assert facts.pop("profile_digest") is None
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
        ('{"format": 3}', "3"),
        ("no facts at all, but a text", "'no facts at all, but'"),
        ("[" * 99_999, "'" + "[" * 20 + "'"),
    ],
)
def test_facts_of_another_format_are_refused(tmp_path, text, got):
    path = tmp_path / "guarded.onnx"
    model = onnx.load(GUARDED)
    next(entry for entry in model.metadata_props if entry.key == KEY).value = text
    onnx.save(model, path)
    with pytest.raises(ValueError, match="expected a guarded model of format 2, got ") as caught:
        guard_facts(path)
    assert f"got {got}; use the Outrider that wrote it" in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx: expected an ONNX model, got no such file"):
        guard_facts(tmp_path / "none.onnx")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    path = tmp_path_factory.mktemp("guarded") / "guarded.onnx"
    with pytest.warns(OutriderWarning, match="older"):
        export(BARE, PROFILE, path)
    return path


def test_no_byte_of_a_guarded_model_can_change(guarded, tmp_path):
    """Nodes, default, facts and digest byte by byte; of the large tables, which take their place alone, some."""
    data = guarded.read_bytes()
    assert guard_facts(guarded)["format"] == 2
    path = tmp_path / "spoiled.onnx"
    accepted = []
    small = [place for place in range(len(data)) if place > len(data) - 4000 or place < 1500 or place % 23 == 0]
    for place in small:
        spoiled = bytearray(data)
        spoiled[place] ^= 1 << place % 8
        path.write_bytes(spoiled)
        try:
            accepted.append((place, "taken for a bare model" if guard_facts(path) is None else "taken as it is"))
        except ValueError:
            continue
    assert not accepted


def test_what_another_program_did_is_found(guarded, tmp_path):
    path = tmp_path / "other.onnx"
    model = onnx.load(guarded)
    next(one for one in model.graph.initializer if one.name == "outrider_threshold").raw_data = b"\0\0\x80?"
    onnx.save(model, path)
    with pytest.raises(ProfileError, match="expected what was exported, got a model that was altered: its SHA-256"):
        guard_facts(path)
    del model.metadata_props[:]
    onnx.save(model, path)
    with pytest.raises(ProfileError, match="the facts of its monitor are gone"):
        guard_facts(path)
    path.write_bytes(guarded.read_bytes() + guarded.read_bytes()[-100:])
    with pytest.raises(ValueError, match=r"altered|expected an ONNX model"):
        guard_facts(path)


def test_of_an_older_model_facts_and_graph_must_say_one_threshold(tmp_path):
    model = onnx.load(GUARDED)
    next(one for one in model.graph.initializer if one.name == "outrider_threshold").raw_data = b"\0\0\x80?" * 3
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ProfileError, match=r"its facts say the threshold \[.*\], its graph \[1.0, 1.0, 1.0\]"):
        guard_facts(tmp_path / "other.onnx")


def test_the_weights_beside_a_guarded_model_are_checked_with_it(tmp_path):
    model = onnx.load(BARE)
    external = {"save_as_external_data": True, "location": "net.weights", "size_threshold": 0}
    onnx.save(model, tmp_path / "net.onnx", **external)
    from outrider.coverage import SingleRange
    from outrider.monitor import Monitor

    monitor = Monitor(tmp_path / "net.onnx", {"*": SingleRange()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutriderWarning)
        monitor.profile([FRAMES])
        monitor.calibrate([FRAMES * 0.999], 0.1)
    monitor.save(tmp_path / "net.outrider")
    facts = export(tmp_path / "net.onnx", tmp_path / "net.outrider", tmp_path / "guarded.onnx")
    assert guard_facts(tmp_path / "guarded.onnx") == facts
    assert facts["profile_digest"].encode() in (tmp_path / "net.outrider").read_bytes()
    weights = tmp_path / "net.weights"
    data = bytearray(weights.read_bytes())
    data[5] ^= 4
    weights.write_bytes(data)
    with pytest.raises(ProfileError, match="altered or its weights beside it: its SHA-256 does not fit"):
        guard_facts(tmp_path / "guarded.onnx")
    weights.unlink()
    with pytest.raises(FileNotFoundError, match="where there is no file"):
        guard_facts(tmp_path / "guarded.onnx")
