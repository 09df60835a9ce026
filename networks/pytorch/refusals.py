"""Programs that look like modules and cannot be watched."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

_INSTEAD = "give the nn.Module that it was made of, or torch.onnx.export that and give the file to OnnxNetwork"


def refuse_other_programs(module: Any) -> None:
    """Raise TypeError for a program of TorchScript or `torch.export`, and for what is no module at all.

    ValueError for a DataParallel over several devices, whose parts run in threads of its own, and for weights without
    values.
    """
    kind = ""
    if isinstance(module, (torch.jit.ScriptModule, torch.jit.ScriptFunction)):
        kind = "a TorchScript program"
    elif isinstance(module, torch.export.ExportedProgram) or hasattr(module, "_guards_fn"):
        kind = "a program of torch.export"
    elif isinstance(module, torch.fx.GraphModule) and module.training:
        kind = "a graph of torch.fx in training mode"
    if kind:
        raise TypeError(f"expected a module whose parts run in Python, got {kind}; {_INSTEAD}")
    if not isinstance(module, nn.Module):
        raise TypeError(f"expected an nn.Module, got {type(module).__name__}")
    if isinstance(module, nn.DataParallel) and len(module.device_ids) > 1:
        raise ValueError(
            f"expected a module on one device, got DataParallel over {len(module.device_ids)}; give its .module"
        )
    if any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers())):
        raise ValueError("expected a module with weights, got one on the device 'meta'")
    if any(is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers())):
        raise ValueError("expected a module with weights, got lazy ones without; run the module once")


def programs_in(module: nn.Module) -> list[str]:
    """The paths of the parts that TorchScript runs, whose own parts and functions cannot be seen."""
    found = [path for path, part in module.named_modules() if isinstance(part, torch.jit.ScriptModule)]
    return [path for path in found if path.rpartition(".")[0] not in found]
