"""Import torchvision, also next to a torch that its compiled part was not built for."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import torch

from ..packages import install_hint

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: torch.library.Library | None = None


def import_torchvision() -> ModuleType:
    """The module torchvision. Raises ImportError where it is not installed.

    Its wheels are linked against a CUDA build of torch. Next to a CPU build the compiled operators are missing, and
    the import dies while it registers shape functions for them; declaring the two schemas lets models, transforms
    and datasets work. The operators themselves (nms, roi_align) stay absent.
    """
    global _declared  # noqa: PLW0603 - torch withdraws the schemas when the Library object is collected
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ImportError(f"this needs torchvision: {install_hint('vision')}")
    if _declared is None and not _compiled_part_loads(Path(spec.origin).parent):
        _declared = torch.library.Library("torchvision", "DEF")
        for schema in _SCHEMAS:
            _declared.define(schema)
    return importlib.import_module("torchvision")


def _compiled_part_loads(folder: Path) -> bool:
    for library in sorted([*folder.glob("_C*.so"), *folder.glob("_C*.pyd")]):
        try:
            torch.ops.load_library(str(library))
        except OSError:
            continue
        return True
    return False
