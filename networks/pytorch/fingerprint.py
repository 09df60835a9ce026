"""What tells one module from another."""

from __future__ import annotations

import hashlib
from collections.abc import Collection

from torch import nn

from .state import Place, constants_of, text_of


def module_fingerprint(module: nn.Module, moving: Collection[Place] = ()) -> str:
    """SHA-256 over all of a module that decides what it computes.

    Its tree as text, its weights, every buffer, also those that are not saved, and the constants among its attributes:
    numbers, texts, tensors, functions by their name, and lists and mappings of these. moving: buffers and attributes
    that change from frame to frame and so do not count.
    """
    module = getattr(module, "_orig_mod", module)  # compiled or not, it is the same network
    names = {part: name for name, part in module.named_modules()}
    digest = hashlib.sha256(str(module).encode())
    for name, value in (*sorted(module.named_parameters()), *constants_of(names, moving)):
        if (text := text_of(value)) is not None:
            digest.update(f"{name} {text}\n".encode())
    return digest.hexdigest()
