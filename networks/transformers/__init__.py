"""Models of the package transformers, seen as layers of attention heads: decoders, vision-language models, towers.

`open_decoder` opens one, `Decoder` reads and masks its heads. Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..packages import install_hint

if TYPE_CHECKING:
    from .backbone import Backbone, decoder_backbone, tower_backbone
    from .decoder import Decoder, Head, WatchedPass
    from .importing import import_transformers
    from .network import TransformerNetwork
    from .opening import open_decoder
    from .prefill import Prefill
    from .prompts import Chat, Prompt, PromptError, as_prompt

__all__ = [
    "Backbone", "Chat", "Decoder", "Head", "Prefill", "Prompt", "PromptError", "TransformerNetwork", "WatchedPass",
    "as_prompt", "decoder_backbone", "import_transformers", "open_decoder", "tower_backbone",
]  # fmt: skip

_MODULES = {
    "backbone": ("Backbone", "decoder_backbone", "tower_backbone"),
    "decoder": ("Decoder", "Head", "WatchedPass"),
    "importing": ("import_transformers",),
    "network": ("TransformerNetwork",),
    "opening": ("open_decoder",),
    "prefill": ("Prefill",),
    "prompts": ("Chat", "Prompt", "PromptError", "as_prompt"),
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
        raise ImportError(f"{name} needs PyTorch and transformers: {install_hint('lvlm')}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
