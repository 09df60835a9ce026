"""`outrider merge` beside what test_shards.py shows of it: where the network is found, and what it answers."""

from __future__ import annotations

import json

from ..outcomes import error_of


def part(outrider, model):
    result = outrider("profile", model, "digits:train", "--shard", "0/1", "-o", "part.outrider")
    assert result.code == 0


def test_the_network_beside_the_part_is_found(outrider, model, tmp_path):
    part(outrider, model)
    said = error_of(outrider("merge", "part.outrider", "-o", "whole.outrider"))
    assert "network" in said
    (tmp_path / "net.onnx").write_bytes(model.read_bytes())
    result = outrider("merge", "part.outrider", "-o", "whole.outrider", "--json")
    assert result.code == 0
    assert json.loads(result.out)["trusted"]["frames"] == 1437


def test_another_network_is_refused(outrider, model, tmp_path):
    part(outrider, model)
    onnx = model.read_bytes()
    (tmp_path / "other.onnx").write_bytes(onnx.replace(b"digits", b"figits"))
    said = error_of(outrider("merge", "part.outrider", "--network", "other.onnx", "-o", "whole.outrider"))
    assert "expected" in said


def test_files_that_are_none_are_named(outrider, model, tmp_path):
    (tmp_path / "torn.outrider").write_bytes(b"torn")
    assert "torn.outrider: expected a profile" in error_of(
        outrider("merge", "torn.outrider", "--network", model, "-o", "whole.outrider")
    )
    assert "gone.outrider" in error_of(outrider("merge", "gone.outrider", "--network", model, "-o", "whole.outrider"))
