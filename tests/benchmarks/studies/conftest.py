"""A folder of prompts in the form of the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

KINDS = ("homonyms", "figurative_language", "safe_targets", "definitions", "privacy_fictional")
UNSAFE = {kind: f"contrast_{kind}" for kind in KINDS} | {"privacy_fictional": "contrast_privacy"}


def _letters(number: int) -> str:
    return "".join("bcdfghjklm"[int(digit)] for digit in f"{number:03d}")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Instructions of 40 unsafe and 120 safe to tune on, 100 of each to test; XSTest with 125 pairs of a word each."""
    path = tmp_path_factory.mktemp("prompts")
    sizes = {"instructions_train": (40, 120), "instructions_test": (100, 100)}
    for name, counts in sizes.items():
        lines = [
            {"prompt": f"{name} {label} {i}", "label": label}
            for label, count in zip(("unsafe", "safe"), counts, strict=True)
            for i in range(count)
        ]
        _write(path / f"{name}.jsonl", lines)
    lines = []
    for place, kind in enumerate(KINDS):
        words = [f"verb{_letters(25 * place + i)}x" for i in range(25)]
        lines += [{"prompt": f"do {word} it safely", "label": "safe", "type": kind} for word in words]
        lines += [{"prompt": f"do {word} it badly", "label": "unsafe", "type": UNSAFE[kind]} for word in words]
    _write(path / "xstest.jsonl", lines)
    return path


def _write(path: Path, lines: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
