"""PyTorch modules as networks: the module itself runs, and what it computes is read while it does."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..inputs import Input
from ..layouts import warn_of_undecided
from ..network import Network, NetworkWarning, Observation
from ..preprocessing import Preprocessing
from ..renamed import renamed_keyword
from ..scores import LOGITS, check_kind, class_scores, count_classes
from ..selectors import DEFAULT_TAPS, OUTPUT, choose, default_taps, refuse_budget, some
from ..tap import Candidate, Tap, Taps
from .arguments import Dtypes, Shapes, shapes_in, ways_to_call
from .fingerprint import module_fingerprint
from .neurons import as_arrays, reader
from .outputs import batch_axes, class_scores_of, kind_of_scores, pick, scores_of, usual_key, without_axes
from .recorder import Plan, Recorder
from .refusals import programs_in, refuse_other_programs
from .state import KeptState
from .trial import AGAIN, FRAMES, Trial, TrialError, as_written, is_compiled, names_in, undone


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
    """A module in eval mode, read while it runs; nothing of it changes.

    Modules are seen by hooks that are on it only during an observation, in its own thread; activations and attention
    that it calls as functions (``F.relu``, ``x.relu()``, ``x * torch.sigmoid(x)``) by a `TorchFunctionMode` inside of
    the modules that call them. They are named by their caller: ``layer1.0.relu``, and ``layer1.0.relu#2`` for the
    second. A module that runs more than once has a tap for each run likewise. The module may be used by the
    application too, copied, moved and pickled; its weights must stay as they are while it is observed.

    module: takes batches (n, *input_shape), on any device. input_shape: of one sample; for several inputs a mapping by
    the parameters of `forward`, or a sequence of shapes. Left out, the first batch tells it and the taps
    (`learn_shape`). dtype: of the input or inputs, where it is not float32 or the first that the module runs with among
    float32, uint8 and int64; float32 is fed in the dtype of the weights. taps, neurons: as `choose` says. layouts: of
    tensors whose channel axis the module does not tell, by name. classes: how many, ``auto`` to take it from an output
    (batch, 2 or more), 2 also for an output (batch, 1), None for a network without classes, or ``pixel`` where the
    scores are a map (batch, classes, height, width). Rows of scores are the last tap. A map of them is tapped where it
    is asked for, as in ``@output:pixel8``. scores_output: index or name of the output with the class scores; of several
    outputs, ``logits`` has them, and otherwise none unless one is named. scores: ``logits``, ``probabilities``, or
    ``auto`` to see whether a softmax makes them. detections: of an object detector, what decodes its output: a decoder
    or its name, see `as_decoder`.

    A compiled module, and one that takes another way while it is watched (the fused path of `TransformerEncoder`), runs
    twice for an observation, once as it is and once as written; a NetworkWarning says so. Others warn of a module that
    keeps something from frame to frame, and of one that draws random numbers.
    candidates: what can be tapped of it, once it knows its inputs, and why the rest cannot.
    Raises ValueError for a module in training mode, inputs that it does not take, and taps that do not exist; TypeError
    for a program of TorchScript or `torch.export`.
    """

    engine = "torch"
    takes_tensors = True
    taps: Taps = _UNSEEN
    classes: int | None = _UNSEEN
    map_classes: int | None = _UNSEEN
    input_shape: tuple[int | None, ...] = _UNSEEN
    inputs: tuple[Input, ...] = _UNSEEN
    dtype: str = "float32"
    plan: Plan = _UNSEEN

    @renamed_keyword("logits", "scores_output")
    def __init__(
        self,
        module: nn.Module,
        input_shape: Shapes | None = None,
        *,
        dtype: Dtypes = None,
        taps: str | Sequence[str] = DEFAULT_TAPS,
        neurons: str | Sequence[str] = "channel",
        layouts: Mapping[str, str] | None = None,
        classes: int | str | None = "auto",
        scores_output: int | str | None = None,
        scores: str = "auto",
        preprocessing: Preprocessing | None = None,
        detections: Any = None,
    ) -> None:
        refuse_other_programs(module)
        refuse_budget(taps)
        training = [name or "the module itself" for name, part in module.named_modules() if part.training]
        if training:
            raise ValueError(f"expected a module in eval mode (call .eval()), got training mode in {some(training)}")
        self._module = module
        self._asked = taps, neurons, classes, layouts
        self._dtypes = dtype
        self._scores_asked = check_kind(scores, "auto")
        self.scores = LOGITS if scores == "auto" else scores
        self.scores_output = scores_output
        self.preprocessing, self.detections = preprocessing, detections
        self._closed = False
        self._lock = threading.Lock()
        self.shaped = False
        self.fingerprint = module_fingerprint(module)
        if input_shape is not None:
            self._try_out(input_shape, dtype)

    @property
    def module(self) -> nn.Module:
        """The module that is watched, as it was given."""
        return self._module

    def learn_shape(self, batch: Any) -> None:
        """Take the input shapes and dtypes from a batch, (n, *input_shape), and find the taps, unless they are known.

        Raises what `observe` and the constructor raise.
        """
        self._check_open()
        if not self.shaped:
            shapes, dtypes = shapes_in(batch)
            with self._lock:
                if not self.shaped:
                    self._learn(shapes, dtypes)

    def _learn(self, shapes: Shapes, dtypes: Dtypes) -> None:
        """Try the shapes of a batch, in its dtypes where none are told."""
        try:
            self._try_out(shapes, self._dtypes or dtypes)
        except TrialError as error:
            if self._dtypes or not dtypes:
                raise
            raise TypeError(f"{error}; expected a batch of another dtype: convert it and check its scale") from error

    def _try_out(self, shapes: Shapes, dtypes: Dtypes) -> None:
        taps, neurons, told, layouts = self._asked
        trial = _first_that_runs(self._module, shapes, dtypes, layouts)
        key = usual_key(trial.output) if self.scores_output is None else self.scores_output
        classes, map_classes = _counted(trial.output, key, told)
        scores = []
        if (classes or map_classes) is not None and key is not None:
            name = OUTPUT if all(c.name != OUTPUT for c in trial.candidates) else f"{OUTPUT}#logits"
            values = pick(trial.output, key)
            shape, layout = ((classes,), "NC") if classes is not None else (tuple(values.shape[1:]), "NCHW")
            scores.append(Candidate(name, OUTPUT, shape, layout, str(values.dtype).removeprefix("torch.")))
        self.candidates = (*trial.candidates, *scores)
        if isinstance(taps, tuple) and taps == DEFAULT_TAPS:
            taps = default_taps(self.candidates, neurons, map_classes or self.detections)
        asked = _chosen(self.candidates, taps, neurons)
        chosen = [tap for tap in asked if tap.kind != OUTPUT]
        of_scores = [tap for tap in asked if tap.kind == OUTPUT]  # of a map
        if classes is not None:
            of_scores = [score.tap("unit") for score in scores]
        warn_of_undecided(trial.candidates, taps)
        if unseen := programs_in(self._module):
            _warn(f"the insides of {some(unseen)} cannot be seen, as TorchScript runs them; give Python modules")
        told_apart = classes or map_classes
        if told_apart is not None and key is not None and self._scores_asked == "auto":
            scored = pick(trial.output, key)
            self.scores = kind_of_scores(scored, trial.key_of(scored), trial.calls, told_apart)
        self.plan = trial.plan(chosen)
        self._recorder = Recorder(self.plan)
        self._arguments, self._copies, self._names = trial.arguments, trial.overwrites_input, names_in(self._module)
        self._axes = batch_axes(trial.output, FRAMES, trial.again, AGAIN)
        self._varying = [i for i, tap in enumerate(chosen) if tap.rows is None]
        self._moving = bool(trial.moving)
        self._apart = self._takes_another_way(trial)
        self._ordinary = trial.ordinary
        self.fingerprint = trial.fingerprint or self.fingerprint
        if trial.moving:
            kept = some(list(trial.moving.values()))
            _warn(f"the module keeps something from frame to frame, {kept}; show it frames in the order of time")
        self.taps = Taps([*chosen, *of_scores])
        self._of_map = [reader(tap, overwritten=False) for tap in of_scores if classes is None]
        self._forms = [(tap, tap.rows and tap.rows * _places(tap), tap.size) for tap in self.taps]
        self.inputs = trial.arguments.inputs
        self.input_shape, self.dtype = self.inputs[0].shape, self.inputs[0].dtype
        self.classes, self.map_classes, self.scores_output = classes, map_classes, key
        self.shaped = True

    @property
    def cannot_be_rebuilt(self) -> str:
        """What would have to be so for a program to be made of the module with its taps; "" where it can be."""
        refused = {
            "a module before torch.compile": is_compiled(self._module),
            "a module that runs as written while it is watched": self._apart,
            "a module that keeps nothing from frame to frame": self._moving,
            "class scores of frames, not of places": self.map_classes is not None,
            "taps with as many rows in every frame": bool(self._varying),
        }
        return next((what for what, is_so in refused.items() if is_so), "")

    def samples(self, frames: int) -> tuple[Tensor, ...]:
        """Frames of noise as tensors that the module takes, an input behind the other."""
        return self._arguments.samples(frames)

    def tensors(self, batch: Any) -> tuple[Tensor, ...]:
        """A batch as the module takes it, an input behind the other, on its device. Raises what `observe` raises."""
        return self._samples(batch)

    def call(self, module: Any, samples: tuple[Tensor, ...]) -> Any:
        """What a module that is called as this one returns for such tensors."""
        return self._arguments.call(module, samples)

    def _takes_another_way(self, trial: Trial) -> bool:
        """Whether the module computes something else while it is watched, and must run once more for that."""
        if is_compiled(self._module):
            _warn("a compiled module runs twice, once as written for its taps; give the module before torch.compile")
            return True
        differs = trial.again_differs(lambda call: self._recorder.run(call)[0])
        if trial.random:
            _warn("the module draws random numbers in every run, so its outputs and neurons differ for the same frame")
        if differs:
            _warn("the module leaves a fused path while it is watched, so it runs twice; taps cost a second run")
            return True
        return False

    def observe(self, batch: Any) -> Observation:
        """Run a batch, (n, *input_shape) per input, and return the outputs with the activations at the taps.

        Raises TypeError for a batch of another dtype, ValueError for another shape, RuntimeError when the network is
        closed, its module in training mode, or other modules or functions run than in the trial, or make other shapes.
        """
        samples = self._samples(batch)
        rows: dict[int, np.ndarray] | None = None
        with self._lock, self._quietly():
            if self._apart or (self._varying and len(samples[0]) > 1):
                neurons, rows = self._piece_by_piece(samples)
                output = self._arguments.call(self._module, samples)
            else:
                output, neurons = self._recorder.run(self._arguments.call, self._module, samples)
                if self._varying:
                    rows = {i: np.array([len(neurons[i])]) for i in self._varying}
            activations = as_arrays(neurons)
            logits = score_map = None
            if self.map_classes is not None:
                scores = pick(output, self.scores_output)
                score_map = as_arrays([scores])[0]
                activations += as_arrays([read(scores) for read in self._of_map])
            elif self.classes is not None:
                logits = class_scores(as_arrays([pick(output, self.scores_output)])[0], self.scores)
                activations.append(logits)
            self._check_forms(len(samples[0]), activations)
            return Observation(output, logits, tuple(activations), score_map, rows)

    def _piece_by_piece(self, samples: tuple[Tensor, ...]) -> tuple[list[Tensor], dict[int, np.ndarray] | None]:
        """The neurons of a batch from runs that leave nothing behind: frame by frame where rows vary."""
        size = 1 if self._varying else len(samples[0])
        pieces = []
        with as_written(self._module), undone(self._module, KeptState(self._names if self._moving else {})):
            for start in range(0, len(samples[0]), size):
                piece = tuple(
                    sample[start : start + size].clone() if self._copies else sample[start : start + size]
                    for sample in samples
                )
                pieces.append(self._recorder.run(self._arguments.call, self._module, piece)[1])
        neurons = [torch.cat(values) for values in zip(*pieces, strict=True)]
        return neurons, {i: np.array([len(piece[i]) for piece in pieces]) for i in self._varying} or None

    def _check_forms(self, frames: int, activations: Sequence[np.ndarray | Tensor]) -> None:
        for (tap, rows, size), values in zip(self._forms, activations, strict=True):
            if values.shape[1] != size or (rows is not None and len(values) != rows * frames):
                expected = f"{'any number of' if rows is None else rows * frames} rows of {size} values"
                raise RuntimeError(
                    f"expected {expected} at tap {tap.id}, as in the trial run, got {values.shape[0]} of"
                    f" {values.shape[1]}; the module must stay as it is, and its shapes must not depend on the data"
                )

    def with_gradients(self, batch: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Class scores (n, classes) and the neurons at each tap, as `observe`, from which gradients flow to the batch.

        batch: (n, *input_shape), floats. All are tensors on the module's device; the scores are the last tap too.
        Raises what `observe` raises, and ValueError for a network without classes, with several inputs, with taps whose
        rows vary, or whose module takes another way while it is watched.
        """
        samples = self._samples(batch)
        refused = {
            "class scores": self.classes is None, "one input": len(self.inputs) > 1,
            "taps with as many rows in every frame": bool(self._varying), "a module that runs as written": self._apart,
            "a batch of floats": not batch.is_floating_point(),
        }  # fmt: skip
        if wrong := [what for what, is_so in refused.items() if is_so]:
            raise ValueError(f"expected {wrong[0]} to compute gradients, got {self!r}")
        fed = batch.to(samples[0].device, samples[0].dtype)
        with self._lock, torch.enable_grad():
            output, neurons = self._recorder.run(
                self._arguments.call, self._module, (fed.clone() if self._copies else fed,)
            )
            scores = class_scores_of(pick(output, self.scores_output), self.scores)
            neurons = [*(values.float() for values in neurons), scores]
        self._check_forms(len(batch), neurons)
        return scores, neurons

    def run(self, batch: Any) -> Any:
        """What the module returns for a batch, (n, *input_shape) per input."""
        samples = self._samples(batch)
        with self._lock, self._quietly():
            return self._arguments.call(self._module, samples)

    def unbatched(self, output: Any) -> Any:
        """The output for one frame, without the batch axes that the trial runs showed."""
        return without_axes(output, self._axes)

    def close(self) -> None:
        """Let go of the module, which stays as it is; the network cannot be observed afterwards."""
        self._closed = True

    def __repr__(self) -> str:
        name = type(self._module).__name__
        if not self.shaped:
            return f"TorchNetwork({name}): no batch seen"
        shape = self.input_shape if len(self.inputs) == 1 else ", ".join(f"{i.name} {i.shape}" for i in self.inputs)
        return f"TorchNetwork({name}, {shape}): {len(self.taps)} taps"

    def _quietly(self) -> Any:
        """Without gradients; a module that keeps tensors keeps ordinary ones, which it can be trained with."""
        return torch.no_grad() if self._ordinary else torch.inference_mode()

    def _samples(self, batch: Any) -> tuple[Tensor, ...]:
        self._check_open()
        if not self.shaped:
            self.learn_shape(batch)
        return self._arguments.tensors(batch, self._copies)

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("expected an open network, got one after close(); make a new TorchNetwork")
        if self._module.training:
            raise RuntimeError("expected the module in eval mode (call .eval()), got training mode")


def _first_that_runs(module: nn.Module, shapes: Shapes, dtypes: Dtypes, layouts: Mapping[str, str] | None) -> Trial:
    """The trial in the first way to call the module that it takes; the error of the very first where it takes none."""
    first: ValueError | None = None
    for arguments in ways_to_call(module, shapes, dtypes):
        try:
            # In inference mode tensors do not count the operations that overwrite them.
            with torch.inference_mode(mode=False):
                return Trial(module, arguments, layouts)
        except TrialError as error:
            first = first or error
    raise first or ValueError("expected an input, got none")


def _counted(output: Any, key: int | str | None, told: int | str | None) -> tuple[int | None, int | None]:
    """The classes and the classes of a map in a module's output."""
    if key is None and told not in (None, "auto"):
        raise ValueError(f"expected scores_output= to say which of several outputs has {told!r} classes, got none")
    return (None, None) if key is None or told is None else count_classes(*scores_of(output, key), FRAMES, told)


def _chosen(candidates: Sequence[Candidate], taps: str | Sequence[str], neurons: str | Sequence[str]) -> list[Tap]:
    try:
        return choose(candidates, taps, neurons)
    except ValueError as error:
        asked = [taps] if isinstance(taps, str) else taps
        if any(selector.startswith("@attention") for selector in asked):
            raise ValueError(f"{error}; TransformerNetwork(model) sees the heads of models of transformers") from None
        raise


def _places(tap: Tap) -> int:
    """The rows of neurons that each row of a tensor becomes."""
    return math.prod(size or 1 for size in tap.place_sizes or ())


def _warn(message: str) -> None:
    warnings.warn(message, NetworkWarning, stacklevel=5)
