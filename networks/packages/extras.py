"""Packages that only some uses need, each part of an extra of ours, and the command that installs an extra.

A command that names ``outrider`` alone asks a package index for it, and hands over whatever stands there under that
name. So the command is made from where this distribution was installed: pip leaves that in ``direct_url.json``
(PEP 610).
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

NAME = "outrider"
# The commit that registers the name on the package index says so here. Until then nobody of ours stands behind it.
REGISTERED = False
_CHECKOUT = Path(__file__).resolve().parents[2]


def require(package: str, need: str, extra: str = "watch") -> Any:
    """The package, imported. Raises ImportError that says the need and the command that installs the extra."""
    try:
        return import_module(package)
    except ImportError:
        raise ImportError(f"{need}: {install_hint(extra)}") from None


def install_hint(extra: str) -> str:
    """The command that installs an extra of ours into this environment, ready to paste into a shell.

    It names the checkout, file or repository that this distribution was installed from, or the checkout that this
    file lies in. Where there is neither, or a folder or file is gone, it names the packages of the extra themselves:
    they are registered, ours is not.
    """
    in_checkout = (_CHECKOUT / "setup.cfg").is_file()  # seen from there, what setuptools left hides what pip left
    try:
        ours = distribution(NAME)
    except PackageNotFoundError:
        ours = None
    origin = None if ours is None else ours.read_text("direct_url.json")
    if origin is None and in_checkout:
        return _pip(f"{_CHECKOUT}[{extra}]", editable=True)
    if ours is None:
        return f"install {NAME} anew with its extra {extra!r}"
    if origin is not None:
        try:
            return _from_origin(json.loads(origin), extra) or _packages(ours, extra)
        except (ValueError, KeyError, AttributeError):  # written by another hand than pip's
            return _packages(ours, extra)
    return _pip(f"{NAME}[{extra}]") if REGISTERED else _packages(ours, extra)


def _from_origin(origin: dict[str, Any], extra: str) -> str | None:
    """The command for what a direct_url.json tells. None for a folder or a file that is gone."""
    url = str(origin["url"])
    if url.startswith("file:") and "vcs_info" not in origin:
        from urllib.request import url2pathname  # slow to import, and only errors need it

        path = Path(url2pathname(urlsplit(url).path))
        editable = bool(origin.get("dir_info", {}).get("editable"))
        return _pip(f"{path}[{extra}]", editable=editable) if path.exists() else None
    fragments = []
    if "vcs_info" in origin:
        version_control = origin["vcs_info"]
        url = f"{version_control['vcs']}+{url}@{version_control['commit_id']}"
    for name, value in origin.get("archive_info", {}).get("hashes", {}).items():
        fragments.append(f"{name}={value}")
    if "subdirectory" in origin:
        fragments.append(f"subdirectory={origin['subdirectory']}")
    return _pip(f"{NAME}[{extra}] @ {url}" + ("#" + "&".join(fragments) if fragments else ""))


def _packages(ours: Distribution, extra: str) -> str:
    return _pip(*dict.fromkeys(_requirements(ours.requires or [], extra)))


def _requirements(lines: list[str], extra: str) -> Iterator[str]:
    """What an extra asks for, by the metadata of a distribution; extras of ours that it names are followed."""
    asked = re.compile(rf"""(?:\s*\band\s+)?extra\s*==\s*["']{re.escape(extra)}["']""")
    for line in lines:
        requirement, _, marker = line.partition(";")
        if asked.search(marker) is None:
            continue
        condition = asked.sub("", marker).strip()
        nested = re.fullmatch(rf"{NAME}\[(.+)\]", requirement.strip())
        if nested:
            for other in nested[1].split(","):
                yield from _requirements(lines, other.strip())
        else:
            yield f"{requirement.strip()}; {condition}" if condition else requirement.strip()


def _pip(*requirements: str, editable: bool = False) -> str:
    option = " -e" if editable else ""
    return f"pip install{option} {' '.join(_quoted(requirement) for requirement in requirements)}"


def _quoted(text: str) -> str:
    """In quotes for a POSIX shell, on Windows for cmd and PowerShell."""
    if os.name != "nt":
        return shlex.quote(text)
    text = text.replace('"', "'")  # in a marker alone: no path there holds one
    return f'"{text}"'
