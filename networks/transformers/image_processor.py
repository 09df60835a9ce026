"""What an image processor of transformers does to a picture, as our preprocessing."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from ..network import NetworkWarning
from ..preprocessing import Preprocessing


def preprocessing_of(processor: Any) -> Preprocessing:
    """The preprocessing of an image processor: resize, scale and normalise; ours resizes with its own filter.

    Ours takes the whole picture. A processor that cuts out the middle may see less, and a warning says so. Raises
    TypeError for what is no image processor, ValueError for one that fixes no size or shifts the scaled picture.
    """
    if not hasattr(processor, "do_resize") or not hasattr(processor, "do_normalize"):
        raise TypeError(f"expected a Preprocessing or an image processor, got {type(processor).__name__}")
    if getattr(processor, "rescale_offset", False) or getattr(processor, "offset", False):
        raise ValueError(
            f"expected an image processor that scales alone, got {type(processor).__name__}, which also shifts; give"
            " Preprocessing()"
        )
    cuts = getattr(processor, "do_center_crop", False)
    size = _sides(processor.crop_size if cuts else processor.size) if cuts or processor.do_resize else None
    if cuts:
        warnings.warn(
            f"{type(processor).__name__} cuts out the middle of a picture; here the whole picture is resized to {size}",
            NetworkWarning,
            stacklevel=3,
        )
    normalised = bool(processor.do_normalize)
    return Preprocessing(
        size=size,
        scale=float(processor.rescale_factor) if getattr(processor, "do_rescale", False) else 1.0,
        mean=tuple(map(float, processor.image_mean)) if normalised else (),
        std=tuple(map(float, processor.image_std)) if normalised else (),
        order="BGR" if getattr(processor, "do_flip_channel_order", False) else "RGB",
    )


def _sides(size: Any) -> tuple[int, int]:
    """(height, width). Raises ValueError where a processor does not fix both."""
    sides = size if isinstance(size, Mapping) else {k: v for k, v in vars(size).items() if v is not None}
    if {"height", "width"} <= set(sides):
        return int(sides["height"]), int(sides["width"])
    raise ValueError(
        f"expected an image processor that fixes height and width, got {dict(sides)}; give Preprocessing()"
    )
