"""How a camera's picture becomes the sample that a network takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from .pictures.fitting import FITS, INTERPOLATIONS, fitted, framed

_CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow
_UINT8 = np.dtype("uint8")
_WHITE = {_UINT8: 255, np.dtype("uint16"): 65535, np.dtype("int32"): None, np.dtype("float32"): None}


@dataclass(frozen=True)
class Preprocessing:
    """Fit, scale and normalise a picture: (picture * scale - mean) / std, channel by channel.

    The steps, in their order:

    1. Numbers of more than 8 bits are brought to the range 0 to 255 by the factor 255 / white, without rounding.
       white: the number that is white; None is 255 for uint8 and 65535 for uint16. For int32 and float32 it must be
       told. Numbers below 0 or beyond white are refused; NaN and Inf stay what they are.
    2. The picture gets `size`, (height, width), None to keep its own. fit: ``stretch`` scales both sides on their own.
       ``letterbox`` scales the whole picture into the size, puts it in the middle, an odd pixel more below and on the
       right, and fills the rest with the number `fill`, from 0 for black to 255. ``crop`` scales the picture until its
       shorter side has `shorter` pixels, and cuts out the middle, as torchvision's Resize(shorter) and CenterCrop(size)
       do; with `shorter` None it scales the picture just so that it covers the size.
       interpolation: Pillow's ``nearest``, ``bilinear``, ``bicubic``, ``lanczos``, ``box`` or ``hamming``; all but the
       first antialias. Pictures of uint8 stay uint8 here, as in Pillow.
    3. order: of the channels, ``RGB``, ``BGR`` or ``L`` (luminance, ITU-R BT.601).
    4. scale, then mean and std: empty, or one number per channel of `order`, in units of the scaled picture.
    5. layout: of the sample, ``NCHW`` or ``NHWC``.

    dtype: of the samples. A network sets it to what it takes. seen: is called with every picture before it is changed.
    Both are no part of what a profile stores.
    """

    size: tuple[int, int] | None = None
    scale: float = 1 / 255
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: str = "NCHW"
    order: str = "RGB"
    fit: str = "stretch"
    shorter: int | None = None
    fill: float = 0
    interpolation: str = "bilinear"
    white: float | None = None
    dtype: str = field(default="float32", compare=False)
    seen: Callable[[np.ndarray], object] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, value, known in (
            ("layout", self.layout, ("NCHW", "NHWC")),
            ("order of channels", self.order, tuple(_CHANNELS)),
            ("fit", self.fit, FITS),
            ("interpolation", self.interpolation, INTERPOLATIONS),
        ):
            if value not in known:
                raise ValueError(f"expected {name} {', '.join(map(repr, known[:-1]))} or {known[-1]!r}, got {value!r}")
        size: Sequence[object] = (1, 1) if self.size is None else self.size
        if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
            raise ValueError(f"expected size (height, width) in pixels, got {self.size}")
        white = 1 if self.white is None else self.white
        told: tuple[Any, ...] = (self.scale, *self.mean, *self.std, self.fill, white)
        if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in told):
            raise ValueError(
                f"expected finite numbers, got scale {self.scale!r}, mean {self.mean}, std {self.std},"
                f" fill {self.fill!r}, white {self.white!r}"
            )
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, _CHANNELS[self.order]):
                raise ValueError(f"expected {_CHANNELS[self.order]} numbers in {name} for {self.order}, got {values}")
        if any(not value > 0 for value in self.std):
            raise ValueError(f"expected positive numbers in std, got {self.std}")
        self._check_fit()

    def _check_fit(self) -> None:
        if self.fit != "stretch" and self.size is None:
            raise ValueError(f"expected a size for fit {self.fit!r}, got none; size= says (height, width)")
        if self.shorter is not None:
            if self.fit != "crop":
                raise ValueError(f"expected shorter with fit 'crop' alone, got it with {self.fit!r}")
            shorter: Any = self.shorter
            if not isinstance(shorter, int) or shorter < max(self.size or ()):
                raise ValueError(f"expected shorter of at least the size {self.size} in pixels, got {self.shorter!r}")
        if not 0 <= self.fill <= 255 or (self.fill and self.fit != "letterbox"):
            raise ValueError(f"expected fill from 0 to 255 with fit 'letterbox', got {self.fill} with {self.fit!r}")
        if self.white is not None and self.white <= 0:
            raise ValueError(f"expected white above 0, got {self.white}")

    def __call__(self, picture: np.ndarray, dtype: str | None = None) -> np.ndarray:
        """A picture, (channels, height, width) with 1 (luminance) or 3 (RGB) channels, as a sample.

        picture: uint8, uint16, int32 or float32, as `read_picture` gives it; `picture_of` makes one of a camera's
        frame. dtype: of the sample, by default this object's own. Integers must be able to hold it, so scale is 1 for
        most; what is no integer is rounded for them before it is scaled.
        Raises ValueError for another shape, numbers outside 0 to white, and numbers that are no such integers,
        TypeError for a picture of another dtype, ImportError when resizing without Pillow.
        """
        dtype = self.dtype if dtype is None else dtype
        if not isinstance(picture, np.ndarray):
            raise TypeError(
                f"expected a picture as an array, got {type(picture).__name__}; outrider.networks.read_picture reads a"
                " file, picture_of takes a PIL image"
            )
        if picture.ndim != 3 or picture.shape[0] not in (1, 3) or not picture.size:
            raise ValueError(
                f"expected a picture of shape (1 or 3, height, width), got {picture.shape};"
                " outrider.networks.picture_of(frame, order='BGR') takes a frame (height, width, 3) as OpenCV gives it"
            )
        if picture.dtype not in _WHITE:
            raise TypeError(f"expected a picture of dtype {', '.join(map(str, _WHITE))}, got {picture.dtype}")
        if self.seen is not None:
            self.seen(picture)
        picture = self._of_8_bits(picture)
        if self.size is not None:
            picture = fitted(picture, (self.size[0], self.size[1]), self.fit, self.shorter, self.interpolation)
        colours = self._coloured(picture)
        if self.fit == "letterbox" and self.size is not None:
            colours = framed(colours.astype(np.float32), (self.size[0], self.size[1]), self.fill)
        floats = np.dtype(dtype).kind not in "iub"
        if not floats and colours.dtype != _UINT8:
            colours = np.rint(colours)
        sample, counted = colours, floats or self.scale != 1 or self.mean or self.std
        if counted:
            sample = np.multiply(colours, np.float32(self.scale), dtype=np.float32, order="C")
        if self.mean:
            sample -= np.array(self.mean, np.float32)[:, None, None]
        if self.std:
            sample /= np.array(self.std, np.float32)[:, None, None]
        sample = sample if self.layout == "NCHW" else sample.transpose(1, 2, 0)
        with np.errstate(invalid="ignore"):
            made = np.array(sample, dtype, order="C", copy=None if counted else True)
        if not floats and not np.array_equal(made, sample):
            raise ValueError(
                f"expected a picture as numbers of {dtype}, got {sample.min():g} to {sample.max():g} with scale"
                f" {self.scale:g}; a network that takes integers needs scale 1"
            )
        return made

    def _of_8_bits(self, picture: np.ndarray) -> np.ndarray:
        """The picture with white at 255: uint8 as it is where that is so, else float32."""
        kind = picture.dtype
        white = self.white or _WHITE[kind]
        if white is None:
            raise ValueError(
                f"expected to know which number is white in a picture of {kind}; its preprocessing"
                " has to say it when the profile is learned: `white`, --white in the shell"
            )
        if white > (_WHITE[kind] or math.inf):
            raise ValueError(f"expected pictures whose white is {white:g}, got one of {kind}, which ends below that")
        if kind == _UINT8 and white == 255:
            return picture
        finite = picture if kind.kind != "f" else picture[np.isfinite(picture)]
        if white != _WHITE[kind] and finite.size and not (finite.min() >= 0 and finite.max() <= white):
            raise ValueError(
                f"expected a picture of numbers from 0 to {white:g}, which is white, got {finite.min():g} to"
                f" {finite.max():g}; the preprocessing of the profile says what is white: `white`, --white in the shell"
            )
        return picture.astype(np.float32) * np.float32(255) / np.float32(white)

    def _coloured(self, picture: np.ndarray) -> np.ndarray:
        if self.order == "L":
            return picture if len(picture) == 1 else np.tensordot(_LUMA, picture.astype(np.float32), 1)[None]
        if len(picture) == 1:
            return np.broadcast_to(picture, (3, *picture.shape[1:]))
        return picture[::-1] if self.order == "BGR" else picture

    def giving(self, dtype: str) -> Preprocessing:
        """The same with samples of another dtype."""
        return self if dtype == self.dtype else replace(self, dtype=dtype)

    def steps(self) -> tuple[str, ...]:
        """What happens to a picture, step by step, in words."""
        steps = [] if self.white is None else [f"numbers times 255/{self.white:g}"]
        steps.append(self._fit_in_words())
        steps.append({"L": "luminance"}.get(self.order, self.order))
        turned = round(1 / self.scale) if self.scale and abs(self.scale) < 1 else 0
        near = turned and math.isclose(self.scale * turned, 1, rel_tol=1e-6)
        steps.append(
            "numbers as they are" if self.scale == 1 else f"times {f'1/{turned}' if near else f'{self.scale:g}'}"
        )
        for word, numbers in (("minus", self.mean), ("divided by", self.std)):
            if numbers:
                steps.append(f"{word} {' '.join(f'{number:g}' for number in numbers)}")
        return (*steps, self.layout)

    def _fit_in_words(self) -> str:
        if self.size is None:
            return "in its own size"
        size = f"{self.size[0]} x {self.size[1]}"
        way = self.interpolation + ("" if self.interpolation == "nearest" else ", antialiased")
        if self.fit == "letterbox":
            return f"scaled into {size} ({way}) in the middle, the rest filled with {self.fill:g}"
        if self.fit == "crop":
            first = f"to cover {size}" if self.shorter is None else f"to {self.shorter} on the shorter side"
            return f"scaled {first} ({way}), the middle {size} cut out"
        return f"stretched to {size} ({way})"

    def to_dict(self) -> dict[str, Any]:
        """The fields in JSON types, without dtype and seen."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.compare}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """A preprocessing from what `to_dict` wrote. A field that is absent has its default.

        Raises ValueError for an unknown field or a wrong value.
        """
        unknown = sorted(set(values) - {one.name for one in fields(cls) if one.compare})
        if unknown:
            raise ValueError(f"expected the fields of a preprocessing, got {', '.join(map(repr, unknown))} too")
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        try:
            return cls(**plain)
        except TypeError as error:
            raise ValueError(f"expected a preprocessing, got {dict(values)}: {error}") from None
