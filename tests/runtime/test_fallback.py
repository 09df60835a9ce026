"""The old place of the fallbacks works for one release, with a warning."""

from __future__ import annotations

import importlib
import sys

import pytest

from outrider import runtime


def test_the_old_module_names_the_new_import(monkeypatch):
    monkeypatch.delitem(sys.modules, "outrider.runtime.fallback", raising=False)
    with pytest.warns(DeprecationWarning, match="from outrider.runtime import hold_last_safe"):
        old = importlib.import_module("outrider.runtime.fallback")
    for name in old.__all__:
        assert getattr(old, name) is getattr(runtime, name)
