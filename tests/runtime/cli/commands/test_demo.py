"""`outrider demo`: which demo runs, and with what."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..outcomes import error_of


@pytest.mark.parametrize(
    ("arguments", "run", "page", "options"),
    [
        ((), "pictures.run_demo", "demo.html", {"fast": False}),
        (("pictures", "--fast", "-o", "mine.html"), "pictures.run_demo", "mine.html", {"fast": True}),
        (("drive", "--retrain"), "drive.run_drive_demo", "drive.html", {"fast": False, "retrain": True}),
    ],
)
def test_a_demo_is_run_with_what_the_flags_say(outrider, monkeypatch, arguments, run, page, options):
    pytest.importorskip("torch")
    asked = []
    monkeypatch.setattr(f"outrider.runtime.demos.{run}", lambda output, **given: asked.append((output, given)))
    assert outrider("demo", *arguments).code == 0
    assert asked == [(Path(page), options)]


def test_only_the_drive_can_be_taught_anew(outrider):
    assert error_of(outrider("demo", "--retrain")).startswith("--retrain belongs to `outrider demo drive`")
