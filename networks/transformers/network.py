"""Models of transformers as networks: taps on the attention heads of every layer, and on the class scores."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..network import Network, Observation
from ..neurons import reduce_to_neurons
from ..preprocessing import Preprocessing
from ..pytorch.fingerprint import module_fingerprint
from ..scores import LOGITS, class_scores, count_classes
from ..selectors import OUTPUT, choose
from ..tap import Candidate, Tap, Taps
from .backbone import Backbone, tower_backbone
from .decoder import Decoder
from .image_processor import preprocessing_of

_LONGEST = 512
_TRIAL = 2


class TransformerNetwork(Network):
    """A classifier or tower of images, or a decoder of tokens, in eval mode, observed at its attention heads.

    model: of transformers, such as ViTForImageClassification, CLIPVisionModel or LlamaForCausalLM. It stays unchanged.
    Pictures are (n, channels, height, width) float32. Tokens are (n, length) int64, padded on the left with `pad_id`
    (`padded` makes them); what is observed of them is the last token, which saw the whole prompt.
    taps: selectors, by default the heads of all layers, called ``layers.0`` and so on. neurons: ``channel``, the mean
    output of each head over all tokens, as head coverage wants it, or ``head``, its root mean square; several ways
    give several taps. input_shape: of one sample, by default what the model's configuration says. classes: as
    `TorchNetwork` says; a tower and a decoder have none. preprocessing: of pictures; the model's image processor too.
    length: tokens of a row, by default the model's context and at most 512. pad_id: by default the model's own.

    A row without a token, which nobody can judge, has NaN at every tap. Raises TypeError for a model of another kind,
    ValueError for one in training mode, with other attention than `Backbone` wants, or without a pad id.
    """

    engine = "transformers"
    takes_tensors = True

    def __init__(
        self,
        model: Any,
        *,
        taps: str | Sequence[str] = "@attention",
        neurons: str | Sequence[str] = "channel",
        input_shape: Sequence[int] | None = None,
        classes: int | str | None = "auto",
        preprocessing: Any = None,
        length: int | None = None,
        pad_id: int | None = None,
    ) -> None:
        kind = getattr(model, "main_input_name", None)
        if kind == "input_ids" and model.can_generate():
            self._of: _Pictures | _Tokens = _Tokens(model, length, pad_id)
        elif kind == "pixel_values":
            self._of = _Pictures(model, input_shape, classes)
        else:
            raise TypeError(f"expected a model of pictures or a decoder of transformers, got {type(model).__name__}")
        if preprocessing is not None and not isinstance(preprocessing, Preprocessing):
            preprocessing = preprocessing_of(preprocessing)
        self.preprocessing = preprocessing
        self.input_shape, self.dtype = self._of.input_shape, self._of.dtype
        self.classes, self.fingerprint = self._of.classes, self._of.fingerprint
        candidates = self._of.candidates()
        chosen = choose(candidates, taps, neurons)
        self._layers = [next(i for i, c in enumerate(candidates) if c.name == tap.name) for tap in chosen]
        scores = [] if self.classes is None else [Tap(OUTPUT, OUTPUT, (self.classes,), "NC", "float32", "unit")]
        self.taps = Taps([*chosen, *scores])
        self._name = type(model).__name__
        self._lock = threading.Lock()
        self._closed = False

    def observe(self, batch: Any) -> Observation:
        """Run a batch, (n, *input_shape) of `dtype`, and return the output with the activations at the taps.

        The output is the model's own; of a decoder, the scores of the first token of an answer, (n, vocabulary)
        float32. Raises TypeError for another dtype, ValueError for another shape and for tokens outside the vocabulary,
        RuntimeError after `close`.
        """
        checked = self._checked(batch)
        with self._lock, torch.no_grad():
            output, logits, heads = self._of.observe(checked)
        activations = [
            reduce_to_neurons(tap, heads[layer]) for tap, layer in zip(self.taps, self._layers, strict=False)
        ]
        return Observation(output, logits, tuple(activations if logits is None else [*activations, logits]))

    def run(self, batch: Any) -> Any:
        """The output for a batch, as `observe` has it."""
        checked = self._checked(batch)
        with self._lock, torch.no_grad():
            return self._of.run(checked)

    def padded(self, prompts: Sequence[Sequence[int]]) -> np.ndarray:
        """Prompts as tokens, padded on the left: (n, length) int64.

        Raises ValueError for one that is longer, and for one that begins with the pad token, which would be lost.
        """
        if not isinstance(self._of, _Tokens):
            raise TypeError("expected a decoder to pad prompts for, got a model of pictures")
        return self._of.padded(prompts)

    def close(self) -> None:
        """Let go of the network; the model stays as it is."""
        self._closed = True

    def __repr__(self) -> str:
        return f"TransformerNetwork({self._name}, {self.input_shape}): {len(self.taps)} taps"

    def _checked(self, batch: Any) -> Any:
        if self._closed:
            raise RuntimeError("expected an open network, got one after close(); make a new TransformerNetwork")
        if not isinstance(batch, (np.ndarray, Tensor)):
            raise TypeError(f"expected a numpy array or a torch tensor, got {type(batch).__name__}")
        if str(batch.dtype).removeprefix("torch.") != self.dtype:
            raise TypeError(f"expected a batch of dtype {self.dtype}, got {batch.dtype}")
        if batch.shape[1:] != self.input_shape or len(batch) == 0:
            expected = ", ".join(["n", *map(str, self.input_shape)])
            raise ValueError(f"expected a batch of shape ({expected}), got {tuple(batch.shape)}")
        if isinstance(batch, np.ndarray):
            return torch.from_numpy(np.require(batch, requirements=("C", "W")))
        return batch.detach()


def _candidates(backbone: Backbone, model: Any, tokens: int) -> list[Candidate]:
    paths = {module: name for name, module in model.named_modules()}
    shape = tokens, backbone.heads, backbone.head_dim
    return [
        Candidate(f"layers.{i}", "attention", shape, "NLHC", "float32", paths=(paths[projection],))
        for i, projection in enumerate(backbone.projections)
    ]


class _Pictures:
    """A model of pictures. `observe` returns its output, class scores and, of every layer, what its heads say."""

    dtype = "float32"

    def __init__(self, model: Any, input_shape: Sequence[int] | None, classes: int | str | None) -> None:
        if model.training:
            raise ValueError("expected a model in eval mode (call .eval()), got one in training mode")
        self._model = model
        self._backbone = tower_backbone(model)
        self.fingerprint = module_fingerprint(model)
        self.input_shape: tuple[int, ...] = tuple(input_shape or _picture_shape(model.config))
        with torch.no_grad():
            output, seen = self._pass(torch.zeros(_TRIAL, *self.input_shape))
        scores = getattr(output, "logits", None)
        told = classes if scores is not None else None
        shape = tuple(scores.shape) if scores is not None else "none"
        self.classes = count_classes(shape, floats=True, batch=_TRIAL, told=told)[0]
        if any(values.ndim != 3 or len(values) != _TRIAL for values in seen):
            raise ValueError(
                f"expected attention over all tokens of a picture, (batch, tokens, channels), got {seen[0].shape}"
            )
        self._tokens = seen[0].shape[1]

    def candidates(self) -> list[Candidate]:
        return _candidates(self._backbone, self._model, self._tokens)

    def observe(self, batch: Tensor) -> tuple[Any, np.ndarray | None, list[np.ndarray]]:
        output, heads = self._pass(batch)
        logits = None
        if self.classes is not None:
            logits = class_scores(output.logits.float().cpu().numpy(), LOGITS)
        return output, logits, [values.float().cpu().numpy() for values in heads]

    def run(self, batch: Tensor) -> Any:
        return self._model(pixel_values=batch.to(self._model.device, self._model.dtype))

    def _pass(self, batch: Tensor) -> tuple[Any, list[Tensor]]:
        seen: dict[int, Tensor] = {}
        with ExitStack() as hooks:
            for layer, projection in enumerate(self._backbone.projections):
                take = partial(_take, threading.get_ident(), seen, layer)
                hooks.callback(projection.register_forward_pre_hook(take).remove)
            output = self.run(batch)
        if len(seen) < len(self._backbone.projections):
            raise ValueError(f"expected a pass through {len(self._backbone.projections)} layers, got {len(seen)}")
        return output, [seen[layer] for layer in sorted(seen)]


class _Tokens:
    """A decoder of tokens, as `_Pictures`; what its heads say at the last token alone."""

    dtype = "int64"
    classes = None

    def __init__(self, model: Any, length: int | None, pad_id: int | None) -> None:
        self._decoder = Decoder(model)
        config = model.config.get_text_config(decoder=True)
        known = pad_id, config.pad_token_id, getattr(model.generation_config, "pad_token_id", None)
        found = next((number for number in known if number is not None), None)
        if found is None:
            raise ValueError("expected a model that says its pad token, got one without; give pad_id=")
        self._pad, self._vocabulary = int(found), int(config.vocab_size)
        if not 0 <= self._pad < self._vocabulary:
            raise ValueError(f"expected a pad token from 0 to {self._vocabulary - 1}, got {self._pad}; give pad_id=")
        longest = self._decoder.context or _LONGEST
        if length is not None and not 1 <= length <= longest:
            raise ValueError(f"expected a length of 1 to {longest:,} tokens, got {length}")
        self.input_shape = (length or min(longest, _LONGEST),)

    @property
    def fingerprint(self) -> str:
        return self._decoder.fingerprint

    def candidates(self) -> list[Candidate]:
        return _candidates(self._decoder.backbone, self._decoder.model, 1)

    def padded(self, prompts: Sequence[Sequence[int]]) -> np.ndarray:
        rows = np.full((len(prompts), *self.input_shape), self._pad, np.int64)
        for row, prompt in zip(rows, prompts, strict=True):
            if not 1 <= len(prompt) <= len(row):
                raise ValueError(f"expected prompts of 1 to {len(row)} tokens, got one of {len(prompt)}; see length=")
            if prompt[0] == self._pad:
                raise ValueError(f"expected prompts that begin with another token than the pad token, got {self._pad}")
            row[len(row) - len(prompt) :] = prompt
        return rows

    def observe(self, batch: Tensor) -> tuple[Any, None, list[np.ndarray]]:
        if int(batch.min()) < 0 or int(batch.max()) >= self._vocabulary:
            raise ValueError(f"expected tokens from 0 to {self._vocabulary - 1}, got {batch.min()} to {batch.max()}")
        mask = (batch != self._pad).cumsum(1) > 0
        lengths = mask.sum(1)
        judged = (lengths > 0).cpu().numpy()
        backbone = self._decoder.backbone
        heads = np.full((len(judged), len(backbone.layers), backbone.heads, backbone.head_dim), np.nan, np.float32)
        logits = np.full((len(judged), self._vocabulary), np.nan, np.float32)
        if judged.any():
            start = batch.shape[1] - int(lengths.max())
            rows = {"input_ids": batch[judged, start:], "attention_mask": mask[judged, start:].long()}
            prefill = self._decoder.prefill(rows)
            heads[judged] = prefill.heads
            if prefill.logits is not None:
                logits[judged] = prefill.logits
        return logits, None, [heads[:, layer, None] for layer in range(heads.shape[1])]

    def run(self, batch: Tensor) -> Any:
        return self.observe(batch)[0]


def _take(thread: int, seen: dict[int, Tensor], layer: int, _module: Any, args: tuple[Any, ...]) -> None:
    if threading.get_ident() == thread:
        seen[layer] = args[0].detach()


def _picture_shape(config: Any) -> tuple[int, int, int]:
    size = getattr(config, "image_size", None)
    if size is None:
        raise ValueError("expected a model that says the size of its pictures, got one without; give input_shape=")
    height, width = (size, size) if isinstance(size, int) else size
    return int(getattr(config, "num_channels", 3)), int(height), int(width)
