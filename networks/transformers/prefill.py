"""One plain pass over a prompt, and what its hooks keep of it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .backbone import Backbone

if TYPE_CHECKING:
    from typing_extensions import Self


class Prefill:
    """What a plain pass left behind, at the last token of each prompt. batch prompts, padded on the left.

    heads: (batch, layers, heads, head_dim) float32, the output of every head: its slice of what enters the output
    projection. states: (batch, layers, width) float32, what enters each layer. final: (batch, width) float32, the final
    hidden state, behind the last norm. logits: (batch, vocabulary) float32 of the first token of the answer, None for a
    model without a head for words. cache: the keys and values of the prompt: copy it before changing it. lengths:
    (batch,) int64, the tokens of each prompt. inputs: what the model was given.
    """

    def __init__(self, backbone: Backbone, inputs: dict[str, Any], cache: Any, kept: Kept) -> None:
        self.inputs = inputs
        self.cache = cache
        self.kept = kept
        self._backbone = backbone

    @cached_property
    def heads(self) -> np.ndarray:
        batch = len(self.kept.slices[0])
        slices = torch.stack(self.kept.slices, 1)
        return _numpy(slices.view(batch, len(self.kept.slices), self._backbone.heads, self._backbone.head_dim))

    @cached_property
    def states(self) -> np.ndarray:
        return _numpy(torch.stack(self.kept.states, 1))

    @cached_property
    def final(self) -> np.ndarray:
        return _numpy(self.kept.final)

    @cached_property
    def logits(self) -> np.ndarray | None:
        return None if self.kept.logits is None else _numpy(self.kept.logits)

    @property
    def lengths(self) -> np.ndarray:
        return self.inputs["attention_mask"].sum(1).cpu().numpy()

    @property
    def tokens(self) -> int:
        """The tokens of the longest prompt, padding included."""
        return int(self.inputs["attention_mask"].shape[1])


class Kept:
    """The tensors that hooks keep of one pass. keep: the first layer whose whole input is kept, None for none.

    slices, states: a tensor per layer, (batch, heads * head_dim) and (batch, width). calls: what each layer was called
    with. whole: (batch, tokens, width), what entered layer `keep`. final, logits: at the last position.
    """

    def __init__(self, keep: int | None) -> None:
        self.keep = keep
        self.slices: list[Tensor] = []
        self.states: list[Tensor] = []
        self.calls: list[tuple[nn.Module, tuple[Any, ...], dict[str, Any]]] = []
        self.whole: Tensor | None = None
        self.final: Tensor = torch.empty(0)
        self.logits: Tensor | None = None

    def arguments(self, layer: int) -> dict[str, Any]:
        """What a layer was called with besides the hidden states, by name."""
        module, args, kwargs = self.calls[layer]
        signature = inspect.signature(module.forward)
        hidden = next(iter(signature.parameters))
        given = dict(signature.bind(None, *args, **{k: v for k, v in kwargs.items() if k != hidden}).arguments)
        for parameter in signature.parameters.values():
            if parameter.kind == parameter.VAR_KEYWORD:
                given |= given.pop(parameter.name, {})
        del given[hidden]
        return given


class PassHooks:
    """Hooks on a model that keep what the first pass through its layers shows; later passes are not looked at.

    Passes of other threads are not looked at either. A context manager.

    kept: of that pass. done: whether it has run. arguments: what the model was called with.
    """

    def __init__(self, model: Any, backbone: Backbone, keep: int | None = None) -> None:
        self.kept = Kept(keep)
        self.done = False
        self.arguments: dict[str, Any] = {}
        self._model = model
        self._backbone = backbone
        self._calls = 0
        self._thread = threading.get_ident()
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        backbone = self._backbone
        self._handles.append(self._model.register_forward_pre_hook(self._called, with_kwargs=True))
        for index, layer in enumerate(backbone.layers):
            self._handles.append(layer.register_forward_pre_hook(self._layer(index), with_kwargs=True))
        for projection in backbone.projections:
            self._handles.append(projection.register_forward_pre_hook(self._projection))
        last = backbone.norm if backbone.norm is not None else backbone.layers[-1]
        self._handles.append(last.register_forward_hook(self._final))
        words = self._model.get_output_embeddings() if hasattr(self._model, "get_output_embeddings") else None
        if words is not None:
            self._handles.append(words.register_forward_hook(self._logits))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _own(self) -> bool:
        return threading.get_ident() == self._thread

    def _called(self, _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._calls == 0 and self._own():
            names = list(inspect.signature(self._model.forward).parameters)
            self.arguments = dict(zip(names, args, strict=False)) | kwargs

    def _layer(self, index: int) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not self._own():
                return
            self._calls += index == 0
            if self._calls != 1:
                return
            hidden = args[0] if args else kwargs["hidden_states"]
            self.kept.states.append(hidden[:, -1].detach().clone())
            self.kept.calls.append((module, args[1:], kwargs))
            if index == self.kept.keep:
                self.kept.whole = hidden.detach().clone()

        return hook

    def _projection(self, _module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._calls == 1 and not self.done and self._own():
            self.kept.slices.append(args[0].detach()[:, -1].clone())

    def _final(self, _module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
        if self._calls == 1 and not self.done and self._own():
            hidden = output[0] if isinstance(output, tuple) else output
            self.kept.final = hidden.detach()[:, -1].clone()
            self.done = True

    def _logits(self, _module: nn.Module, _args: tuple[Any, ...], output: Tensor) -> None:
        if self._calls == 1 and self._own():
            self.kept.logits = output.detach()[:, -1].clone()


def _numpy(values: Tensor) -> np.ndarray:
    return values.float().cpu().numpy()
