"""The rules that hold between the rooms: names, imports, what the wheel carries."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "coverage": set(),
    "networks": set(),
    "monitor": {"coverage", "networks"},
    "runtime": {"coverage", "networks", "monitor"},
}
OPTIONAL = (
    "PIL", "av", "cyclonedds", "google.protobuf", "gymnasium", "jinja2", "matplotlib", "mcap", "onnx", "onnxruntime",
    "prometheus_client", "rerun", "rosbags", "sklearn", "torch", "torchattacks", "torchvision", "transformers",
)  # fmt: skip
UNSAFE = {"cPickle", "cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}

# Makes the optional packages as absent as on a machine that never had them.
WITHOUT_OPTIONAL = f"""
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if any(name == absent or name.startswith(absent + ".") for absent in {OPTIONAL!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


def python(code: str, folder: Path) -> str:
    """What the code prints, run by a fresh interpreter started in the folder."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def modules(room: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / room).rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, tree: ast.Module) -> Iterator[str]:
    """The full names that a module of ours imports, wherever the import stands; ours begin with ``outrider.``."""
    package = ("outrider", *path.parts[:-1])
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_below_it(room):
    for path, tree in modules(room):
        for name in imported(path, tree):
            if name.split(".")[0] == "outrider":
                assert name.split(".")[1] in {room, *MAY_IMPORT[room]}, f"{path} imports {name}"


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_imports_of_our_own_are_relative(room):
    for path, tree in modules(room):
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            assert not [name for name in names if name.split(".")[0] in {"outrider", *MAY_IMPORT}], path


def test_coverage_needs_numpy_and_numba_only():
    for path, tree in modules("coverage"):
        roots = {name.split(".")[0] for name in imported(path, tree)}
        assert roots - set(sys.stdlib_module_names) <= {"numpy", "numba", "outrider"}, path


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_nothing_is_pickled(room):
    for path, tree in modules(room):
        assert not UNSAFE & {name.split(".")[0] for name in imported(path, tree)}, path
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                assert ast.unparse(node.func) != "torch.load", path
                assert not [
                    keyword
                    for keyword in node.keywords
                    if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
                ], path


def test_benchmarks_run_the_public_api():
    for path, tree in modules("benchmarks"):
        for name in imported(path, tree):
            if name.startswith("outrider.") and not name.startswith("outrider.benchmarks"):
                assert not [part for part in name.split(".") if part.startswith("_")], f"{path} imports {name}"


def test_a_python_started_in_the_root_imports_numba_then_us():
    assert python("import numba, outrider.coverage; print(outrider.coverage.__name__)", ROOT) == "outrider.coverage"


def test_the_bare_name_coverage_is_refused_in_the_root():
    code = "try: import coverage\nexcept ImportError as error: print(error)"
    assert "outrider.coverage" in python(code, ROOT)


def test_outrider_is_a_namespace_without_a_file(tmp_path):
    assert python("import outrider; print(outrider.__file__)", tmp_path) == "None"


def test_the_core_imports_without_optional_packages(tmp_path):
    code = WITHOUT_OPTIONAL + "import outrider.coverage, outrider.monitor, outrider.networks, outrider.runtime"
    assert python(code, tmp_path) == ""


def test_importing_the_core_does_not_import_optional_packages(tmp_path):
    code = "import sys, outrider.coverage, outrider.monitor, outrider.networks, outrider.runtime\nprint(*sys.modules)"
    assert not {name for name in python(code, tmp_path).split() if name in OPTIONAL}


@pytest.mark.parametrize(
    ("call", "extra"),
    [
        ("networks.TorchNetwork(None, (1,))", "torch"),
        ("networks.OnnxNetwork(b'')", "onnx"),
        ("networks.load_dataset('digits')", "demo"),
    ],
)
def test_a_missing_extra_is_named_with_its_install_command(call, extra, tmp_path):
    code = f"{WITHOUT_OPTIONAL}\nfrom outrider import networks\ntry: {call}\nexcept ImportError as error: print(error)"
    message = python(code, tmp_path)
    assert f"pip install 'outrider[{extra}]'" in message
    assert "\n" not in message


def test_the_wheel_holds_the_rooms_and_nothing_else(tmp_path):
    source = tmp_path / "source"
    skipped = shutil.ignore_patterns("__pycache__")
    for room in MAY_IMPORT:
        shutil.copytree(ROOT / room, source / room, ignore=skipped)
    for file in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    name = python("from setuptools.build_meta import build_wheel; print(build_wheel('.'))", source).splitlines()[-1]
    with zipfile.ZipFile(source / name) as wheel:
        held = {file for file in wheel.namelist() if ".dist-info/" not in file}
    ours = {
        f"outrider/{path.relative_to(ROOT)}"
        for room in MAY_IMPORT
        for path in (ROOT / room).rglob("*")
        if path.is_file() and path.suffix != ".md" and "__pycache__" not in path.parts
    }
    assert held == ours
