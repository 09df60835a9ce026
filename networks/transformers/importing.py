"""Import transformers, also beside a torchvision whose compiled part cannot load."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from functools import cache
from types import ModuleType

from ..packages import install_hint
from ..pytorch.torchvision_import import import_torchvision


def import_transformers() -> ModuleType:
    """The module transformers. Raises ImportError where it is not installed.

    transformers imports torchvision wherever it is installed, and fails with it. So torchvision comes first, in the way
    of `import_torchvision`.
    """
    if importlib.util.find_spec("transformers") is None:
        raise ImportError(f"this needs transformers: {install_hint('lvlm')}")
    if importlib.util.find_spec("torchvision") is not None:
        import_torchvision()
    return importlib.import_module("transformers")


@cache
def cache_keyword() -> str:
    """What a model's forward calls its cache: ``cache``, or ``past_key_values`` before transformers 5.20 or so."""
    names = inspect.signature(import_transformers().LlamaModel.forward).parameters
    return "cache" if "cache" in names else "past_key_values"
