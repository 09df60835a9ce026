"""The benchmarks use what every user can: public names, and no attribute of ours that begins with an underscore."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("coverage", "monitor", "networks", "runtime")
PUBLIC = {
    "outrider": "the front",
    **{f"outrider.{room}": "a room" for room in ROOMS},
    "outrider.monitor.device": "a room within",
    "outrider.monitor.device.forms": "what the benchmark checks on a device",
    "outrider.monitor.evaluation": "a room within",
    "outrider.monitor.evaluation.adaptive": "a room within",
    "outrider.monitor.heads": "a room within",
    "outrider.monitor.kinds": "a room within",
    "outrider.networks.cost": "a room within",
    "outrider.networks.pytorch.fused": "what the benchmark checks on a device",
    "outrider.networks.testbed": "a room within",
    "outrider.networks.transformers": "a room within",
    "outrider.networks.tuning": "a room within",
    "outrider.networks.tuning.clip": "a room within",
    "outrider.networks.tuning.reasons": "a room within",
    "outrider.runtime.evaluation": "a room within",
    "outrider.runtime.generate": "a room within",
    "outrider.runtime.lab.analysis": "a room within",
    "outrider.runtime.lab.evaluation": "a room within",
    "outrider.runtime.inputs.streams": "the readers that benchmarks measure",
    "outrider.runtime.demos.drive": "the experiment that benchmarks/loop/drive.py runs on other tracks",
}
DUNDER = {"__doc__", "__file__", "__init__", "__name__", "__version__"}
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "benchmarks").rglob("*.py"))


def refused(source: str) -> list[str]:
    """What a source uses that is not public, in words."""
    return [f"line {node.lineno}: {what}" for node in ast.walk(ast.parse(source)) for what in _of_node(node)]


def _of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.split(".")[0] in ("outrider", *ROOMS))
    elif isinstance(node, ast.ImportFrom) and not node.level:
        module = node.module or ""
        if module.split(".")[0] in ROOMS or (module.split(".")[0] == "outrider" and module not in PUBLIC):
            yield module
        elif module in PUBLIC:
            public = getattr(import_module(module), "__all__", ())
            yield from (f"{module}.{alias.name}" for alias in node.names if alias.name not in public)
    elif isinstance(node, ast.Attribute):
        on_self = isinstance(node.value, ast.Name) and node.value.id == "self"
        if node.attr.startswith("_") and not on_self and node.attr not in DUNDER:
            yield ast.unparse(node)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in (
        "getattr", "setattr", "attrgetter", "vars", "import_module", "__import__", "run_module",
    ):  # fmt: skip
        texts = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        if any(str(text).startswith(("_", "outrider")) for text in texts):
            yield ast.unparse(node)


@pytest.mark.parametrize("file", FILES)
def test_benchmarks_import_public_names_only(file):
    assert refused((ROOT / file).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from outrider.monitor.calibration import auroc",
        "from outrider.monitor import _private",
        "from outrider.monitor import calibration",
        "from outrider.runtime.log.log import EventLog",
        "import outrider.monitor.calibration",
        "import outrider.monitor as monitor",
        "from monitor import Monitor",
        "from outrider.networks import *",
        "def late():\n    from outrider.networks.zoo.train import HELD_OUT",
        "guard._plan",
        "guard.plan._steps[0]()",
        "plan.observe.__self__",
        "getattr(guard, '_plan')",
        "import_module('outrider.monitor.judge')",
    ],
)
def test_what_is_not_public_is_refused(source):
    assert refused(source)


@pytest.mark.parametrize(
    "source",
    [
        "from outrider.monitor import Monitor, auroc",
        "from ..tables import show\nfrom outrider.networks import OnnxNetwork",
        "self._spent = type(self).__name__",
        "getattr(found, name)",
    ],
)
def test_what_is_public_is_not(source):
    assert refused(source) == []
