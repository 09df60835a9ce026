"""The kernel of Triton has its tests in `test_passes`, where it is interpreted; here is what imports it."""

from __future__ import annotations

import ast
from pathlib import Path

ROOM = Path(__file__).parents[4] / "networks" / "pytorch" / "fused"


def test_triton_is_imported_by_the_kernel_alone_and_that_when_it_runs():
    for path in (*ROOM.glob("*.py"), *ROOM.parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        names = {alias.name for node in top for alias in node.names} | {getattr(node, "module", "") for node in top}
        assert ("triton" in names) == (path.name == "one_pass.py"), path
        assert "one_pass" not in names, path
