"""The monitor at work: the command line, where its data come from, a model that carries its monitor, and the demo.

Names are loaded when they are first used, so that importing the room imports no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .in_graph.guarded_model import export, guard_facts
    from .log.log import EventLog
    from .loop.fallback import hold_last_safe
    from .loop.guard import Guard
    from .loop.metrics import metrics_text, serve_metrics
    from .loop.watchdog import Heartbeat, Watchdog

__all__ = [
    "EventLog",
    "Guard",
    "Heartbeat",
    "Watchdog",
    "export",
    "guard_facts",
    "hold_last_safe",
    "metrics_text",
    "serve_metrics",
]

_HOMES = {
    "EventLog": "log.log",
    "Guard": "loop.guard",
    "Heartbeat": "loop.watchdog",
    "Watchdog": "loop.watchdog",
    "export": "in_graph.guarded_model",
    "guard_facts": "in_graph.guarded_model",
    "hold_last_safe": "loop.fallback",
    "metrics_text": "loop.metrics",
    "serve_metrics": "loop.metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
