"""Compile all kernels into a folder, so that no later start does: for the builder of an image."""

from __future__ import annotations

import argparse
import json
import os
import pkgutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from ..printing import answer

_DTYPES = "float32", "float64", "uint8", "int8", "uint16", "int32", "int64"
_AXES = 1, 2, 3, 4


def run(options: argparse.Namespace) -> int:
    environment = {}
    if options.to is not None:
        folder = Path(options.to).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        environment["NUMBA_CACHE_DIR"] = str(folder)
    if options.cpu is not None:
        # Without the second the features of this very machine would come on top.
        environment |= {"NUMBA_CPU_NAME": options.cpu, "NUMBA_CPU_FEATURES": ""}
    if not options.quiet:
        sys.stderr.write("outrider: compiling the kernels, which may take a minute\n")
    first = _start(environment)
    again = _start(environment)
    if again["compiled"]:
        where = environment.get("NUMBA_CACHE_DIR", "numba's cache beside the package and in HOME")
        raise OSError(f"{where}: expected a folder that keeps the kernels, got one that kept nothing; say --to FOLDER")
    facts = {
        "kernels": again["loaded"],
        "compiled": first["compiled"],
        "folder": again["folder"],
        "processor": again["processor"],
        "environment": environment,
    }
    answer(facts, lambda: _print(facts), as_json=options.json)
    return 0


def _print(facts: dict[str, Any]) -> None:
    kept = f"{facts['kernels']} kernels for {facts['processor']} in {facts['folder']}, {facts['compiled']} of them new"
    sys.stdout.write(f"{kept}; another start compiled none\n")
    if facts["environment"]:
        settings = " ".join(f"{name}={value}" for name, value in facts["environment"].items())
        sys.stdout.write(f"start Outrider with {settings}\n")


def _start(environment: dict[str, str]) -> dict[str, Any]:
    """What a process of its own had to compile."""
    done = subprocess.run(
        [sys.executable, "-m", __name__], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise RuntimeError(f"expected kernels that compile, got {lines[-1] if lines else done.returncode}")
    return dict(json.loads(done.stdout))


def _import_all() -> dict[str, Any]:
    """Import every kernel of ours: how many were compiled, and how many came out of the cache."""
    import numpy as np
    from numba.core.registry import cpu_target

    from ...loop.kernels import frame_facts

    values = [value for name in _modules() for value in vars(import_module(name)).values()]
    frames = [frame_facts(np.dtype(dtype), axes) for dtype in _DTYPES for axes in _AXES]
    kernels = {id(value): value for value in [*values, *frames] if getattr(value, "nopython_signatures", None)}.values()
    loaded = sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels)
    folders = {str(Path(kernel.stats.cache_path).parent) for kernel in kernels if kernel.stats.cache_path}
    return {
        "compiled": sum(len(kernel.signatures) for kernel in kernels) - loaded,
        "loaded": loaded,
        "folder": os.path.commonpath(folders) if folders else None,
        "processor": cpu_target.target_context.codegen().magic_tuple()[1],
    }


def _modules() -> list[str]:
    """The modules that hold kernels, by name."""
    root = str(__package__).partition(".")[0]
    rooms = [f"{root}.{room}" for room in ("coverage", "monitor", "networks", "runtime")]  # an editable one has no list
    found = (one for room in rooms for one in pkgutil.walk_packages(import_module(room).__path__, f"{room}."))
    return [module.name for module in found if "kernels" in module.name.split(".")]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_import_all()))
