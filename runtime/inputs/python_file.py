"""A Python file of the user's, run as a script would be: it finds the modules and packages that lie beside it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any


def made_by(path: Path, factory: str) -> Any:
    """What a factory of a Python file returns, called without arguments. Raises whatever the file raises.

    Imports look beside the file first. In a package, a folder with an ``__init__.py``, relative ones work as well. Both
    end with the call: the path is as it was, and what was imported from there is forgotten, so that another file finds
    its own neighbours, of the same names too.
    """
    with _run(path) as module:
        return getattr(module, factory)()


def named_in(path: Path, name: str) -> Any:
    """What has a name in a Python file, such as a function, which is not called. See `made_by`."""
    with _run(path) as module:
        return getattr(module, name)


@contextmanager
def _run(path: Path) -> Iterator[ModuleType]:
    """The module of a file, whose neighbours are found until the block ends."""
    path = path.resolve()
    root, names = path.parent, [path.stem]
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        names.insert(0, root.name)
        root = root.parent
    name = ".".join(names)
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: expected a Python file")
    module = module_from_spec(spec)
    with _beside(dict.fromkeys((path.parent, root)), name, module):
        spec.loader.exec_module(module)
        yield module


@contextmanager
def _beside(folders: dict[Path, None], name: str, module: ModuleType) -> Iterator[None]:
    """Have imports find what lies in the folders, and the module by its name, until the block ends."""
    path, known = list(sys.path), dict(sys.modules)
    sys.path[:0] = map(str, folders)
    sys.modules[name] = module  # dataclasses, for one, ask for it
    try:
        yield
    finally:
        sys.path[:] = path
        for other, loaded in list(sys.modules.items()):
            if known.get(other) is not loaded and (loaded is module or _lies_in(loaded, folders, path)):
                if other in known:
                    sys.modules[other] = known[other]
                else:
                    del sys.modules[other]


def _lies_in(module: ModuleType, folders: dict[Path, None], path: list[str]) -> bool:
    """Whether a module was found in the folders, and would not be without them."""
    own = getattr(module, "__dict__", {})  # torch.classes answers any name that it is asked for
    places = [own.get("__file__"), *(own.get("__path__") or ())]
    places = [Path(place).resolve() for place in places if place]
    elsewhere = [Path(entry or ".").resolve() for entry in path]
    return any(
        place.is_relative_to(folder)
        and not any(other.is_relative_to(folder) and place.is_relative_to(other) for other in elsewhere)
        for place in places
        for folder in folders
    )
