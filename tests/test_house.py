"""The rules that hold between the rooms: names, imports, what the wheel carries."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from outrider.networks.packages import install_hint

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "coverage": set(),
    "networks": set(),
    "monitor": {"coverage", "networks"},
    "runtime": {"coverage", "networks", "monitor"},
}
OPTIONAL = (
    "PIL", "accelerate", "av", "cv2", "cyclonedds", "datasets", "foolbox", "gguf", "google.protobuf", "gymnasium",
    "imagecorruptions", "jinja2", "matplotlib", "mcap", "onnx", "onnxruntime", "onnxruntime_genai", "peft",
    "prometheus_client", "rerun", "rosbags", "sklearn", "tokenizers", "torch", "torchattacks", "torchvision",
    "transformers", "trl",
)  # fmt: skip
TORCH_ONLY = {
    "HELD_OUT",
    "LeNet",
    "SmallResNet",
    "TorchNetwork",
    "torchvision_classifier",
    "trained",
    "trained_names",
    "untrained",
}
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


def package_of(path: Path) -> tuple[str, ...]:
    """The package that a file's relative imports start from; runtime/front is `outrider` itself."""
    return ("outrider",) if path.parts[:2] == ("runtime", "front") else ("outrider", *path.parts[:-1])


def imported(path: Path, tree: ast.AST) -> Iterator[str]:
    """The full names that a module of ours imports, wherever the import stands; ours begin with ``outrider.``."""
    package = package_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            origin = ".".join(part for part in (base, node.module) if part)
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def for_types_only(tree: ast.AST) -> ast.AST:
    """The module without what it imports for its type annotations."""
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return tree


def module_name(path: Path) -> str:
    parts = (*package_of(path), path.stem)
    return ".".join(parts[:-1] if path.stem == "__init__" else parts)


def arrows(within: str = "") -> dict[str, set[str]]:
    """Which module of ours imports which, or which of the rooms that stand side by side within one."""
    files = [item for room in MAY_IMPORT for item in modules(room)]
    names = {module_name(path) for path, _ in files}
    found: dict[str, set[str]] = {}
    for path, tree in files:
        for name in imported(path, for_types_only(tree)):
            target = name if name in names else name.rpartition(".")[0]
            if target not in names:
                continue
            ends = [module_name(path), target]
            if within:
                ends = [end.removeprefix(within + ".").split(".")[0] for end in ends if end.startswith(within + ".")]
            if len(ends) == 2 and ends[0] != ends[1]:
                found.setdefault(ends[0], set()).add(ends[1])
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The names along a circle of arrows, empty where there is none."""
    done: set[str] = set()

    def follow(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        done.add(name)
        return next((found for other in sorted(graph.get(name, ())) if (found := follow(other, [*way, name]))), [])

    return next((found for name in sorted(graph) if (found := follow(name, []))), [])


def test_no_import_runs_in_a_circle():
    graph = arrows()
    assert len(graph) > 150
    assert not circle(graph)
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


@pytest.mark.parametrize("room", ["networks", "coverage", "monitor", "runtime"])
def test_rooms_side_by_side_do_not_import_each_other_in_a_circle(room):
    assert not circle(arrows(f"outrider.{room}"))


def test_every_file_is_of_one_idea_and_every_room_small():
    rooms: dict[Path, int] = {}
    for room in MAY_IMPORT:
        for path in (ROOT / room).rglob("*.py"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, path
            rooms[path.parent] = rooms.get(path.parent, 0) + (path.name != "__init__.py")
    assert not {str(room): count for room, count in rooms.items() if count > 14}


def test_every_module_has_its_test_at_the_same_path():
    for room in MAY_IMPORT:
        for path, _ in modules(room):
            if path.name != "__init__.py":
                assert (ROOT / "tests" / path.parent / f"test_{path.name}").is_file(), path


def test_no_two_public_classes_have_one_name():
    seen: dict[str, Path] = {}
    for room in MAY_IMPORT:
        for path, tree in modules(room):
            for node in tree.body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    assert node.name not in seen, f"{node.name}: {path} and {seen[node.name]}"
                    seen[node.name] = path


def test_only_the_command_line_parses_arguments():
    for room in MAY_IMPORT:
        for path, tree in modules(room):
            ours = path.parts[:2] == ("runtime", "cli") or path == Path("networks/zoo/train.py")  # a script of its own
            assert ours or not [name for name in imported(path, tree) if name.split(".")[0] == "argparse"], path


@pytest.mark.parametrize(
    "room", ["outrider", "outrider.coverage", "outrider.monitor", "outrider.networks", "outrider.runtime"]
)
def test_what_a_room_lists_is_there(room):
    module = importlib.import_module(room)
    listed = module.__all__
    assert len(set(listed)) == len(listed)
    for name in listed:
        if not (name in TORCH_ONLY and importlib.util.find_spec("torch") is None):
            assert getattr(module, name) is not None, name
    assert set(listed) <= set(dir(module))
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        module.nothing_of_that_name  # noqa: B018


def test_importing_the_front_is_cheap(tmp_path):
    code = "import sys, outrider; print(*(name for name in sys.modules if name.split('.')[0] in %r))"
    assert python(code % (("numba", "numpy", "torch", "onnxruntime", "scipy", "rich"),), tmp_path) == ""


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


def test_a_python_started_in_the_root_imports_numba_then_us():
    assert python("import numba, outrider.coverage; print(outrider.coverage.__name__)", ROOT) == "outrider.coverage"


def test_the_bare_name_coverage_is_refused_in_the_root():
    code = "try: import coverage\nexcept ImportError as error: print(error)"
    assert "outrider.coverage" in python(code, ROOT)


def test_the_package_itself_is_the_front(tmp_path):
    code = "import outrider; print(outrider.__doc__[:9], outrider.runtime.__name__, outrider.__version__)"
    assert python(code, tmp_path).split() == ["Outrider:", "outrider.runtime", version("outrider")]


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
        ("networks.transformers.open_decoder('folder')", "lvlm"),
    ],
)
def test_a_missing_extra_is_named_with_its_install_command(call, extra, tmp_path):
    rooms = "import outrider.networks.transformers\nfrom outrider import networks"
    code = f"{WITHOUT_OPTIONAL}\n{rooms}\ntry: {call}\nexcept ImportError as error: print(error)"
    message = python(code, tmp_path)
    assert install_hint(extra) in message
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
    files = (path.relative_to(ROOT) for room in MAY_IMPORT for path in (ROOT / room).rglob("*") if path.is_file())
    ours = {f"outrider/{path}" for path in files if path.suffix != ".md" and "__pycache__" not in path.parts}
    assert held == {name.replace("outrider/runtime/front/", "outrider/") for name in ours}
