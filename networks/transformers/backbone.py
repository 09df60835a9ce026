"""Where a model keeps its layers of attention heads: the language backbone of a decoder, or an encoder's tower."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

_STACKS = ("layers", "h", "blocks", "layer", "block")
_ATTENTIONS = ("self_attn", "attention", "attn", "self_attention")
_PROJECTIONS = ("o_proj", "out_proj", "dense", "c_proj", "proj", "wo")
_NORMS = ("norm", "final_layernorm", "final_layer_norm", "ln_f", "post_layernorm", "layernorm", "layer_norm")
_TOWERS = ("vision_tower", "vision_model", "visual", "text_model", "language_model", "vit", "encoder")


@dataclass(frozen=True)
class Backbone:
    """A stack of layers, each with one attention whose heads meet in an output projection.

    stack: the module that owns the layers. layers: in order. projections: of each layer, its input holds the heads side
    by side, (..., heads * head_dim). norm: what follows the last layer, None where nothing does. heads: of a layer.
    groups: heads of keys and values; `heads // groups` heads share one. head_dim: channels of a head's output.
    width: channels of the residual stream.
    """

    stack: nn.Module
    layers: tuple[nn.Module, ...]
    projections: tuple[nn.Module, ...]
    norm: nn.Module | None
    heads: int
    groups: int
    head_dim: int
    width: int


def decoder_backbone(model: Any) -> Backbone:
    """The language backbone of a causal or vision-language model of transformers.

    Raises TypeError for what is no such model, ValueError naming the layer that has no attention as `Backbone` wants.
    """
    if not hasattr(model, "config") or not hasattr(model, "get_decoder"):
        raise TypeError(f"expected a model of transformers with a decoder, got {type(model).__name__}")
    decoder = model.get_decoder()
    decoder = getattr(decoder, "decoder", decoder)
    return _backbone(decoder, model.config.get_text_config(decoder=True))


def tower_backbone(model: Any) -> Backbone:
    """The tower of an image or text encoder of transformers: ViT, CLIP's vision and text models, and their like.

    For a model with several towers give the one that is meant, such as ``clip.vision_model``. Raises as
    `decoder_backbone`.
    """
    if not hasattr(model, "config"):
        raise TypeError(f"expected an encoder of transformers, got {type(model).__name__}")
    found = [part for part in _parts(model) if _stack(part) is not None]
    if not found:
        raise ValueError(f"expected a model with a list of layers, got {type(model).__name__} without one")
    return _backbone(found[0], getattr(found[0], "config", model.config))


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """A module, then what it wraps, the outer first."""
    yield module
    base = getattr(module, "base_model", module)
    if base is not module:
        yield base
    for name in _TOWERS:
        inner = getattr(base, name, None)
        if isinstance(inner, nn.Module):
            yield from _parts(inner)


def _stack(module: nn.Module) -> nn.ModuleList | None:
    lists = (getattr(module, name, None) for name in _STACKS)
    return next((found for found in lists if isinstance(found, nn.ModuleList) and len(found)), None)


def _backbone(stack: nn.Module, config: Any) -> Backbone:
    layers = _stack(stack)
    if layers is None:
        raise ValueError(f"expected a list of layers in {type(stack).__name__}, got none among {', '.join(_STACKS)}")
    projections = [_projection(layer, i) for i, layer in enumerate(layers)]
    heads = next(n for name in ("num_attention_heads", "n_head", "num_heads") if (n := getattr(config, name, None)))
    shared = getattr(config, "multi_query", False) and not getattr(config, "new_decoder_architecture", False)
    groups = 1 if shared else getattr(config, "num_key_value_heads", None) or heads  # Falcon, GPTBigCode: one for all
    size = inputs_of(projections[0])
    if any(inputs_of(projection) != size for projection in projections) or size % heads:
        raise ValueError(
            f"expected layers of {heads} heads of one size, got projections of"
            f" {sorted({inputs_of(projection) for projection in projections})} inputs"
        )
    named = (getattr(stack, name, None) for name in _NORMS)
    norm = next((found for found in named if isinstance(found, nn.Module)), None)
    return Backbone(
        stack, tuple(layers), tuple(projections), norm, heads, groups, size // heads, int(config.hidden_size)
    )


def _projection(layer: nn.Module, index: int) -> nn.Module:
    """The output projection of a layer's attention, which an encoder may keep one module deeper."""
    attention = next((found for name in _ATTENTIONS if (found := getattr(layer, name, None)) is not None), None)
    for holder in (attention, getattr(attention, "output", None)):
        for name in _PROJECTIONS:
            found = getattr(holder, name, None)
            if isinstance(found, nn.Module):
                return found
    raise ValueError(
        f"layer {index}: expected an attention ({', '.join(_ATTENTIONS)}) with an output projection"
        f" ({', '.join(_PROJECTIONS)}), got {type(attention or layer).__name__}"
    )


def inputs_of(projection: Any) -> int:
    """How many channels a projection takes: of a Linear, or of the Conv1D of GPT-2, whose weight is transposed."""
    features = getattr(projection, "in_features", None)
    return int(features if features is not None else projection.weight.shape[0])
