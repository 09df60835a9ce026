"""A package that is missing is named by the command that installs it."""

from __future__ import annotations

import math
import sys

import pytest

from outrider.runtime.extras import require


def test_a_package_that_is_there_is_given():
    assert require("math", "numbers need more packages") is math


def test_a_missing_one_is_named_by_need_and_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "absent.part", None)
    with pytest.raises(ImportError, match=r"^a page needs more packages: pip install 'outrider\[report\]'$"):
        require("absent.part", "a page needs more packages", "report")
    with pytest.raises(ImportError, match=r"pip install 'outrider\[watch\]'$"):
        require("absent_altogether", "videos need more packages")
