"""What tells one module from another."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor, nn


def module_fingerprint(module: nn.Module) -> str:
    """SHA-256 over the module's tree as text and its state: names, dtypes, shapes and bytes."""
    digest = hashlib.sha256(str(module).encode())
    for name, value in sorted(module.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        else:
            digest.update(f"{name} {value!r}\n".encode())
    return digest.hexdigest()
