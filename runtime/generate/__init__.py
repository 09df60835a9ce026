"""Language models that answer under a guard: `guarded_generate`, pieces for a `generate` of the user's own, refusals.

Names are loaded when they are first used; importing the package imports neither torch nor transformers.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .chat import ChatGuard, Reply
    from .generating import GuardedAnswer, guarded_generate
    from .prechecking import Precheck, precheck, refusal_prefix
    from .processors import GuardProcessor, RefusalPrefix
    from .refusals import RULES, Refusals

__all__ = [
    "RULES", "ChatGuard", "GuardProcessor", "GuardedAnswer", "Precheck", "RefusalPrefix", "Refusals", "Reply",
    "guarded_generate", "precheck", "refusal_prefix",
]  # fmt: skip

_MODULES = {
    "chat": ("ChatGuard", "Reply"),
    "generating": ("GuardedAnswer", "guarded_generate"),
    "prechecking": ("Precheck", "precheck", "refusal_prefix"),
    "processors": ("GuardProcessor", "RefusalPrefix"),
    "refusals": ("RULES", "Refusals"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
