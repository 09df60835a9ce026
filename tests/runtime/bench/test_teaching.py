"""A monitor that is taught on noise covers it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from outrider.coverage import CoverageBitmap
from outrider.monitor import CalibrationError, HarmonicP, Monitor, Status, Sum
from outrider.monitor.files import read_network
from outrider.runtime.bench import teaching
from outrider.runtime.bench.bare import BareModel
from outrider.runtime.bench.teaching import TRUSTED, WATCHED, teach

from ..several import fused_model
from .models import of_tokens, watched


def loaded(model, what, folder, **options):
    """The monitor from the file, and the noise that it was taught on."""
    trusted = model.noise(TRUSTED)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the user did not make these profiles
        teach(model, what, trusted, folder / "p.outrider", options)
    return Monitor.load(folder / "p.outrider", model.path), trusted


@pytest.mark.parametrize("what", WATCHED, ids=lambda what: what.name)
def test_noise_is_covered(tmp_path, what):
    model = BareModel(watched(tmp_path / "m.onnx"))
    monitor, trusted = loaded(model, what, tmp_path)
    _, verdicts = monitor.check(trusted["x"])
    assert (verdicts.status == Status.OK).mean() > 0.5
    assert verdicts.status[0] == Status.OK
    _, others = monitor.check(9 * model.noise(4, seed=5)["x"])
    assert (others.status == Status.ALARM).all()


def test_bitmaps_stand_on_the_taps_of_their_name(tmp_path):
    model = BareModel(watched(tmp_path / "m.onnx"))
    kinds = {}
    for what in WATCHED:
        monitor, _ = loaded(model, what, tmp_path)
        columns = monitor.learned.columns
        kinds[what.name] = {type(column.criterion) for column in columns}, type(monitor.logic)
        assert len(monitor.learned.facts.taps) > 1
        monitor.network.close()
    ways = [kinds[f"bitmap on {way}"] for way in ("auto", "stages", "sample7")]
    assert ways == [({CoverageBitmap}, Sum)] * 3
    assert CoverageBitmap not in kinds["default monitor"][0]
    assert kinds["default monitor"][1] is HarmonicP


@pytest.mark.parametrize("write", [of_tokens, lambda path: path.write_bytes(fused_model()) and path])
def test_tokens_and_several_inputs_are_taught_too(tmp_path, write):
    model = BareModel(write(tmp_path / "m.onnx"))
    monitor, trusted = loaded(model, WATCHED[0], tmp_path)
    batch = trusted["x"] if "x" in trusted else (trusted["camera"], trusted["speed"])
    assert (monitor.check(batch)[1].status == Status.OK).any()


def test_options_go_to_the_network(tmp_path):
    model = BareModel(watched(tmp_path / "m.onnx"))
    monitor, _ = loaded(model, WATCHED[0], tmp_path, classes=None)
    assert monitor.learned.facts.classes is None
    with pytest.raises(ValueError, match="expected class scores"):
        teach(model, WATCHED[0], model.noise(TRUSTED), tmp_path / "q.outrider", {"classes": 7})


def test_held_out_frames_move_further_until_their_scores_differ(tmp_path, monkeypatch):
    model, shares = BareModel(watched(tmp_path / "m.onnx")), []
    monkeypatch.setattr(teaching, "moved", lambda frames, count, share: shares.append(share) or model.noise(count, 9))
    calibrate, refused = Monitor.calibrate, iter([True, True, False])

    def refusing(self, *arguments, **named):
        if next(refused):
            raise CalibrationError("expected held-out frames with different scores")
        return calibrate(self, *arguments, **named)

    monkeypatch.setattr(Monitor, "calibrate", refusing)
    teach(model, WATCHED[0], model.noise(TRUSTED), tmp_path / "p.outrider", {})
    np.testing.assert_allclose(shares, [1e-3, 1e-2, 1e-1])
    assert read_network(tmp_path / "p.outrider").classes == 3


def test_scores_that_never_differ_are_refused(tmp_path, monkeypatch):
    model = BareModel(watched(tmp_path / "m.onnx"))
    monkeypatch.setattr(teaching, "moved", lambda frames, count, share: frames)
    with pytest.raises(CalibrationError, match="expected held-out frames that the profile has not seen"):
        teach(model, WATCHED[0], model.noise(TRUSTED), tmp_path / "p.outrider", {})
    assert not (tmp_path / "p.outrider").exists()
