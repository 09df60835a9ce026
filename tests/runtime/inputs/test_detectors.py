"""Decoders of detections from the text of a command."""

from __future__ import annotations

import pytest

from outrider.networks import make_decoder
from outrider.runtime.inputs.detectors import decoder_of


def test_a_name_or_a_function_of_a_file(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("NUMBER = 3\ndef decode(output):\n    return [output]\n")
    assert decoder_of(None) is None
    assert decoder_of("yolo(score=0.4)") == make_decoder("yolo", score=0.4)
    assert decoder_of(f"{path}:decode")(5) == [5]
    assert decoder_of(f"{path}:decode").__module__ == "own"
    for told, said in (("NUMBER", "got int"), ("nothing", "AttributeError")):
        with pytest.raises(ValueError, match=rf"own.py:{told}: expected a function, .*{said}"):
            decoder_of(f"{path}:{told}")
    with pytest.raises(FileNotFoundError, match=r"none.py: expected a Python file"):
        decoder_of(f"{tmp_path}/none.py:decode")
    with pytest.raises(ValueError, match="expected a decoder of detections"):
        decoder_of("decode")
