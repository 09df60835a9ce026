"""What an image processor of transformers does to a picture, as our preprocessing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from ..network import NetworkWarning
from ..pictures.fitting import INTERPOLATIONS
from ..preprocessing import Preprocessing

_FILTERS = dict(enumerate(("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")))  # as Pillow counts them


def preprocessing_of(processor: Any) -> Preprocessing:
    """The preprocessing of an image processor: resize, cut out the middle, scale and normalise.

    Ours resizes as Pillow does; a processor on tensors may differ by a shade. A processor that cuts the middle out of
    what it does not scale by the shorter side is followed in its size alone, and a warning says so. Raises TypeError
    for what is no image processor, ValueError for one that fixes no size or shifts the scaled picture.
    """
    if not hasattr(processor, "do_resize") or not hasattr(processor, "do_normalize"):
        raise TypeError(f"expected a Preprocessing or an image processor, got {type(processor).__name__}")
    if getattr(processor, "rescale_offset", False) or getattr(processor, "offset", False):
        raise ValueError(
            f"expected an image processor that scales alone, got {type(processor).__name__}, which also shifts; give"
            " Preprocessing()"
        )
    normalised = bool(processor.do_normalize)
    return Preprocessing(
        **_fit(processor),
        scale=float(processor.rescale_factor) if getattr(processor, "do_rescale", False) else 1.0,
        mean=tuple(map(float, processor.image_mean)) if normalised else (),
        std=tuple(map(float, processor.image_std)) if normalised else (),
        order="BGR" if getattr(processor, "do_flip_channel_order", False) else "RGB",
    )


def _fit(processor: Any) -> dict[str, Any]:
    """Size, fit, shorter and interpolation."""
    cuts = getattr(processor, "do_center_crop", False)
    if not cuts and not processor.do_resize:
        return {}
    resample = getattr(processor, "resample", None)
    told = _FILTERS.get(int(resample)) if isinstance(resample, int) else getattr(resample, "value", None)
    way = {"interpolation": told} if told in INTERPOLATIONS else {}
    if not cuts:
        return {"size": _sides(processor.size), **way}
    size = _sides(processor.crop_size)
    shorter = _named(processor.size).get("shortest_edge") if processor.do_resize else None
    if shorter is not None and int(shorter) >= max(size):
        return {"size": size, "fit": "crop", "shorter": int(shorter), **way}
    warnings.warn(
        f"{type(processor).__name__} cuts out the middle of a picture in a way of its own; here the whole picture is"
        f" resized to {size}",
        NetworkWarning,
        stacklevel=4,
    )
    return {"size": size, **way}


def _named(size: Any) -> Mapping[str, Any]:
    return size if isinstance(size, Mapping) else {k: v for k, v in vars(size).items() if v is not None}


def _sides(size: Any) -> tuple[int, int]:
    """(height, width). Raises ValueError where a processor does not fix both."""
    sides = _named(size)
    if {"height", "width"} <= set(sides):
        return int(sides["height"]), int(sides["width"])
    raise ValueError(
        f"expected an image processor that fixes height and width, got {dict(sides)}; give Preprocessing()"
    )
