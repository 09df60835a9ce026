"""Kernels out of a cache that cannot be written: that of an image, started read-only or by another user.

numba itself uses a cache only where it can write one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from numba import njit

caching: Any = import_module("numba.core.caching")  # neither is typed
config: Any = import_module("numba.core.config")

# numba took the underscores away with release 0.61.
_UserProvided: Any = getattr(caching, "UserProvidedCacheLocator", None) or caching._UserProvidedCacheLocator  # noqa: SLF001
_InTree: Any = getattr(caching, "InTreeCacheLocator", None) or caching._InTreeCacheLocator  # noqa: SLF001


def cannot_be_written() -> bool:
    """Whether ``NUMBA_CACHE_DIR`` names a folder that is there to be read alone."""
    folder = config.CACHE_DIR
    return bool(folder) and Path(folder).is_dir() and not os.access(folder, os.W_OK)


def read_or_compiled(signatures, function, **options):
    """The function for these signatures, read where the cache has them, else compiled and not kept."""
    dispatcher = njit(**options)(function)
    try:
        dispatcher._cache = _ReadOnlyCache(dispatcher.py_func)  # noqa: SLF001 (what `cache=True` sets)
    except RuntimeError:  # there is no such folder at all
        return njit(signatures, **options)(function)
    for signature in signatures:
        dispatcher.compile(signature)
    dispatcher.disable_compile()
    return dispatcher


class _ToRead:
    """A place that only has to be there."""

    get_cache_path: Callable[[], str]  # numba's

    def ensure_cache_path(self):
        if not Path(self.get_cache_path()).is_dir():
            raise FileNotFoundError(self.get_cache_path())


class _Provided(_ToRead, _UserProvided):
    """``NUMBA_CACHE_DIR``."""


class _Beside(_ToRead, _InTree):
    """``__pycache__`` beside the source."""


class _Kept(caching.CompileResultCacheImpl):
    _locator_classes = (_Provided, _Beside)


class _ReadOnlyCache(caching.FunctionCache):
    _impl_class = _Kept

    def save_overload(self, sig, data):
        """Nothing is kept."""
