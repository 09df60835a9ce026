"""A monitor from its profile, and profiles that cannot be opened."""

from __future__ import annotations

import pytest

from .outcomes import error_of


def test_a_truncated_profile(outrider, calibrated, tmp_path):
    (tmp_path / "short.outrider").write_bytes(calibrated.read_bytes()[:-100])
    for command in (("inspect", "short.outrider"), ("check", "short.outrider", "digits:test")):
        assert "short.outrider: expected a profile, got a file that is truncated" in error_of(outrider(*command))


def test_the_profile_of_another_network(outrider, model, calibrated, tmp_path):
    onnx = pytest.importorskip("onnx")
    other = onnx.load(model)
    other.graph.name = "another"
    onnx.save(other, tmp_path / "another.onnx")
    message = error_of(outrider("check", calibrated, "digits:test", "--network", "another.onnx"))
    assert "expected the network it was learned from, got another: SHA-256: expected" in message
    other.graph.node[-1].output[0] = other.graph.output[0].name = "9"
    onnx.save(other, tmp_path / "another.onnx")
    message = error_of(outrider("check", calibrated, "digits:test", "--network", "another.onnx"))
    assert "expected the network it was learned from, got another: SHA-256: expected" in message
