"""Train a model on examples: resumable, the same result by the same seed, weights in safetensors."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from . import record
from .checkpoints import Checkpoints, restore, set_weights
from .loop import LossError, optimiser_of, run_steps
from .order import batches
from .record import TrainingError
from .schedule import Schedule
from .weights import load_weights, save_weights, trained_tensors, weights_digest

Loss = Callable[[Any, Any], "Tensor | tuple[Tensor, Mapping[str, float]]"]


@dataclass(frozen=True)
class Trained:
    """A finished run. losses: one of each step. seconds: of training, without what was done again.

    resumed: whether it went on from a checkpoint. parts: what the loss said it is made of, one of each step.
    """

    folder: Path
    losses: list[float]
    seconds: float
    resumed: bool = False
    parts: dict[str, list[float]] = field(default_factory=dict)


def train(
    model: nn.Module,
    examples: Any,
    loss: Loss,
    schedule: Schedule,
    folder: str | Path,
    *,
    collate: Callable[[list[Any]], Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
    device: str | None = None,
    keep: Mapping[str, Any] | None = None,
) -> Trained:
    """Train what has a gradient in a model, and leave in `folder` what ``from_pretrained`` opens.

    examples: with ``len`` and ``[i]``, the same each time; drawn in an order that the seed fixes, each once before any
    comes again. collate: a list of examples as a batch, a dict of tensors; torch's own without one. loss(model, batch):
    a scalar, or (scalar, {name: number}) with parts for the curve. progress: called with the steps done and those in
    all. device: ``cpu`` (the default), ``cuda`` or ``mps``. keep: facts of the caller, in JSON types, that are part of
    the settings.

    A run that was cut off goes on from its last whole checkpoint with the result of an uncut one, on a CPU to the bit.
    A finished folder is not trained again. Either way `model` has the trained weights afterwards.
    Raises TrainingError for a folder of other settings or of something else, and for a loss that is no number: it says
    at which step, and the last weights with a loss that was one lie in `folder`.
    """
    folder = Path(folder)
    place = _device(device)
    settings = {
        "schedule": {name: value for name, value in asdict(schedule).items() if name != "save_every"},
        "examples": {"number": len(examples), "digest": record.examples_digest(examples)},
        "model": {"kind": type(model).__name__, "weights": weights_digest(model.state_dict().items())},
        "loss": record.name_of(loss),
        "keep": dict(keep or {}),
    }
    settings = record.in_json(settings)
    found = _opened(folder, settings)
    if found and found.get("finished"):
        load_weights(model, folder)
        return Trained(folder, found["losses"], found["seconds"], bool(found["resumed"]), found["parts"])
    model.to(place)
    run = _Run(model, schedule, folder, settings, progress)
    indices = batches(len(examples), schedule.batch, schedule.steps, schedule.seed)[run.begin :]
    if indices:
        loader: Any = DataLoader(examples, batch_sampler=indices, collate_fn=collate)
        try:
            run_steps(model, loss, loader, run.optimiser, schedule, folder, place, run.begin, run.passed, run.done)
            run.require_finite()
        except LossError as error:
            raise run.failed(error) from None
    return run.finished()


def _opened(folder: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The record of a folder of the same run, None for a new folder, which gets one."""
    found = record.read_record(folder)
    if found is not None:
        record.require_same(folder, settings, found["settings"])
        return found
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder}: expected a folder to write to, got a file")
    if any(folder.glob("*.safetensors")) or (folder / "config.json").exists():
        raise TrainingError(f"{folder}: expected a new folder, got one with a model that would be overwritten")
    folder.mkdir(parents=True, exist_ok=True)
    record.write_record(folder, {"settings": settings, "finished": False})
    return None


def _device(name: str | None) -> torch.device:
    try:
        device = torch.device(name or "cpu")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        said = str(error).partition("\n")[0]
        raise TrainingError(f"expected a device that torch has here, got {name!r}: {said}") from None
    if device.index not in (None, 0):
        raise TrainingError(f"expected the first device of its kind, got {name!r}; see CUDA_VISIBLE_DEVICES")
    return device


class _Run:
    """The state of a run: its curve, its checkpoints, and a copy of the last weights with a loss that is a number."""

    def __init__(
        self, model: nn.Module, schedule: Schedule, folder: Path, settings: dict[str, Any],
        progress: Callable[[int, int], None] | None,
    ) -> None:  # fmt: skip
        self.model, self.schedule, self.folder, self.settings, self.progress = (
            model,
            schedule,
            folder,
            settings,
            progress,
        )
        self.optimiser = optimiser_of(model, schedule)
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.losses: list[float] = []
        self.parts: dict[str, list[float]] = {}
        self.before = 0.0
        self.good, self.good_step = self._copied(), 0
        last = self.checkpoints.newest()
        if last is not None:
            earlier = self.checkpoints.newest(before=last.step)
            if earlier is not None:
                self.good, self.good_step = earlier.weights, earlier.step
            restore(last, model, self.optimiser)
            self.losses, self.parts, self.before = last.losses, last.parts, last.seconds
        self.begin = len(self.losses)
        self.began = time.monotonic()
        self._tell()

    @property
    def seconds(self) -> float:
        return self.before + time.monotonic() - self.began

    def passed(self, value: float, parts: dict[str, float]) -> None:
        """A step's loss is a number: its weights, which are about to change, are good."""
        now = trained_tensors(self.model)
        for name, tensor in self.good.items():
            tensor.copy_(now[name])
        self.good_step = len(self.losses)
        self.losses.append(value)
        for name, part in parts.items():
            self.parts.setdefault(name, []).append(part)

    def done(self) -> None:
        """A step is over."""
        steps = len(self.losses)
        if steps % self.schedule.save_every == 0 and steps < self.schedule.steps:
            self.checkpoints.save(self.model, self.optimiser, self.losses, self.parts, self.seconds)
        self._tell()

    def require_finite(self) -> None:
        """Raise LossError for weights that the last step, which no loss follows, has ruined."""
        if not all(bool(torch.isfinite(one).all()) for one in trained_tensors(self.model).values()):
            self.losses.pop()
            raise LossError("weight", float("nan"))

    def failed(self, error: LossError) -> TrainingError:
        """Keep the last good weights, forget the checkpoint of bad ones, and say so."""
        step = len(self.losses) + 1
        self.checkpoints.remove(len(self.losses))
        set_weights(self.model, self.good)
        save_weights(self.model, self.folder)
        facts = {"step": step, error.what: str(error.value), "weights after": self.good_step}
        curve = {"losses": self.losses, "parts": record.in_json(self.parts)}
        record.write_record(self.folder, {"settings": self.settings, "finished": False, "failed": facts, **curve})
        return TrainingError(
            f"expected a {error.what} that is a number, got {error.value} at step {step} of {self.schedule.steps}; the"
            f" weights after {self.good_step} steps, the last good ones, lie in {self.folder}. Try a lower rate"
        )

    def finished(self) -> Trained:
        """Write the weights, then the record that says they are whole."""
        seconds = self.seconds
        save_weights(self.model, self.folder)
        facts = {"finished": True, "seconds": seconds, "resumed": self.begin > 0, "versions": record.versions()}
        curve = {"losses": self.losses, "parts": record.in_json(self.parts)}
        record.write_record(self.folder, {"settings": self.settings, **facts, **curve})
        self.checkpoints.clear()
        return Trained(self.folder, self.losses, seconds, self.begin > 0, self.parts)

    def _copied(self) -> dict[str, Tensor]:
        return {name: tensor.clone() for name, tensor in trained_tensors(self.model).items()}

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(len(self.losses), self.schedule.steps)
