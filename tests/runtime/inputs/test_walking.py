"""Folders with links, loops, hidden things and files of other kinds."""

from __future__ import annotations

import os

import pytest

from outrider.runtime.inputs.walking import left_out, walk


@pytest.fixture
def tree(tmp_path):
    """A folder with three pictures of its own, one behind a link, and much else."""
    root = tmp_path / "root"
    for name in ("b/2.PNG", "a/1.png", "3.jpg", "a/notes.txt", "README", ".hidden.png", ".git/4.png", "a/._1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    other = tmp_path / "other"
    other.mkdir()
    (other / "5.png").touch()
    (root / "linked").symlink_to(other, target_is_directory=True)
    return root


def names(found, root):
    return [str(path.relative_to(root)) for path in found.files]


def test_all_that_is_read_and_all_that_is_not(tree):
    found = walk(tree, (".png", ".jpg"))
    assert names(found, tree) == ["3.jpg", "a/1.png", "b/2.PNG", "linked/5.png"]
    assert found.followed == 1
    assert found.skipped == {"hidden file": 2, "hidden folder": 1, ".txt": 1, "no suffix": 1}
    assert left_out(found.skipped, found.followed) == (
        "followed 1 linked folder; left out 2 hidden files, 1 hidden folder, 2 files of other kinds"
        " (.txt 1, no suffix 1)"
    )


def test_loops_end_and_no_folder_is_read_twice(tree):
    (tree / "a" / "up").symlink_to(tree, target_is_directory=True)
    (tree / "a" / "further_up").symlink_to(tree.parent, target_is_directory=True)
    (tree / "0_again").symlink_to(tree / "b", target_is_directory=True)
    (tree.parent / "other" / "back").symlink_to(tree / "linked", target_is_directory=True)
    found = walk(tree, (".png",))
    assert names(found, tree) == ["a/1.png", "b/2.PNG", "linked/5.png"]
    assert (found.followed, found.skipped["repeated folder"]) == (1, 4)


def test_a_folder_whose_own_name_is_hidden_or_a_link_is_read(tree, tmp_path):
    link = tmp_path / ".cache"
    link.symlink_to(tree, target_is_directory=True)
    found = walk(link, (".png",))
    assert names(found, link) == ["a/1.png", "b/2.PNG", "linked/5.png"]
    assert found.followed == 1


def test_links_to_files_are_files_and_links_to_nothing_are_said(tree):
    (tree / "6.png").symlink_to(tree / "3.jpg")
    (tree / "7.png").symlink_to(tree / "nowhere.png")
    (tree / "9.png").symlink_to(tree / "9.png")
    os.mkfifo(tree / "8.png")
    found = walk(tree, (".png",), deep=False)
    assert names(found, tree) == ["6.png"]
    assert found.skipped == {
        "hidden file": 1,
        "hidden folder": 1,
        "folder": 3,
        "broken link": 2,
        "special file": 1,
        ".jpg": 1,
        "no suffix": 1,
    }


def test_a_folder_that_cannot_be_opened_is_said(tree, monkeypatch):
    scandir = os.scandir

    def closed(path):
        if path.name == "a":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = walk(tree, (".png",))
    assert names(found, tree) == ["b/2.PNG", "linked/5.png"]
    assert found.skipped["closed folder"] == 1
    with pytest.raises(PermissionError):
        walk(tree / "a", (".png",))


def test_nothing_left_out_says_nothing_and_long_lists_are_cut():
    assert left_out({}) == ""
    words = left_out({f".{n}": n for n in range(1, 9)} | {"hidden file": 1200})
    assert words == "left out 1,200 hidden files, 36 files of other kinds (.8 8, .7 7, .6 6, .5 5, .4 4, …)"
