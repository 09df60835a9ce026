"""Checkpoints of a run: weights, the state of the optimiser and the loss so far, each one safetensors file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .weights import trained_tensors, write_tensors

_KEPT = 2
_NAME = re.compile(r"step-(\d+)\.safetensors")


class Checkpoint(NamedTuple):
    """A run after some steps. tensors: of the model under ``weights.``, of the optimiser under ``optimiser.``.

    losses, parts: the curve so far. seconds: that it took.
    """

    step: int
    tensors: dict[str, Tensor]
    losses: list[float]
    parts: dict[str, list[float]]
    seconds: float

    @property
    def weights(self) -> dict[str, Tensor]:
        """Of the model, by the names of its parameters."""
        return _under("weights.", self.tensors)


class Checkpoints:
    """The folder of a run's checkpoints. The newest two are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(
        self, model: nn.Module, optimiser: Any, losses: list[float], parts: dict[str, list[float]], seconds: float
    ) -> None:
        """Write the state after ``len(losses)`` steps, then drop all but the newest two."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tensors = {f"weights.{name}": tensor for name, tensor in trained_tensors(model).items()}
        for index, state in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        facts = {"losses": json.dumps(losses), "parts": json.dumps(parts), "seconds": repr(seconds)}
        write_tensors(self.folder / f"step-{len(losses):08d}.safetensors", tensors, facts)
        for step in self.steps()[:-_KEPT]:
            self.remove(step)

    def steps(self) -> list[int]:
        """After how many steps there is a file, in order."""
        names = (_NAME.fullmatch(path.name) for path in self.folder.glob("step-*"))
        return sorted(int(name[1]) for name in names if name)

    def newest(self, before: int | None = None) -> Checkpoint | None:
        """The newest whole checkpoint, of fewer steps than `before`; None where there is none."""
        for step in reversed(self.steps()):
            if before is None or step < before:
                try:
                    return self._read(step)
                except (SafetensorError, OSError, KeyError, ValueError):
                    continue  # cut off while it was written, or damaged since
        return None

    def remove(self, step: int) -> None:
        """Drop the checkpoint of a step, if there is one."""
        (self.folder / f"step-{step:08d}.safetensors").unlink(missing_ok=True)

    def clear(self) -> None:
        """Drop all of them, and the folder if nothing else is in it."""
        for path in (*self.folder.glob("step-*.safetensors"), *self.folder.glob(".step-*.safetensors")):
            path.unlink()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _read(self, step: int) -> Checkpoint:
        with safe_open(self.folder / f"step-{step:08d}.safetensors", framework="pt") as file:
            facts = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        losses, parts = json.loads(facts["losses"]), json.loads(facts["parts"])
        if len(losses) != step:
            raise ValueError(f"expected the losses of {step} steps, got {len(losses)}")
        return Checkpoint(step, tensors, losses, parts, float(facts["seconds"]))


def restore(checkpoint: Checkpoint, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Give a model and its optimiser, made as those of the run were, the state of a checkpoint."""
    set_weights(model, checkpoint.weights)
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _under("optimiser.", checkpoint.tensors).items():
        index, _, what = name.partition(".")
        state.setdefault(int(index), {})[what] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def set_weights(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Copy values into what a model trains."""
    with torch.no_grad():
        for name, tensor in trained_tensors(model).items():
            tensor.copy_(weights[name])


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
