"""What the MLPs of a causal model say of inputs, and what its matrices are fed, averaged over the first outputs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...networks.transformers import decoder_backbone
from .inputs import TokenInputs

_MLPS = ("mlp", "feed_forward", "ffn", "ff", "mlp_block", "block_sparse_moe")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Readings:
    """outputs: of each layer's MLP, (layers, n, width) float32, the mean over the output positions.

    first: the same at the first of them alone, which has seen nothing of the output. inputs: what each matrix is fed,
    by its name, (n, in) float32, the mean.
    """

    outputs: np.ndarray
    first: np.ndarray
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)


def mlps(model: Any) -> list[nn.Module]:
    """The MLP of each layer. Raises ValueError that names the layer without one, TypeError for no such model."""
    found = []
    for index, layer in enumerate(decoder_backbone(model).layers):
        mlp = next((part for name in _MLPS if isinstance(part := getattr(layer, name, None), nn.Module)), None)
        if mlp is None:
            raise ValueError(
                f"layer {index}: expected an MLP ({', '.join(_MLPS)}), got {type(layer).__name__} without one"
            )
        found.append(mlp)
    return found


def matrix_modules(model: Any, *, attention: bool = False) -> dict[str, tuple[int, nn.Module]]:
    """The layers' matrices: name, such as ``3.mlp.c_fc``, to (layer, module). attention: also those outside the MLP."""
    found: dict[str, tuple[int, nn.Module]] = {}
    for index, (layer, mlp) in enumerate(zip(decoder_backbone(model).layers, mlps(model), strict=True)):
        inside = set(mlp.modules())
        for name, module in layer.named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor) and weight.ndim == 2 and (attention or module in inside):
                found[f"{index}.{name}"] = index, module
    return found


def read(
    model: Any,
    inputs: TokenInputs,
    *,
    positions: int = 10,
    batch: int = 32,
    matrices: bool = False,
    attention: bool = False,
    progress: Progress | None = None,
) -> Readings:
    """One pass over the inputs: MLP outputs, each the mean over the first output positions.

    positions: how many, the prompt's last token being the first of them; the paper takes 10. matrices: also what each
    matrix of the MLPs is fed, the same mean; attention: and those of the attention. progress: called with rows done and
    all. Raises ValueError for fewer output positions than asked for, and for a model in training mode.
    """
    wanted = matrix_modules(model, attention=attention) if matrices else {}
    taken = mlps(model)
    outputs: list[list[Tensor]] = [[] for _ in taken]
    first: list[list[Tensor]] = [[] for _ in taken]
    fed: dict[str, list[Tensor]] = {name: [] for name in wanted}
    for rows, some in inputs.batches(batch, positions, device_of(model)):
        places = some.places(positions)

        def picked(values: Tensor, places: Tensor = places) -> Tensor:
            index = places[..., None].expand(-1, -1, values.shape[-1])
            return values.gather(1, index).float()

        def keep(out: Any, means: list[Tensor], firsts: list[Tensor]) -> None:
            found = picked(_first(out))
            means.append(found.mean(1).cpu())
            firsts.append(found[:, 0].cpu())

        with _hooks() as hooked, torch.no_grad():
            for means, firsts, mlp in zip(outputs, first, taken, strict=True):
                hooked(mlp.register_forward_hook(lambda _m, _i, out, a=means, b=firsts: keep(out, a, b)))
            for name, (_, module) in wanted.items():
                hooked(
                    module.register_forward_pre_hook(
                        lambda _m, given, s=fed[name]: s.append(picked(given[0]).mean(1).cpu())
                    )
                )
            forward(model, some)
        if progress is not None:
            progress(min(rows.stop, len(inputs)), len(inputs))
    return Readings(
        np.stack([torch.cat(values).numpy() for values in outputs]),
        np.stack([torch.cat(values).numpy() for values in first]),
        {name: torch.cat(values).numpy() for name, values in fed.items()},
    )


def forward(model: Any, inputs: TokenInputs, keep: int = 1, embeddings: Tensor | None = None) -> Tensor:
    """The logits of the last `keep` positions, (n, keep, vocabulary), without a cache.

    embeddings: (n, length, width), in place of the tokens'. Raises ValueError for a model in training mode.
    """
    if model.training:
        raise ValueError("expected a model in eval mode (call .eval()), got one in training mode")
    takes = inspect.signature(model.forward).parameters
    given: dict[str, Any] = {"attention_mask": inputs.mask.long(), "use_cache": False}
    given |= {"input_ids": inputs.tokens} if embeddings is None else {"inputs_embeds": embeddings}
    given |= {"position_ids": inputs.positions} if "position_ids" in takes else {}
    given |= {"logits_to_keep": keep} if "logits_to_keep" in takes else {}
    logits: Tensor = model(**given).logits
    return logits[:, -keep:]


def device_of(model: Any) -> torch.device:
    """Where the model's weights lie."""
    return next(model.parameters()).device


@contextmanager
def _hooks() -> Iterator[Callable[[Any], None]]:
    """Collects handles of hooks and removes them at the end, also after an exception."""
    handles: list[Any] = []
    try:
        yield handles.append
    finally:
        for handle in handles:
            handle.remove()


def _first(output: Any) -> Tensor:
    """The states in what an MLP returns: some return router logits beside them."""
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found
