"""The start of the command line, which imports nothing, and every error that a user can cause."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata

import pytest

from .outcomes import error_of

HEAVY = {"matplotlib", "numba", "numpy", "onnx", "onnxruntime", "rich", "scipy", "torch"}


def started(*arguments):
    """(exit status, what was printed, the heavy packages imported) of a command in a fresh interpreter."""
    code = (
        "import sys\n"
        "from outrider.runtime.cli.main import main\n"
        f"status = main({list(arguments)!r})\n"
        "print(status, *(name for name in sys.modules if '.' not in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *_, last = done.stdout.splitlines()
    status, *modules = last.split()
    return int(status), done.stdout + done.stderr, HEAVY.intersection(modules)


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--help"], 0, "usage: outrider [-h]"),
        (["--version"], 0, f"outrider {metadata.version('outrider')}\n"),
        (["profile", "--help"], 0, "usage: outrider profile [-h]"),
        ([], 2, "outrider: error: the following arguments are required: COMMAND"),
        (["watch", "x.outrider", "drive.mp4", "--alarm", "5/3"], 2, "outrider: error: argument --alarm: expected K/N"),
        (["profile", "--criterion", "multi_range(sections=8)"], 2, "the following arguments are required: NETWORK"),
    ],
)
def test_help_and_mistakes_are_answered_before_anything_is_imported(arguments, status, said):
    code, text, heavy = started(*arguments)
    assert (code, heavy) == (status, set())
    assert said in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("chek",), "invalid choice: 'chek'"),
        (("profile", "--config"), "argument --config: expected one argument"),
        (("inspect", "none.outrider"), "none.outrider: expected a profile, got no such file"),
        (("profile", "none.onnx", "digits:train", "-o", "x"), "none.onnx: expected an ONNX model, got no such file"),
        (("profile", "lenet", "digits:train", "-o", "x"), "expected a network as model.onnx, zoo:NAME, "),
        (("profile", "{model}", "digits:train"), "the following arguments are required: -o/--output"),
        (("profile", "{model}", "photos", "-o", "x"), "photos: no such file or folder, and no data set NAME:train"),
        (("profile", "{model}", "digits", "-o", "x"), "expected split 'train' or 'test', got ''"),
        (
            ("profile", "{model}", "digits:train", "-o", "x", "--rows", "9000:"),
            "digits:train: expected --rows START:STOP within 1,437 samples, got 9000:",
        ),
        (
            ("calibrate", "{profiled}", "digits:train", "--network", "{model}", "--rows", "9000:"),
            "digits:train: expected --rows START:STOP within 1,437 samples, got 9000:",
        ),
        (
            ("check", "{profiled}", "digits:test", "--network", "{model}", "--rows", "9:9"),
            "digits:test: expected --rows START:STOP within 360 samples, got 9:9",
        ),
        (
            ("compare", "{model}", "{model}", "--frames", "digits:test", "--rows", "9000:"),
            "expected --rows START:STOP within 360 samples, got 9000:",
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
            "engine: expected onnx, got zoo:lenet; `outrider compare NETWORK OTHER --profile PROFILE -o FILE` carries",
        ),
        (("check", "{profiled}", "digits:test"), "…; name it with --network NETWORK"),
        (
            ("calibrate", "{profiled}", "digits:test", "--network", "{model}", "--rows", ":50"),
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
