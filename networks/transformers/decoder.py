"""A language or vision-language model as layers of heads that can be read and masked."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .backbone import Backbone, decoder_backbone
from .identity import computing_settings
from .importing import cache_keyword, import_transformers
from .masking import check_plain, means_of_values, replaced, seen_positions
from .prefill import PassHooks, Prefill
from .prompts import Chat, left_padded

Head = tuple[int, int]
"""(layer, head), both from 0."""


class Decoder:
    """A causal or vision-language model of transformers, in eval mode, whatever its attention backend.

    model: loaded by transformers; a model with adapters of peft may be given too. processor: the processor or tokenizer
    that makes its inputs, needed for `encode` alone. system: the system prompt, None for what the template has.
    layers, heads, groups, head_dim, width: of the language backbone. context: the most tokens it takes, None where it
    does not say. dtype: of its weights. Nothing of the model is changed, and its hooks stay for a pass alone.
    Raises TypeError for what is no decoder and ValueError for a model in training mode or with layers of another kind.
    """

    engine = "transformers"

    def __init__(self, model: Any, processor: Any = None, *, system: str | None = None) -> None:
        self.model: Any = model.get_base_model() if hasattr(model, "get_base_model") else model
        if self.model.training:
            raise ValueError("expected a model in eval mode (call .eval()), got one in training mode")
        self.backbone: Backbone = decoder_backbone(self.model)
        self.processor = processor
        self.system = system
        backbone, config = self.backbone, self.model.config.get_text_config(decoder=True)
        self.layers, self.heads, self.groups = len(backbone.layers), backbone.heads, backbone.groups
        self.head_dim, self.width = backbone.head_dim, backbone.width
        self.context: int | None = getattr(config, "max_position_embeddings", None)
        self.dtype = str(self.model.dtype).removeprefix("torch.")
        self._maskable = False
        self._takes = frozenset(inspect.signature(self.model.forward).parameters)

    @property
    def name(self) -> str:
        """The model in words: its class, and its layers and heads."""
        return f"{type(self.model).__name__}, {self.layers} layers x {self.heads} heads"

    def __repr__(self) -> str:
        return f"Decoder({self.name}, {self.dtype})"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 in hexadecimal over the heads' layout, `computing_settings` and all weights.

        It is computed once; weights that change later go unnoticed.
        """
        digest = hashlib.sha256(f"{type(self.model).__name__} {self.layers} {self.heads} {self.groups}".encode())
        digest.update(computing_settings(self.model.config).encode())
        for name, value in sorted(self.model.state_dict().items()):
            if isinstance(value, Tensor):
                digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()

    @cached_property
    def chat(self) -> Chat:
        """How prompts become tokens. Raises ValueError without a processor that has a chat template."""
        if self.processor is None:
            raise ValueError("expected a processor to encode prompts with, got none; give Decoder(model, processor)")
        return Chat(self.processor, self.system, self.context)

    @property
    def encoding(self) -> str:
        """SHA-256 of how prompts become tokens: chat template, system prompt, vocabulary and picture processor."""
        return self.chat.digest

    def encode(self, prompts: Sequence[Any]) -> dict[str, Tensor]:
        """Prompts as the model's inputs, padded on the left, on its device; see `Chat.encode`."""
        return {name: value.to(self.model.device) for name, value in self.chat.encode(prompts).items()}

    def prefill(self, inputs: Mapping[str, Any], keep: int | None = None) -> Prefill:
        """One plain pass over the prompts.

        inputs: of the model, (batch, tokens), padded on either side; padding is moved to the left. keep: the first
        layer at which `exact` may begin. Raises ValueError for inputs without tokens, or longer than the context.
        """
        given = self._placed(left_padded(inputs))
        tokens = given["attention_mask"].shape[1]
        if self.context is not None and tokens > self.context:
            raise ValueError(f"expected at most {self.context:,} tokens, got {tokens:,}")
        cache = import_transformers().DynamicCache()
        with PassHooks(self.model, self.backbone, keep) as recording, torch.no_grad():
            self._forward(given, {cache_keyword(): cache, "use_cache": True})
        return self._checked(Prefill(self.backbone, given, cache, recording.kept))

    def last_query(self, prefill: Prefill, heads: Sequence[Head] | None = None) -> np.ndarray:
        """The final states with each head masked at the last position alone: (batch, heads, width) float32.

        heads: (layer, head) each, None for all, layer by layer. The keys and values of all other positions stay as they
        are, so one token goes through the layers above each head, over the cache of the plain pass. All heads go
        together, as tokens that see the prompt and themselves.
        """
        self._check_maskable()
        wanted = self._wanted(heads)
        kept, batch = prefill.kept, len(prefill.lengths)
        cache = self._before_last(prefill)
        rows: Tensor | None = None
        order: list[Head] = []
        with torch.no_grad(), self._masks_taken():
            for layer in range(min(wanted), self.layers):
                asked = wanted.get(layer, [])
                order += [(layer, head) for head in asked]
                fresh = kept.states[layer][:, None].expand(-1, len(asked), -1)
                rows = fresh if rows is None else torch.cat([rows, fresh], 1)
                given = kept.arguments(layer)
                seen = self._seen(prefill, layer, given, last=True)
                arguments = self._for_rows(prefill, layer, given, rows.shape[1], seen[:, 0], cache)
                with self._masked_rows(prefill, layer, asked, seen) if asked else ExitStack():
                    rows = _hidden(self.backbone.layers[layer](rows, **arguments))
            final = self._normed(rows if rows is not None else torch.empty(batch, 0, self.width))
        places = {head: index for index, head in enumerate(order)}
        picked = [places[head] for head in (heads if heads is not None else order)]
        return final.float().cpu().numpy()[:, picked]

    def exact(self, prefill: Prefill, head: Head) -> np.ndarray:
        """The final states with a head masked at all positions, (batch, width) float32: a restart at its layer.

        Equals `full` to within rounding, and costs the layers from that one on. Raises ValueError unless the prefill
        kept this layer or a lower one.
        """
        layer, index = self._within(head)
        kept = prefill.kept
        if kept.whole is None or kept.keep is None or kept.keep > layer:
            raise ValueError(
                f"expected a prefill that kept layer {layer} or a lower one, got keep={kept.keep}; say prefill(keep=)"
            )
        hidden = kept.whole
        with torch.no_grad():
            for current in range(kept.keep, self.layers):
                given = kept.arguments(current)
                arguments = {k: v for k, v in given.items() if not _is_cache(v)} | {"use_cache": False}
                arguments = {k: v for k, v in arguments.items() if k in given}
                with self._masked(prefill, layer, index) if current == layer else ExitStack():
                    hidden = _hidden(self.backbone.layers[current](hidden, **arguments))
            return self._normed(hidden[:, -1]).float().cpu().numpy()

    def full(self, prefill: Prefill, head: Head) -> np.ndarray:
        """The final states with a head masked at all positions, (batch, width) float32: a second whole pass."""
        layer, index = self._within(head)
        with (
            self._masked(prefill, layer, index),
            PassHooks(self.model, self.backbone) as recording,
            torch.no_grad(),
        ):
            self._forward(prefill.inputs, {"use_cache": False})
        return recording.kept.final.float().cpu().numpy()

    @contextmanager
    def watching(self, keep: int | None = None) -> Iterator[WatchedPass]:
        """While it lasts, the first pass of the model in this thread, such as its ``generate``'s, is a prefill."""
        with PassHooks(self.model, self.backbone, keep) as recording:
            yield WatchedPass(self, recording)

    # The plain pass.

    def _placed(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Inputs on the model's device, with the positions of tokens behind padding where the model counts from 0."""
        given = {k: v.to(self.model.device) if isinstance(v, Tensor) else v for k, v in inputs.items()}
        mask = given["attention_mask"]
        if "position_ids" in self._takes and "position_ids" not in given:
            given["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
            if self.turns_in_three:
                given["position_ids"] = self._three_positions(given)
        return given

    @property
    def turns_in_three(self) -> bool:
        """Whether positions have three axes, as with Qwen2-VL."""
        return hasattr(getattr(self.model, "model", self.model), "get_rope_index")

    def _three_positions(self, given: Mapping[str, Any]) -> Tensor:
        """(3, batch, tokens): said to the model, which else may use what it remembers of another prompt."""
        find = self.model.model.get_rope_index
        grids = any(given.get(name) is not None for name in ("image_grid_thw", "video_grid_thw"))
        if grids and "input_ids" in given and "mm_token_type_ids" in given:
            taken = inspect.signature(find).parameters
            return find(**{name: value for name, value in given.items() if name in taken})[0]
        return given["position_ids"].expand(3, -1, -1)

    def _forward(self, inputs: Mapping[str, Any], more: dict[str, Any]) -> None:
        if "logits_to_keep" in self._takes:
            more = {"logits_to_keep": 1, **more}
        self.model(**{**inputs, **more})

    def _checked(self, prefill: Prefill) -> Prefill:
        kept = prefill.kept
        if len(kept.slices) != self.layers or len(kept.states) != self.layers or not len(kept.final):
            raise ValueError(
                f"expected one pass through {self.layers} layers, got {len(kept.states)} layers and"
                f" {len(kept.slices)} projections; the model skips some or runs them twice"
            )
        return prefill

    # What a layer saw.

    def _check_maskable(self) -> None:
        """Run one token, once, to see that a masked head returns the mean of its values; see `check_plain`."""
        if self._maskable:
            return
        config = {**self.model.config.to_dict(), **self.model.config.get_text_config(decoder=True).to_dict()}
        special = {value for value in config.values() if isinstance(value, int)}
        token = next(number for number in range(3, len(special) + 4) if number not in special)
        one = self.prefill({"input_ids": torch.tensor([[token]])})
        for layer, heads in enumerate(one.kept.slices):
            check_plain(heads[0].view(self.heads, self.head_dim), self._values(one, layer)[0, :, 0], layer)
        self._maskable = True

    def _values(self, prefill: Prefill, layer: int) -> Tensor:
        return self._of_prompt(prefill, layer)[1]

    def _of_prompt(self, prefill: Prefill, layer: int) -> tuple[Tensor, Tensor]:
        """Keys and values of the prompt at a layer, (batch, groups, tokens, head_dim)."""
        stored = getattr(prefill.cache, "layers", ())
        held = stored[layer] if layer < len(stored) else None
        keys, values = (getattr(held, name, None) for name in ("keys", "values"))
        if keys is None or values is None or values.shape[-2] < prefill.tokens or values.shape[1] != self.groups:
            got = "none" if values is None else f"{values.shape[1]} x {values.shape[-2]}"
            raise ValueError(
                f"layer {layer}: expected values of {self.groups} groups x {prefill.tokens} tokens in the cache, got"
                f" {got}; give generate a plain DynamicCache()"
            )
        return keys[..., : prefill.tokens, :], values[..., : prefill.tokens, :]

    def _seen(self, prefill: Prefill, layer: int, given: Mapping[str, Any], *, last: bool = False) -> Tensor:
        """What positions see at a layer, of which the arguments are given; see `seen_positions`."""
        if given.get("alibi") is not None:
            raise ValueError("expected attention without a bias for distance, got alibi; a masked head is not uniform")
        attention = next(
            (m for m in self.backbone.layers[layer].modules() if getattr(m, "layer_idx", None) == layer), None
        )
        window = getattr(attention, "sliding_window", None)
        return seen_positions(given.get("attention_mask"), prefill.inputs["attention_mask"], window, last=last)

    def _masked(self, prefill: Prefill, layer: int, head: int) -> Any:
        """A context in which the head is masked at all positions of the prompt."""
        self._check_maskable()
        seen = self._seen(prefill, layer, prefill.kept.arguments(layer))
        means = means_of_values(self._values(prefill, layer), seen)
        mean = means[:, head * self.groups // self.heads]
        place = slice(head * self.head_dim, (head + 1) * self.head_dim)

        def change(values: Tensor) -> Tensor:
            values = values.clone()
            values[..., place] = mean.to(values.dtype)
            return values

        return replaced(self.backbone.projections[layer], change)

    # One token over the plain pass's cache.

    def _before_last(self, prefill: Prefill) -> Any:
        """A cache of its own with all positions but the last; adding to it leaves the plain one as it is."""
        transformers = import_transformers()
        cache = transformers.DynamicCache()
        for layer in range(self.layers):
            keys, values = self._of_prompt(prefill, layer)
            held = transformers.cache_utils.DynamicLayer()
            held.lazy_initialization(keys, values)
            held.keys, held.values = keys[..., :-1, :], values[..., :-1, :]
            cache.layers.append(held)
        return cache

    def _masked_rows(self, prefill: Prefill, layer: int, heads: Sequence[int], seen: Tensor) -> Any:
        """A context in which each of the last rows has one head masked. seen: (batch, 1, tokens) bool."""
        means = means_of_values(self._values(prefill, layer), seen)[:, :, 0]

        def change(values: Tensor) -> Tensor:
            values = values.clone()
            first = values.shape[1] - len(heads)
            for row, head in enumerate(heads, first):
                mean = means[:, head * self.groups // self.heads]
                values[:, row, head * self.head_dim : (head + 1) * self.head_dim] = mean.to(values.dtype)
            return values

        return replaced(self.backbone.projections[layer], change)

    def _for_rows(
        self, prefill: Prefill, layer: int, given: Mapping[str, Any], rows: int, seen: Tensor, cache: Any
    ) -> dict[str, Any]:
        """The arguments of a layer for rows that all stand at the last position and see the prompt and themselves."""
        arguments = dict(given)
        for name, value in arguments.items():
            if _is_cache(value):
                arguments[name] = cache
            elif name == "position_embeddings":
                arguments[name] = tuple(part[..., -1:, :].expand(*part.shape[:-2], rows, -1) for part in value)
            elif name in ("position_ids", "cache_position") and isinstance(value, Tensor):
                arguments[name] = value[..., -1:].expand(*value.shape[:-1], rows)
        dtype = prefill.kept.states[layer].dtype
        own = torch.eye(rows, dtype=torch.bool, device=seen.device)
        before = seen[:, None, :-1].expand(-1, rows, -1)
        sees = torch.cat([before, own.expand(len(seen), -1, -1)], -1)
        mask = torch.zeros(sees.shape, dtype=dtype, device=seen.device)
        return arguments | {"attention_mask": mask.masked_fill(~sees, torch.finfo(dtype).min)[:, None]}

    @contextmanager
    def _masks_taken(self) -> Iterator[None]:
        """While it lasts, attention takes a mask of four axes: backends that do not make way for torch's own."""
        config = self.model.config.get_text_config(decoder=True)
        before = config._attn_implementation  # noqa: SLF001 (its public setter walks over the whole model)
        try:
            if before not in ("eager", "sdpa"):
                config._attn_implementation = "sdpa"  # noqa: SLF001
            yield
        finally:
            config._attn_implementation = before  # noqa: SLF001

    def _normed(self, hidden: Tensor) -> Tensor:
        return hidden if self.backbone.norm is None else self.backbone.norm(hidden)

    def _within(self, head: Head) -> Head:
        layer, index = head
        if not (0 <= layer < self.layers and 0 <= index < self.heads):
            raise ValueError(
                f"expected a head within {self.layers} layers x {self.heads} heads, got layer {layer} head {index}"
            )
        return layer, index

    def _wanted(self, heads: Sequence[Head] | None) -> dict[int, list[int]]:
        if heads is None:
            return {layer: list(range(self.heads)) for layer in range(self.layers)}
        if not heads:
            raise ValueError("expected at least one head, got none")
        wanted: dict[int, list[int]] = {}
        for head in dict.fromkeys(heads):
            layer, index = self._within(head)
            wanted.setdefault(layer, []).append(index)
        return wanted


class WatchedPass:
    """A pass of the model that is being watched."""

    def __init__(self, decoder: Decoder, recording: PassHooks) -> None:
        self._decoder = decoder
        self._recording = recording
        self._prefill: Prefill | None = None

    @property
    def prefill(self) -> Prefill | None:
        """The first pass, None before it has run.

        Raises ValueError where the last position of a prompt is padding, or the pass was not the whole prompt's.
        """
        if self._prefill is None and self._recording.done:
            self._prefill = self._made()
        return self._prefill

    def _made(self) -> Prefill:
        decoder, recording = self._decoder, self._recording
        given = {name: value for name, value in recording.arguments.items() if value is not None}
        cache = given.pop(cache_keyword(), None)
        tokens = given.get("input_ids", given.get("inputs_embeds"))
        if tokens is None:
            raise ValueError("expected a pass over input_ids or inputs_embeds, got one over neither")
        mask = given.get("attention_mask")
        if not (isinstance(mask, Tensor) and mask.ndim == 2):
            mask = torch.ones(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        if mask.shape != tokens.shape[:2]:
            raise ValueError(f"expected the whole prompt in one pass, got {tokens.shape[1]} of {mask.shape[1]} tokens")
        if not bool(mask[:, -1].all()):
            raise ValueError("expected prompts padded on the left, got padding behind the last token")
        dropped = ("use_cache", "logits_to_keep", "return_dict", "cache_position")
        given = {name: value for name, value in given.items() if name not in dropped} | {"attention_mask": mask}
        return decoder._checked(Prefill(decoder.backbone, given, cache, recording.kept))  # noqa: SLF001


def _is_cache(value: Any) -> bool:
    """Whether an argument of a layer is the cache, whose name differs from model to model."""
    return hasattr(value, "get_seq_length")


def _hidden(output: Any) -> Tensor:
    """The hidden states among what a layer returns."""
    return output[0] if isinstance(output, tuple) else output
