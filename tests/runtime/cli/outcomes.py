"""What a command answered, folders of pictures to watch, and a command that takes a while."""

from __future__ import annotations

import json

import pytest

PROFILE = ("-o", "new.outrider", "--rows", ":1000")
SOON = 20.0  # seconds: far more than anything here takes


def error_of(result):
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("outrider: error: ")
    assert result.err.count("\n") == 1
    return result.err.removeprefix("outrider: error: ").strip()


def lines_of(result):
    return [json.loads(line, parse_constant=pytest.fail) for line in result.out.splitlines()]


def profile_of(model, output):
    return "profile", model, "digits:train", "-o", output, "--rows", ":1000", "--neurons", "unit,channel"


def save(folder, pictures):
    pillow = pytest.importorskip("PIL.Image")
    folder.mkdir()
    for row, picture in enumerate(pictures):
        pillow.fromarray(picture).save(folder / f"{row}.png")
    return folder


def crowd(folder):
    """Things beside the pictures of a folder that are none: 150 texts, two hidden files and a link to more pictures."""
    for row in range(150):
        (folder / f"{row}.txt").touch()
    for name in (".DS_Store", "._0.png"):
        (folder / name).touch()
    return folder


CROWD = "left out 2 hidden files, 150 files of other kinds (.txt 150)"
TORN = b"\x89PNG\r\n\x1a\n and no more"
