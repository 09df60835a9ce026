"""What a command answered, and a command that takes a while."""

from __future__ import annotations

PROFILE = ("-o", "new.outrider", "--rows", ":1000")


def error_of(result):
    assert result.code == 2
    assert result.out == ""
    assert result.err.startswith("outrider: error: ")
    assert result.err.count("\n") == 1
    return result.err.removeprefix("outrider: error: ").strip()


def profile_of(model, output):
    return "profile", model, "digits:train", "-o", output, "--rows", ":1000", "--neurons", "unit,channel"
