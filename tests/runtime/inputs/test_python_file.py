"""A file of the user's beside its neighbours: they are found while it runs, and leave nothing behind."""

from __future__ import annotations

import sys

import pytest

from outrider.runtime.inputs.python_file import made_by


def write(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__in__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(autouse=True)
def nothing_is_left():
    path, modules = list(sys.path), set(sys.modules)
    yield
    assert sys.path == path
    new = {name.split(".")[0] for name in set(sys.modules) - modules}
    assert not new & {"neighbour", "house", "model"}


def test_modules_and_packages_beside_the_file_are_found(tmp_path):
    write(
        tmp_path, neighbour="VALUE = 3", house__in____init__="from .room import SIZE", house__in__room="SIZE = 4",
        model="import neighbour, house, house.room\ndef make(): return neighbour.VALUE + house.room.SIZE",
    )  # fmt: skip
    assert made_by(tmp_path / "model.py", "make") == 7


def test_a_module_that_answers_every_name_is_let_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "everything", None)
    del sys.modules["everything"]
    write(
        tmp_path, model="import sys, types\nclass Every(types.ModuleType):\n    __file__ = 'every.py'\n"
        "    def __getattr__(self, name): return 3\ndef make(): sys.modules['everything'] = Every('everything')",
    )  # fmt: skip
    made_by(tmp_path / "model.py", "make")
    assert sys.modules["everything"].anything == 3


def test_imports_of_the_factory_itself_are_found(tmp_path):
    write(tmp_path, neighbour="VALUE = 5", model="def make():\n    import neighbour\n    return neighbour.VALUE")
    assert made_by(tmp_path / "model.py", "make") == 5


def test_a_name_relative_to_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path / "a", neighbour="VALUE = 6", model="import neighbour\nmake = lambda: neighbour.VALUE")
    monkeypatch.chdir(tmp_path)
    from pathlib import Path

    assert made_by(Path("a/../a/model.py"), "make") == 6


def test_relative_imports_work_in_a_package(tmp_path):
    write(
        tmp_path, house__in____init__="", house__in__room="SIZE = 8", house__in__deep____in____init__="",
        neighbour="VALUE = 1",
        house__in__deep__in__model="from ..room import SIZE\nimport neighbour as n\nmake = lambda: SIZE + n.VALUE",
    )  # fmt: skip
    (tmp_path / "house/deep/__init__.py").write_text("")
    assert made_by(tmp_path / "house/deep/model.py", "make") == 9


def test_two_files_of_one_name_and_neighbours_of_one_name_do_not_mix(tmp_path):
    for value in (1, 2):
        write(
            tmp_path / str(value), neighbour=f"VALUE = {value}",
            model="import neighbour\nclass Net:\n    def value(self): return neighbour.VALUE",
        )  # fmt: skip
    nets = [made_by(tmp_path / str(value) / "model.py", "Net") for value in (1, 2, 1)]
    assert [net.value() for net in nets] == [1, 2, 1]
    assert type(nets[0]) is not type(nets[1])


def test_a_file_of_the_name_of_a_module_leaves_that_as_it_was(tmp_path):
    import json

    write(tmp_path, json="def make(): return 'mine'")
    assert made_by(tmp_path / "json.py", "make") == "mine"
    assert sys.modules["json"] is json


def test_what_asks_for_its_own_module_finds_it(tmp_path):
    first = "from __future__ import annotations\nfrom dataclasses import dataclass\n"
    write(tmp_path, model=first + "@dataclass\nclass Net:\n    size: int = 3")
    assert made_by(tmp_path / "model.py", "Net").size == 3


def test_what_others_imported_meanwhile_stays(tmp_path):
    sys.modules.pop("this", None)
    write(tmp_path, model="import colorsys\ndef make(): return colorsys")
    sys.modules.pop("colorsys", None)
    found = made_by(tmp_path / "model.py", "make")
    assert sys.modules["colorsys"] is found


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ("import neighbours", ModuleNotFoundError, "No module named 'neighbours'"),
        ("def make(): raise KeyError('x')", KeyError, "x"),
        ("value = 1", AttributeError, "has no attribute 'make'"),
        ("from .room import SIZE", ImportError, "relative import with no known parent package"),
    ],
)
def test_whatever_breaks_is_undone_too(tmp_path, code, error, words):
    write(tmp_path, model=code)
    with pytest.raises(error, match=words):
        made_by(tmp_path / "model.py", "make")
