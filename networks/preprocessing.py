"""How a camera's picture becomes the sample that a network takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from .packages import install_hint

_CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow


@dataclass(frozen=True)
class Preprocessing:
    """Resize, scale and normalise a picture: (picture * scale - mean) / std, channel by channel.

    size: (height, width), None to keep that of the picture. mean, std: empty, or one number per channel of `order`,
    in units of the scaled picture. layout: of the sample, ``NCHW`` or ``NHWC``. order: of its channels, ``RGB``,
    ``BGR`` or ``L`` (luminance).
    """

    size: tuple[int, int] | None = None
    scale: float = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: str = "NCHW"
    order: str = "RGB"

    def __post_init__(self) -> None:
        if self.layout not in ("NCHW", "NHWC"):
            raise ValueError(f"expected layout 'NCHW' or 'NHWC', got {self.layout!r}")
        if self.order not in _CHANNELS:
            raise ValueError(f"expected channel order 'RGB', 'BGR' or 'L', got {self.order!r}")
        size: Sequence[object] = (1, 1) if self.size is None else self.size
        if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
            raise ValueError(f"expected size (height, width) in pixels, got {self.size}")
        if not all(isinstance(number, (int, float)) for number in (self.scale, *self.mean, *self.std)):
            raise ValueError(f"expected numbers, got scale {self.scale!r}, mean {self.mean}, std {self.std}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, _CHANNELS[self.order]):
                raise ValueError(f"expected {_CHANNELS[self.order]} numbers in {name} for {self.order}, got {values}")
        if any(not value > 0 for value in self.std):
            raise ValueError(f"expected positive numbers in std, got {self.std}")

    def __call__(self, picture: np.ndarray, dtype: str = "float32") -> np.ndarray:
        """A picture, (channels, height, width) uint8 with 1 (luminance) or 3 (RGB) channels, as a sample.

        dtype: of the sample. Integers must be able to hold it, so scale is 1 for most; luminance is rounded for them.
        Raises ValueError for another shape and for numbers that are no such integers, TypeError for a picture of
        another dtype, ImportError when resizing without Pillow.
        """
        if picture.ndim != 3 or picture.shape[0] not in (1, 3):
            raise ValueError(f"expected a picture of shape (1 or 3, height, width), got {picture.shape}")
        if picture.dtype != np.uint8:
            raise TypeError(f"expected a picture of dtype uint8, got {picture.dtype}")
        if self.size is not None and picture.shape[1:] != tuple(self.size):
            picture = _resized(picture, self.size)
        floats = np.dtype(dtype).kind == "f"
        sample = self._coloured(picture.astype(np.float32))
        sample = (sample if floats else np.rint(sample)) * np.float32(self.scale)
        if self.mean:
            sample -= np.array(self.mean, np.float32)[:, None, None]
        if self.std:
            sample /= np.array(self.std, np.float32)[:, None, None]
        sample = sample if self.layout == "NCHW" else sample.transpose(1, 2, 0)
        with np.errstate(invalid="ignore"):
            made = np.ascontiguousarray(sample, dtype)
        if not floats and not np.array_equal(made, sample):
            raise ValueError(
                f"expected a picture as numbers of {dtype}, got {sample.min():g} to {sample.max():g} with scale"
                f" {self.scale:g}; a network that takes integers needs scale 1"
            )
        return made

    def _coloured(self, picture: np.ndarray) -> np.ndarray:
        if self.order == "L":
            return picture if len(picture) == 1 else np.tensordot(_LUMA, picture, 1)[None]
        if len(picture) == 1:
            return np.repeat(picture, 3, axis=0)
        return picture[::-1] if self.order == "BGR" else picture

    def to_dict(self) -> dict[str, Any]:
        """The fields in JSON types."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """A preprocessing from what `to_dict` wrote. Raises ValueError for an unknown field or a wrong value."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"expected the fields of a preprocessing, got {', '.join(map(repr, unknown))} too")
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        try:
            return cls(**plain)
        except TypeError as error:
            raise ValueError(f"expected a preprocessing, got {dict(values)}: {error}") from None


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear with antialiasing, as Pillow does it: (channels, *size) uint8."""
    image = pillow("resizing")
    planes = [image.fromarray(plane).resize(size[::-1], image.Resampling.BILINEAR) for plane in picture]
    return np.stack([np.asarray(plane) for plane in planes])


def pillow(purpose: str) -> Any:
    """Pillow's module Image. Raises ImportError, with what it is needed for, where it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError(f"{purpose} pictures needs Pillow: {install_hint('pictures')}") from None
    return Image
