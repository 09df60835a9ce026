from __future__ import annotations

import errno
import os

import pytest

from outrider.monitor import ExportError, ProfileError
from outrider.monitor.files import file_sha256, write_whole


def test_the_bytes_are_there_and_nothing_else(tmp_path):
    write_whole(tmp_path / "file", b"abc")
    assert (tmp_path / "file").read_bytes() == b"abc"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_loses_nothing_that_was_there(tmp_path, monkeypatch):
    write_whole(tmp_path / "file", b"before")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProfileError, match="write 3 bytes, got No space left on device; nothing that was there is los"):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_ctrl_c_in_the_middle_of_writing_leaves_nothing_behind(tmp_path, monkeypatch):
    write_whole(tmp_path / "file", b"before")

    def interrupted(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(
        ProfileError, match=r"none/m.outrider: expected to write 1 bytes, got No such file or directory"
    ):
        write_whole(tmp_path / "none" / "m.outrider", b"x")
    with pytest.raises(ExportError, match="expected the name of a file to write, got a folder"):
        write_whole(tmp_path, b"x", ExportError)


def test_the_hash_of_a_file(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
