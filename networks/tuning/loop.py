"""The loop of a run: transformers' Trainer, with an order, a learning rate and checks of ours.

The Trainer's own checkpoints are pickled, and they are not written whole. So it saves nothing; checkpoints.py does. The
random numbers of a step, dropout's say, follow from the seed and the step alone, so a run that was cut off needs no
state of theirs. The rest is the Trainer's: devices, batches, gradients. On a model of two layers it costs 2 ms a step
beyond a bare loop.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..transformers.importing import import_transformers
from .schedule import Schedule


class LossError(ArithmeticError):
    """A loss or a gradient that is no number. value: which."""

    def __init__(self, what: str, value: float) -> None:
        super().__init__(f"{what} {value}")
        self.what, self.value = what, value


def optimiser_of(model: nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """AdamW on what has a gradient; only matrices decay, biases and norms do not.

    Raises ValueError for a model without anything to train.
    """
    trained = [one for one in model.parameters() if one.requires_grad]
    if not trained:
        raise ValueError("expected a model with parameters that have a gradient, got none; see requires_grad_")
    decaying = [one for one in trained if one.ndim >= 2]
    others = [one for one in trained if one.ndim < 2]
    groups = [
        {"params": some, "weight_decay": decay}
        for some, decay in ((decaying, schedule.weight_decay), (others, 0.0))
        if some
    ]
    return torch.optim.AdamW(groups, lr=schedule.rate, betas=schedule.betas)


def run_steps(
    model: nn.Module,
    loss: Callable[[Any, Any], Any],
    loader: Any,
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    folder: Path,
    device: torch.device,
    begin: int,
    passed: Callable[[float, dict[str, float]], None],
    done: Callable[[], None],
) -> None:
    """Run the steps from `begin` on, a batch of `loader` each.

    passed: called in a step, before the weights change, with a loss that is a number and its parts. done: called when
    they have changed. Raises LossError for a loss or gradient that is no number.
    """
    transformers = import_transformers()
    rates = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda i: schedule.rate_at(begin + i) / schedule.rate)
    arguments = transformers.TrainingArguments(
        str(folder),
        use_cpu=device.type == "cpu",
        max_steps=schedule.steps - begin,
        per_device_train_batch_size=schedule.batch,
        max_grad_norm=0.0,  # clipped below, where the norm is seen
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        seed=schedule.seed % 2**32,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001 (several devices would be wrapped in DataParallel)
    with _as_before(model, device):
        trainer = _trainer()(model, arguments, optimizers=(optimiser, rates), train_dataset=loader.dataset)
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.add_callback(_callback()(done))
        trainer.ours = (loss, loader, schedule, begin, passed)
        trainer.train()
        model.zero_grad(set_to_none=True)


@cache
def _trainer() -> Any:
    class Trainer(import_transformers().Trainer):  # type: ignore[misc]
        ours: Any

        def get_train_dataloader(self) -> Any:
            return self.ours[1]

        def floating_point_ops(self, inputs: Any) -> int:
            return 0

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **_more: Any) -> Any:
            loss, _, schedule, begin, _ = self.ours
            torch.manual_seed((schedule.seed * 2**32 + begin + self.state.global_step) % 2**63)
            kind = self.args.device.type
            with torch.autocast(kind, torch.bfloat16, enabled=schedule.precision == "bfloat16"):
                found = loss(model, inputs)
            value, parts = found if isinstance(found, tuple) else (found, {})
            if not isinstance(value, Tensor) or value.ndim or not value.requires_grad:
                got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"expected a loss that is a scalar tensor with a gradient, got {got}")
            self.seen = value.item(), {name: float(part) for name, part in parts.items()}
            if not math.isfinite(self.seen[0]):
                raise LossError("loss", self.seen[0])
            return (value, None) if return_outputs else value

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            found = super().training_step(model, inputs, num_items_in_batch)
            _, _, schedule, _, passed = self.ours
            trained = [one for one in model.parameters() if one.grad is not None]
            norm = float(nn.utils.clip_grad_norm_(trained, schedule.clip))
            if not math.isfinite(norm):
                raise LossError("gradient's norm", norm)
            passed(*self.seen)
            return found

    return Trainer


@cache
def _callback() -> Any:
    class Callback(import_transformers().TrainerCallback):  # type: ignore[misc]
        def __init__(self, done: Callable[[], None]) -> None:
            self.done = done

        def on_step_end(self, *_state: Any, **_more: Any) -> None:
            self.done()

    return Callback


@contextmanager
def _as_before(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Leave the modes of the modules, `use_cache` and everybody's random numbers as they were."""
    modes = {module: module.training for module in model.modules()}
    config: Any = getattr(model, "config", None)
    cached = None if config is None else config.__dict__.get("use_cache")
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (the Trainer seeds the old one)
    devices = [torch.cuda.current_device()] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        for module, mode in modes.items():
            module.training = mode
        if config is not None and cached is None:
            config.__dict__.pop("use_cache", None)
        elif config is not None:
            config.use_cache = cached
