"""A monitor from its profile, and profiles that cannot be opened."""

from __future__ import annotations

from argparse import Namespace

import pytest

from outrider.runtime.cli.opening import input_shape, states

from .outcomes import error_of


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ([("", (3, 4))], (3, 4)),
        ([("a", (3, 4)), ("b", ())], {"a": (3, 4), "b": ()}),
    ],
)
def test_shapes_of_inputs(given, expected):
    assert input_shape(Namespace(input_shape=given)) == expected


@pytest.mark.parametrize("given", [[("", (3,)), ("", (4,))], [("", (3,)), ("a", (4,))], [("a", (3,)), ("a", (4,))]])
def test_shapes_that_say_two_things_are_refused(given):
    with pytest.raises(ValueError, match="expected --input-shape once, or once for each input by its name"):
        input_shape(Namespace(input_shape=given))


def test_states_are_a_mapping_where_there_are_any():
    assert states(Namespace(state=None)) is None
    assert states(Namespace(state=[("h", "g"), ("c", 1)])) == {"h": "g", "c": 1}


def test_a_truncated_profile(outrider, calibrated, tmp_path):
    (tmp_path / "short.outrider").write_bytes(calibrated.read_bytes()[:-100])
    for command in (("inspect", "short.outrider"), ("check", "short.outrider", "digits:test")):
        assert "short.outrider: expected what was written, got a file that was altered or cut short" in error_of(
            outrider(*command)
        )


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
