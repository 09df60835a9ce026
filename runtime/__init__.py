"""The monitor at work: the command line, where its data come from, a model that carries its monitor, and the demo.

Names are loaded when they are first used, so that importing the room imports no engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .budget.choice import TapChoice
    from .budget.within import taps_within
    from .generate.chat import ChatGuard, Reply
    from .generate.generating import GuardedAnswer, guarded_generate
    from .generate.prechecking import Precheck, precheck, refusal_prefix
    from .generate.processors import GuardProcessor, RefusalPrefix
    from .generate.refusals import RULES, Refusals
    from .in_graph.exporting import export
    from .in_graph.guarded_model import guard_facts
    from .in_graph.heads.exporting import export_heads
    from .in_graph.heads.threshold import guarded_scores, recalibrate_guarded, set_threshold
    from .log.log import EventLog
    from .log.reader import read_events
    from .loop.drift import DriftTest
    from .loop.fallback import Fallback, hand_over, hold_last_safe, scale_down, stop
    from .loop.guard import Guard
    from .loop.temporal import Cusum, KOfN, RegionsKOfN
    from .loop.watchdog import Heartbeat, Watchdog
    from .outlets.prometheus import metrics_text, serve_metrics
    from .report.kept import read_kept

_NAMES = {
    "budget.choice": ("TapChoice",),
    "budget.within": ("taps_within",),
    "generate.chat": ("ChatGuard", "Reply"),
    "generate.generating": ("GuardedAnswer", "guarded_generate"),
    "generate.prechecking": ("Precheck", "precheck", "refusal_prefix"),
    "generate.processors": ("GuardProcessor", "RefusalPrefix"),
    "generate.refusals": ("RULES", "Refusals"),
    "in_graph.exporting": ("export",),
    "in_graph.guarded_model": ("guard_facts",),
    "in_graph.heads.exporting": ("export_heads",),
    "in_graph.heads.threshold": ("guarded_scores", "recalibrate_guarded", "set_threshold"),
    "log.log": ("EventLog",),
    "log.reader": ("read_events",),
    "loop.drift": ("DriftTest",),
    "loop.fallback": ("Fallback", "hand_over", "hold_last_safe", "scale_down", "stop"),
    "loop.guard": ("Guard",),
    "loop.temporal": ("Cusum", "KOfN", "RegionsKOfN"),
    "loop.watchdog": ("Heartbeat", "Watchdog"),
    "outlets.prometheus": ("metrics_text", "serve_metrics"),
    "report.kept": ("read_kept",),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = [
    "RULES", "ChatGuard", "Cusum", "DriftTest", "EventLog", "Fallback", "Guard", "GuardProcessor", "GuardedAnswer",
    "Heartbeat", "KOfN", "Precheck", "RefusalPrefix", "Refusals", "RegionsKOfN", "Reply", "TapChoice", "Watchdog",
    "export", "export_heads", "guard_facts", "guarded_generate", "guarded_scores", "hand_over", "hold_last_safe",
    "metrics_text", "precheck", "read_events", "read_kept", "recalibrate_guarded", "refusal_prefix", "scale_down",
    "serve_metrics", "set_threshold", "stop",
    "taps_within",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
