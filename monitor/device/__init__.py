"""The judge as PyTorch operations: deviations, score and alarm beside a module's own kernels, on its device.

Names are loaded when they are first used: PyTorch is imported by the files of this room, not by the room.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ...networks.packages import install_hint

if TYPE_CHECKING:
    from .captured import Captured
    from .frames import DeviceFrameJudge, DeviceMonitor
    from .guarded import Guarded, GuardedFrames, GuardedModule, guarded_module
    from .judge import BYTES_A_FRAME, DeviceJudge, Waiting

__all__ = [
    "BYTES_A_FRAME", "Captured", "DeviceFrameJudge", "DeviceJudge", "DeviceMonitor", "Guarded", "GuardedFrames",
    "GuardedModule", "Waiting", "guarded_module",
]  # fmt: skip

_MODULES = {
    "captured": ("Captured",),
    "frames": ("DeviceFrameJudge", "DeviceMonitor"),
    "guarded": ("Guarded", "GuardedFrames", "GuardedModule", "guarded_module"),
    "judge": ("BYTES_A_FRAME", "DeviceJudge", "Waiting"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"{name} needs PyTorch: {install_hint('torch')}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
