"""What tells one model or picture processor from another beyond weights: settings that change what is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_COMPUTING = frozenset((
    "rope_parameters", "rope_theta", "rope_scaling", "partial_rotary_factor", "sliding_window", "layer_types",
    "hidden_act", "hidden_activation", "rms_norm_eps", "layer_norm_eps", "norm_eps", "attn_logit_softcapping",
    "query_pre_attn_scalar", "attention_multiplier", "residual_multiplier", "embedding_multiplier",
    "vision_feature_layer", "vision_feature_select_strategy",
))  # fmt: skip
_PICTURES = ("do_", "size", "crop_", "rescale_", "image_mean", "image_std", "resample", "patch_", "max_", "min_")


def computing_settings(config: Any) -> str:
    """The settings of a configuration that change what the same weights compute, as JSON text.

    Rotation, windows, activations, epsilons, multipliers and which layer of a vision tower is taken, at any depth.
    Fractions are told to six digits, because a GGUF file keeps them in float32.
    """
    return json.dumps(_chosen(config.to_dict()), sort_keys=True)


def picture_settings(processor: Any) -> str:
    """The settings of an image processor that change what a picture becomes, as JSON text."""
    facts = processor.to_dict()
    return json.dumps({k: _plain(v) for k, v in facts.items() if k.startswith(_PICTURES)}, sort_keys=True)


def _chosen(facts: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: _plain(value) for name, value in facts.items() if name in _COMPUTING and value is not None}
    for name, value in facts.items():
        if name not in _COMPUTING and isinstance(value, Mapping) and (inner := _chosen(value)):
            found[name] = inner
    return found


def _plain(value: Any) -> Any:
    """A setting in JSON types; one that is not set is the same as none."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else f"{value:.6g}"
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)
