"""Every error a user can cause."""

from __future__ import annotations

import pytest

from .outcomes import error_of


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("chek",), "invalid choice: 'chek'"),
        (("profile", "--config"), "argument --config: expected one argument"),
        (("inspect", "none.outrider"), "none.outrider: expected a profile, got no such file"),
        (("profile", "none.onnx", "digits:train", "-o", "x"), "none.onnx: expected an ONNX model, got no such file"),
        (("profile", "lenet", "digits:train", "-o", "x"), "expected NETWORK as model.onnx, zoo:NAME, "),
        (("profile", "{model}", "digits:train"), "the following arguments are required: -o/--output"),
        (("profile", "{model}", "photos", "-o", "x"), "photos: no such file or folder, and no data set NAME:train"),
        (("profile", "{model}", "digits", "-o", "x"), "expected split 'train' or 'test', got ''"),
        (
            ("profile", "{model}", "digits:train", "-o", "x", "--rows", "9000:"),
            "digits:train: --rows 9000: leaves none of 1,437 samples",
        ),
        (
            ("calibrate", "{profiled}", "digits:train", "--network", "{model}", "--rows", "9000:"),
            "digits:train: --rows 9000: leaves none of",
        ),
        (
            ("check", "{profiled}", "digits:test", "--network", "{model}", "--rows", "9:9"),
            "digits:test: --rows 9:9 leaves none of 360",
        ),
        (
            ("compare", "{model}", "{model}", "--frames", "digits:test", "--rows", "9000:"),
            "--rows 9000: leaves none of 360",
        ),
        (
            ("check", "{model}", "digits:test"),
            "digits.onnx is a model; expected a profile, as `outrider profile {model} DATA -o ",
        ),
        (("profile", "{model}", "digits:train", "-o", "x", "--rows", "9"), "argument --rows: expected START:STOP, got"),
        (("profile", "{model}", "digits:train", "-o", "x", "--mean", "a"), "expected numbers joined by commas, got"),
        (("profile", "{model}", "digits:train", "-o", "x", "--taps", "conv9"), "'conv9'"),
        (
            ("profile", "{model}", "digits:train", "-o", "x", "--criterion", "single_rnge"),
            "did you mean 'single_range'?",
        ),
        (("profile", "{model}", "digits:train", "-o", "none/x"), "none/x: expected a folder to write to, got no"),
        (
            ("check", "{profiled}", "digits:test", "--network", "{model}"),
            "`outrider calibrate {profiled} HELD_OUT` sets it",
        ),
        (
            ("check", "{profiled}", "digits:test", "--network", "zoo:lenet"),
            "engine: expected onnx, got zoo:lenet; `outrider compare NETWORK zoo:lenet --profile ",
        ),
        (("check", "{profiled}", "digits:test"), "got no .onnx file of SHA-256"),
        (
            ("calibrate", "{profiled}", "digits:train", "--network", "{model}", "--rows", ":50"),
            "expected at least 198 held-out frames for a false-alarm rate of 0.01, got",
        ),
        (("calibrate", "{profiled}", "digits:train", "--fps", "30"), "expected --fps and --hours together, got one"),
        (
            ("calibrate", "{profiled}", "digits:train", "--fps", "30", "--hours", "1", "--false-alarm-rate", "0.1"),
            "expected --false-alarm-rate or --fps with --hours, got both",
        ),
    ],
)  # fmt: skip
def test_errors(outrider, model, profiled, arguments, message):
    places = {"model": model, "profiled": profiled}
    assert message.format(**places) in error_of(outrider(*(argument.format(**places) for argument in arguments)))


def test_debug_shows_where(outrider):
    result = outrider("inspect", "none.outrider", "--debug")
    assert result.code == 2
    assert "Traceback" in result.err
