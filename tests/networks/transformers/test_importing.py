"""transformers beside a torchvision whose compiled part cannot load."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from outrider.networks.packages import install_hint
from outrider.networks.transformers import import_transformers


def test_models_import_in_a_fresh_python_whatever_torchvision_is_there():
    code = (
        "from outrider.networks.transformers import import_transformers\n"
        "t = import_transformers()\n"
        "print(t.LlavaForConditionalGeneration.__name__, t.AutoProcessor.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["LlavaForConditionalGeneration", "AutoProcessor"], done.stderr


def test_the_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=re.escape(install_hint("lvlm"))):
        import_transformers()
