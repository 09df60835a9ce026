"""PyTorch modules as networks: forward hooks where a module computes a value, torch.fx where a function does."""

from __future__ import annotations

import hashlib
import itertools
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from .network import Observation
from .preprocessing import Preprocessing
from .tap import ACTIVATIONS, GATES, OUTPUT, Candidate, Tap, Taps, candidate, choose, split_selector

_TRIAL = 2  # samples in the trial run: enough to tell the batch axis from one of length 1


class TorchNetwork:
    """A module in eval mode, observed through hooks that are installed once and removed by `close`.

    module: takes one (batch, *input_shape) tensor, on any device; it is never changed, and its weights must not be
    while it is observed. taps, neurons: see `choose`; a module that runs more than once has a tap per run, the second
    named ``relu#2``. Activations called as functions (``F.relu``) are found by tracing the module with torch.fx and
    bear the names that it gives them. classes: the number of classes, ``auto`` to take it from an output (batch, 2 or
    more), or None for a network without classes. logits: index or name of the output with the class scores.

    Raises ValueError for a module in training mode, an input shape that the module does not take, and taps that do
    not exist.
    """

    engine = "torch"

    def __init__(
        self,
        module: nn.Module,
        input_shape: Sequence[int],
        *,
        taps: str | Sequence[str] = "auto",
        neurons: str | Sequence[str] = "channel",
        classes: int | str | None = "auto",
        logits: int | str = 0,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        _check_eval(module)
        self.input_shape: tuple[int | None, ...] = tuple(input_shape)
        self.preprocessing = preprocessing
        self.fingerprint = _fingerprint(module)
        self._module = module
        self._logits = logits
        tensor = next((p for p in itertools.chain(module.parameters(), module.buffers()) if p.is_floating_point()), None)
        self._device = torch.device("cpu") if tensor is None else tensor.device
        self._dtype = torch.float32 if tensor is None else tensor.dtype

        self._runner, trial, chosen = self._plan(taps, neurons)
        self._overwrites_input = trial.overwrites_input
        self.classes = self._count_classes(trial.output, classes)
        if self.classes is not None:
            chosen.append(Tap(_free_name(OUTPUT, trial.calls), OUTPUT, (self.classes,), "NC", "float32", "unit"))
        self.taps = Taps(chosen)

        self._sites = trial.sites(tap for tap in self.taps if tap.kind != OUTPUT)
        self._recording: _Recording | None = None
        self._handles = [
            observed.register_forward_hook(self._hook(name))
            for name, observed in _observed(self._runner)
            if name in self._sites
        ]
        self._closed = False

    def observe(self, batch: np.ndarray | Tensor) -> Observation:
        """Run a batch, (n, *input_shape) float32, and return the outputs with the activations at the taps.

        Raises TypeError and ValueError for a batch of another dtype or shape, RuntimeError when the module was closed,
        is in training mode, or runs a tapped module more or fewer times than at construction.
        """
        samples = self._samples(batch)
        self._recording = recording = _Recording(self._sites)
        try:
            with torch.inference_mode():
                output = self._runner(samples)
                recording.check_complete()
                logits = None if self.classes is None else _numpy(_pick(output, self._logits))
        finally:
            self._recording = None
        activations = tuple(map(_numpy, itertools.chain.from_iterable(recording.neurons())))
        return Observation(output, logits, activations if logits is None else (*activations, logits))

    def run(self, batch: np.ndarray | Tensor) -> Any:
        """What the module returns for a batch, (n, *input_shape) float32."""
        with torch.inference_mode():
            return self._module(self._samples(batch))

    def close(self) -> None:
        """Remove the hooks."""
        self._closed = True
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> TorchNetwork:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"TorchNetwork({type(self._module).__name__}, {self.input_shape}, {len(self.taps)} taps)"
