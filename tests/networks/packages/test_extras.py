"""A package that is missing is named by the command that installs it, from where the distribution came."""

from __future__ import annotations

import json
import math
import re
import shlex
import sys
from configparser import ConfigParser
from importlib.metadata import PackageNotFoundError, PathDistribution
from pathlib import Path

import pytest

from outrider.networks.packages import extras, install_hint, require

ROOT = Path(__file__).parents[3]
ROOMS = ("networks", "coverage", "monitor", "runtime", "benchmarks")
REQUIRES = """\
Metadata-Version: 2.1
Name: outrider
Version: 0.1.0
Requires-Dist: numpy>=1.26
Provides-Extra: onnx
Requires-Dist: onnxruntime>=1.17; extra == "onnx"
Provides-Extra: drive
Requires-Dist: outrider[onnx]; extra == "drive"
Requires-Dist: gymnasium[box2d]>=1.0; extra == "drive"
Requires-Dist: onnxruntime>=1.17; extra == "drive"
Requires-Dist: pillow>=10; extra == 'driver'
Requires-Dist: cyclonedds>=11.0; (python_version < "3.14" and platform_machine != "aarch64") and extra == "drive"
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A distribution as pip leaves it, of this direct_url.json or none."""

    def install(origin=None):
        folder = tmp_path / "outrider-0.1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(REQUIRES)
        if origin is not None:
            (folder / "direct_url.json").write_text(json.dumps(origin))
        monkeypatch.setattr(extras, "distribution", lambda _name: PathDistribution(folder))
        monkeypatch.setattr(extras, "_CHECKOUT", tmp_path / "site-packages")

    return install


def test_a_package_that_is_there_is_given():
    assert require("math", "numbers need more packages") is math


def test_a_missing_one_is_named_by_need_and_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "absent.part", None)
    for extra, rest in (("report", ("report",)), ("watch", ())):
        with pytest.raises(ImportError, match=f"^a page needs more packages: {re.escape(install_hint(extra))}$"):
            require("absent.part", "a page needs more packages", *rest)


@pytest.mark.parametrize(("editable", "words"), [(True, ["pip", "install", "-e"]), (False, ["pip", "install"])])
@pytest.mark.parametrize("name", ["plain", "with spaces", "O'Hara's [old] 100%"])
def test_a_folder_is_named_as_it_was_installed(editable, words, name, tmp_path, installed):
    folder = tmp_path / name
    folder.mkdir()
    installed({"url": folder.as_uri(), "dir_info": {"editable": editable} if editable else {}})
    assert shlex.split(install_hint("drive")) == [*words, f"{folder}[drive]"]


def test_a_wheel_is_named_by_its_path(tmp_path, installed):
    wheel = tmp_path / "outrider-0.1.0-py3-none-any.whl"
    wheel.touch()
    installed({"url": wheel.as_uri(), "archive_info": {"hashes": {"sha256": "ab"}}})
    assert install_hint("onnx") == f"pip install '{wheel}[onnx]'"


def test_a_repository_is_named_at_its_commit(installed):
    vcs = {"vcs": "git", "requested_revision": "main", "commit_id": "c0ffee"}
    installed({"url": "https://example.org/fork/outrider.git", "vcs_info": vcs, "subdirectory": "py"})
    where = "git+https://example.org/fork/outrider.git@c0ffee#subdirectory=py"
    assert install_hint("drive") == f"pip install 'outrider[drive] @ {where}'"


def test_a_local_repository_is_a_repository_and_no_folder(tmp_path, installed):
    installed({"url": tmp_path.as_uri(), "vcs_info": {"vcs": "git", "commit_id": "c0ffee"}})
    assert install_hint("drive") == f"pip install 'outrider[drive] @ git+{tmp_path.as_uri()}@c0ffee'"


def test_a_file_from_the_web_keeps_its_digest(installed):
    installed({"url": "https://example.org/outrider.whl", "archive_info": {"hashes": {"sha256": "ab12"}}})
    assert install_hint("onnx") == "pip install 'outrider[onnx] @ https://example.org/outrider.whl#sha256=ab12'"


@pytest.mark.parametrize("origin", [None, {"url": "file:///gone/for/good", "dir_info": {}}])
def test_without_an_origin_the_extra_is_spelled_out(origin, installed):
    installed(origin)
    assert shlex.split(install_hint("drive")) == [
        *("pip", "install", "onnxruntime>=1.17", "gymnasium[box2d]>=1.0"),
        'cyclonedds>=11.0; (python_version < "3.14" and platform_machine != "aarch64")',
    ]


def test_the_bare_name_waits_for_its_registration(installed, monkeypatch):
    installed()
    assert "outrider" not in install_hint("onnx")
    monkeypatch.setattr(extras, "REGISTERED", True)
    assert install_hint("onnx") == "pip install 'outrider[onnx]'"


def test_a_checkout_is_named_whether_it_was_installed_or_not(tmp_path, monkeypatch, installed):
    def absent(_name):
        raise PackageNotFoundError

    installed()  # as setuptools leaves its facts beside setup.cfg, without a direct_url.json
    monkeypatch.setattr(extras, "_CHECKOUT", tmp_path)
    (tmp_path / "setup.cfg").touch()
    assert install_hint("onnx") == f"pip install -e '{tmp_path}[onnx]'"
    monkeypatch.setattr(extras, "distribution", absent)
    assert install_hint("onnx") == f"pip install -e '{tmp_path}[onnx]'"
    (tmp_path / "setup.cfg").unlink()
    assert install_hint("onnx") == "install outrider anew with its extra 'onnx'"


def test_on_windows_the_quotes_are_double(tmp_path, installed, monkeypatch):
    installed({"url": tmp_path.as_uri(), "dir_info": {"editable": True}})
    monkeypatch.setattr(extras.os, "name", "nt")
    monkeypatch.setattr(extras, "Path", type(tmp_path))
    assert install_hint("drive") == f'pip install -e "{tmp_path}[drive]"'


def test_no_other_message_names_the_distribution_alone():
    """Documents say ``pip install '.[drive]'``, which asks no index; messages are made by `install_hint`."""
    here = Path(extras.__file__).resolve()
    documents = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    sources = [path for room in ROOMS for path in (ROOT / room).rglob("*.py") if path.resolve() != here]
    bare = re.compile(r"pip3? install[^\n`]*?[ '\"]outrider\b")
    assert [path for path in [*sources, *documents] if bare.search(path.read_text())] == []
    assert bare.search("pip install 'outrider[drive]'")
    assert bare.search("pip install -U outrider")


def test_every_extra_that_a_message_names_is_one_of_ours():
    configuration = ConfigParser()
    configuration.read(ROOT / "setup.cfg")
    named = set()
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        named |= set(re.findall(r"""(?:install_hint\(|\brequire\([^()]*, )["']([a-z]+)["']\)""", path.read_text()))
    assert {"onnx", "torch", "lvlm", "report", "dds"} <= named <= set(configuration["options.extras_require"])
