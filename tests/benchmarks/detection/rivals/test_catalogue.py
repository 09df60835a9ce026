from __future__ import annotations

import sys

import pytest

pytest.importorskip("torch")

from benchmarks.detection.rivals import catalogue
from benchmarks.detection.rivals.catalogue import LIBRARIES, library, missing


def test_every_rival_has_a_name_of_its_own_and_says_what_was_set():
    found = [rival for name in LIBRARIES for rival in library(name).rivals]
    assert len({rival.name for rival in found}) == len(found) > 50
    assert all(rival.setting for rival in found)
    assert all((rival.limit is None) == (rival.profiled is None) for rival in found)
    for name in LIBRARIES:
        names = {rival.name for rival in library(name).rivals}
        assert not names & set(library(name).left_out)
        assert library(name).file.is_file()


def test_why_a_library_cannot_run(monkeypatch):
    def there(_package: str) -> str:
        return "0.0.1"

    def absent(package: str) -> str:
        raise catalogue.PackageNotFoundError(package)

    monkeypatch.setattr(catalogue, "version", there)
    assert missing("nac") == ""
    assert missing("oodeel") == "was set up for oodeel 0.4.0, and this is 0.0.1"
    monkeypatch.setattr(catalogue, "version", lambda _package: library("oodeel").version)
    assert missing("oodeel") == ""
    monkeypatch.setattr(catalogue, "version", absent)
    assert "is not installed" in missing("oodeel")
    monkeypatch.setattr(sys, "version_info", (3, 11, 9))
    assert missing("scio").startswith("needs Python 3.12")
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    assert "is not installed" in missing("scio")
