"""PyTorch modules as networks: forward hooks where a module computes a value, torch.fx where a function does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ..network import Network, Observation
from ..preprocessing import Preprocessing
from ..renamed import renamed_keyword
from ..scores import count_classes
from ..selectors import DEFAULT_TAPS, OUTPUT, some
from ..tap import Candidate, Taps
from .fingerprint import module_fingerprint
from .hooks import TRIAL, Recorder, Trial, dtype_name, trial_batch
from .outputs import pick, scores_of
from .tracing import plan

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle


class _Unseen:
    """An attribute that a network has once it knows the shape of its input."""

    def __get__(self, network: object, owner: type) -> Any:
        if network is None:
            return self
        raise RuntimeError(
            "expected a network that has seen a batch, got one without an input shape; give input_shape= or call"
            " learn_shape(batch)"
        )


_UNSEEN: Any = _Unseen()


class TorchNetwork(Network):
    """A module in eval mode, observed through hooks that are installed once and removed by `close`.

    module: takes one (batch, *input_shape) tensor, on any device. It stays unchanged, and its weights must stay so
    while it is observed. input_shape: of one sample; left out, the first batch tells it and the taps (`learn_shape`).
    taps, neurons: as `choose` says; a module that runs more than once has a tap per run, the second named
    ``relu#2``. Activations called as functions (``F.relu``) are found by tracing the module with torch.fx and bear the
    names that it gives them. classes: how many, ``auto`` to take it from an output (batch, 2 or more), None for a
    network without classes, or ``pixel`` where the scores are a map (batch, classes, height, width). scores_output:
    index or name of the output with the class scores.

    Raises ValueError for a module in training mode, an input shape that it does not take, and taps that do not exist.
    """

    engine = "torch"
    takes_tensors = True
    taps: Taps = _UNSEEN
    input_shape: tuple[int | None, ...] = _UNSEEN
    classes: int | None = _UNSEEN
    map_classes: int | None = _UNSEEN

    @renamed_keyword("logits", "scores_output")
    def __init__(
        self,
        module: nn.Module,
        input_shape: Sequence[int] | None = None,
        *,
        taps: str | Sequence[str] = DEFAULT_TAPS,
        neurons: str | Sequence[str] = "channel",
        classes: int | str | None = "auto",
        scores_output: int | str = 0,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        training = [name or "the module itself" for name, part in module.named_modules() if part.training]
        if training:
            raise ValueError(f"expected a module in eval mode (call .eval()), got training mode in {some(training)}")
        weights = trial_batch(module, ())
        self._device, self._dtype = weights.device, weights.dtype
        self._module = module
        self._asked = taps, neurons, classes
        self.scores_output: int | str = scores_output
        self.preprocessing = preprocessing
        self.fingerprint = module_fingerprint(module)
        self._closed = False
        self._lock = threading.Lock()
        self._recording: Recorder | None = None
        self._handles: list[RemovableHandle] = []
        self.shaped = False
        if input_shape is not None:
            self._try_out(tuple(input_shape))

    def learn_shape(self, batch: np.ndarray | Tensor) -> None:
        """Take the input shape from a batch, (n, *input_shape), and find the taps; nothing where they are known.

        Raises what `observe` and the constructor raise.
        """
        shape = self._checked(batch).shape[1:]
        with self._lock:
            if not self.shaped:
                self._try_out(tuple(shape))

    def _try_out(self, input_shape: tuple[int, ...]) -> None:
        taps, neurons, told = self._asked
        module = self._module
        zeros = trial_batch(module, input_shape)
        plain = Trial(((name, part) for name, part in module.named_modules() if name), module, zeros)
        classes = map_classes = None
        if told is not None:
            classes, map_classes = count_classes(*scores_of(plain.output, self.scores_output), TRIAL, told)
        scores = []
        if classes is not None:
            name = OUTPUT if OUTPUT not in plain.parts else f"{OUTPUT}#logits"
            scores.append(Candidate(name, OUTPUT, (classes,), "NC", dtype_name(self._dtype)))
        self._forward, trial, chosen = plan(module, plain, zeros, scores, taps, neurons)
        self._overwrites_input = trial.overwrites_input
        self._sites = trial.sites(chosen)
        self.taps = Taps([*chosen, *(score.tap("unit") for score in scores)])
        self.input_shape, self.classes, self.map_classes = input_shape, classes, map_classes
        self._handles = [trial.parts[name].register_forward_hook(partial(self._take, name)) for name in self._sites]
        self.shaped = True

    def observe(self, batch: np.ndarray | Tensor) -> Observation:
        """Run a batch, (n, *input_shape) float32, and return the outputs with the activations at the taps.

        Raises TypeError for a batch of another dtype, ValueError for another shape, RuntimeError when the network is
        closed, its module in training mode, or a tapped module runs more or fewer times than at construction.
        """
        samples = self._samples(batch)
        with self._lock, torch.inference_mode():
            recording = self._recording = Recorder(self._sites)
            try:
                output = self._forward(samples)
            finally:
                self._recording = None
            activations = tuple(map(_numpy, recording.finish()))
            if self.map_classes is not None:
                return Observation(output, None, activations, _numpy(pick(output, self.scores_output)))
            if self.classes is None:
                return Observation(output, None, activations)
            logits = _numpy(pick(output, self.scores_output))
            return Observation(output, logits, (*activations, logits))

    def run(self, batch: np.ndarray | Tensor) -> Any:
        """What the module returns for a batch, (n, *input_shape) float32."""
        samples = self._samples(batch)
        with self._lock, torch.inference_mode():  # else the hooks would add this run to another observation
            return self._module(samples)

    def close(self) -> None:
        """Remove the hooks."""
        self._closed = True
        for handle in self._handles:
            handle.remove()

    def __repr__(self) -> str:
        name = type(self._module).__name__
        if not self.shaped:
            return f"TorchNetwork({name}): no batch seen"
        return f"TorchNetwork({name}, {self.input_shape}): {len(self.taps)} taps"

    def _take(self, name: str, _part: nn.Module, _inputs: Any, output: Any) -> None:
        if self._recording is not None:
            self._recording.take(name, output)

    def _samples(self, batch: np.ndarray | Tensor) -> Tensor:
        """The batch on the module's device and in its dtype; a copy where it must be one."""
        self.learn_shape(batch)
        if batch.shape[1:] != self.input_shape or len(batch) == 0:
            expected = ", ".join(["n", *map(str, self.input_shape)])
            raise ValueError(f"expected a batch of shape ({expected}), got {tuple(batch.shape)}")
        if isinstance(batch, np.ndarray):
            batch = torch.from_numpy(np.require(batch, requirements=("C", "W")))
        return batch.detach().to(self._device, self._dtype, copy=self._overwrites_input)

    def _checked(self, batch: Any) -> Any:
        """The batch as it is, of any shape. Raises RuntimeError or TypeError where it cannot be run."""
        if self._closed:
            raise RuntimeError("expected an open network, got one after close(); make a new TorchNetwork")
        if self._module.training:
            raise RuntimeError("expected the module in eval mode (call .eval()), got training mode")
        if not isinstance(batch, (np.ndarray, Tensor)):
            raise TypeError(f"expected a numpy array or a torch tensor, got {type(batch).__name__}")
        if batch.dtype not in (np.float32, torch.float32, self._dtype):
            raise TypeError(f"expected a batch of dtype float32, got {batch.dtype}; convert it and check its scale")
        return batch


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().contiguous().cpu().numpy()
