"""Picture files as arrays of the numbers that they store, upright, in luminance or RGB. Whatever is odd is refused."""

from __future__ import annotations

import io
import os
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..packages import require
from .png import refuse_few_rows

IMAGE_SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pbm", ".pgm", ".ppm", ".pnm", ".tif", ".tiff",
)  # fmt: skip
"""Names that end so are taken for pictures in a folder."""
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_TIFF = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
_DEFLATED = 1032  # bytes that deflate makes of one, at most
_MOST_PIXELS = 178_956_970  # as Pillow: more are a bomb
_UNPACKED_PIXELS = 1 << 25  # more are inflated twice, which is slower and takes less memory
_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}
_WIDE_PNG = {b"\x10\x02": 6, b"\x10\x04": 4, b"\x10\x06": 8}  # RGB, LA and RGBA of 16 bits: bytes of a pixel
_WIDE = ("RGB", "RGBA", "RGBa")


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A picture from its file: (1 or 3, height, width), luminance or RGB, in the numbers that the file stores.

    The result is C-contiguous, of dtype uint8, uint16, int32 or float32, and upright: EXIF's orientation is applied.
    Pictures of 1 bit are 0 and 255; palettes, CMYK, YCbCr and LAB become RGB as Pillow converts them; alpha that is
    opaque everywhere is left out. Netpbm's numbers, which count from 0 to a maximum of the file, are brought to the
    whole range of their type. Colour profiles (ICC) are not applied.
    Raises FileNotFoundError, ImportError without Pillow, and ValueError that names the file: for one that is no
    picture or a damaged or truncated one, for several frames or pages, for transparent pixels, for more than
    178,956,970 pixels, and for formats that Pillow cannot read without loss.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ValueError(f"{path}: expected a picture, got {error.strerror or error}") from None
    return decode_picture(data, str(path))


def decode_picture(data: bytes, name: str) -> np.ndarray:
    """A picture from the bytes of its file, as `read_picture` gives it. name: of the picture in errors."""
    image_module = require("PIL.Image", "reading pictures needs Pillow", "pictures")
    try:
        with _strict():
            if data[:4] == b"\x89PNG":
                data = _unpacked_png(data, *_checked_png(data))
            return _decoded(image_module, data)
    except image_module.UnidentifiedImageError:
        got = f"{len(data):,} bytes that are no {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}, or one of a rare kind"
        if data[:4] in _TIFF:
            got = "a TIFF file of a kind that Pillow does not read, such as float32 with three channels"
    except Exception as error:  # noqa: BLE001 (what a dozen decoders raise for damaged bytes)
        got = str(error) or type(error).__name__
    raise ValueError(f"{name}: expected a picture, got {got if data else 'an empty file'}") from None


class _Strict:
    """Pillow's switch for truncated files, held off while somebody decodes. It is global, and so is this."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readers = 0
        self.was = False


_STRICT = _Strict()


@contextmanager
def _strict() -> Iterator[None]:
    from PIL import ImageFile

    with _STRICT.lock:
        if not _STRICT.readers:
            _STRICT.was, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        _STRICT.readers += 1
    try:
        yield
    finally:
        with _STRICT.lock:
            _STRICT.readers -= 1
            if not _STRICT.readers:
                ImageFile.LOAD_TRUNCATED_IMAGES = _STRICT.was


def _checked_png(data: bytes) -> tuple[list[memoryview], int, int]:
    """Refuse a wrong checksum, at which Pillow does not look for pixels, and an end anywhere, which it allows.

    Returns the packed pixels, and where their chunks begin and end.
    """
    view, at = memoryview(data), 8
    pixels: list[memoryview] = []
    first = last = 0
    while True:
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        if len(view) < end + 4:
            raise ValueError("a truncated PNG file")
        kind = bytes(view[at + 4 : at + 8])
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise ValueError(f"a damaged PNG file: the checksum of {str(kind)[2:-1]} differs")
        if kind == b"IDAT":
            first, last = first or at, end + 4
            pixels.append(view[at + 8 : end])
        if kind == b"IEND":
            return pixels, first, last
        at = end + 4


def _unpacked_png(data: bytes, pixels: list[memoryview], first: int, last: int) -> bytes:
    """The file, without compression where several channels of 16 bits are to be read twice."""
    view = memoryview(data)
    width, height = (int.from_bytes(view[at : at + 4], "big") for at in (16, 20))
    least = height * (width * data[24] // 8 + 1)
    if width * height <= _MOST_PIXELS and least > _DEFLATED * (sum(map(len, pixels)) + 8):
        raise ValueError("a PNG file with fewer pixels than it says")
    if data[24:26] not in _WIDE_PNG or width * height > _UNPACKED_PIXELS:
        return data
    whole = height * (1 + width * _WIDE_PNG[data[24:26]])
    unpacking = zlib.decompressobj()
    rows = unpacking.decompress(b"".join(pixels), 2 * whole + 64)  # the rows of interlaced pixels are more
    if not unpacking.eof or len(rows) < whole or (len(rows) > whole and not data[28]):
        raise ValueError("a PNG file with more or fewer pixels than it says")
    body = zlib.compress(rows, 0)
    checksum = zlib.crc32(body, zlib.crc32(b"IDAT"))
    parts = view[:first], len(body).to_bytes(4, "big"), b"IDAT", body, checksum.to_bytes(4, "big"), view[last:]
    return b"".join(parts)


def _opened(image_module: Any, data: bytes) -> Any:
    return image_module.open(io.BytesIO(data), formats=_FORMATS)


def _decoded(image_module: Any, data: bytes) -> np.ndarray:
    with _opened(image_module, data) as image:
        if image.width * image.height > _MOST_PIXELS:
            raise ValueError(f"{image.width:,} x {image.height:,} pixels, more than {_MOST_PIXELS:,}")
        _refuse_several(image)
        if image.format == "TIFF":
            _refuse_odd_tiff(image)
        wide = _raw_modes(image)
        told = image.tile[0][3] if image.format == "PPM" and image.tile else None
        if isinstance(told, tuple) and image.mode != "F":  # numbers up to another maximum than 255 or 65,535
            values = _netpbm(image, data)
        elif wide:
            values = _deep(image_module, image, data, wide)
        else:
            values = _plain(image)
        if image.format == "PNG" and (image.mode == "P" or image.info.get("interlace") or not values[:, -1].any()):
            refuse_few_rows(data)  # only where the last row looks like one that Pillow made: counting takes time
        return _upright(values, image)


def from_pillow(image: Any) -> np.ndarray:
    """A picture of an image of Pillow. Raises ValueError that says what it is where it cannot be taken."""
    if getattr(image, "is_animated", False):
        _refuse_several(image)
    if _raw_modes(image):
        raise ValueError("one of 16 bits, of which Pillow keeps 8; read_picture reads its file")
    return _upright(_plain(image), image)


def _raw_modes(image: Any) -> list[str]:
    """How the rows of a file that is not loaded yet are packed, where they are several channels of 16 bits."""
    told = [tile[3] if isinstance(tile[3], str) else tile[3][0] for tile in getattr(image, "tile", []) if tile[3]]
    modes = [mode for mode in told if isinstance(mode, str)]
    deep = image.mode not in ("I", "I;16", "I;16B") and any(";16" in mode for mode in modes)
    return modes if deep else []


def _upright(values: np.ndarray, image: Any) -> np.ndarray:
    orientation = image.getexif().get(0x0112, 1)
    if orientation in _TURNS:
        turns, mirrored = _TURNS[orientation]
        values = np.rot90(values, turns, (1, 2))
        values = values[:, :, ::-1] if mirrored else values
    if not values.size:
        raise ValueError("no pixel")
    return np.ascontiguousarray(values)


def _refuse_several(image: Any) -> None:
    if image.format == "MPO":  # a JPEG file with previews behind the picture
        return
    try:
        image.seek(1)
    except EOFError:
        image.seek(0)
        return
    raise ValueError(f"a {image.format} file of several frames or pages; save each as a picture of its own")


def _refuse_odd_tiff(image: Any) -> None:
    """Raise ValueError where Pillow would read what a TIFF file does not store, or leave out what it stores."""
    covered = sum((right - left) * (low - top) for _, (left, top, right, low), *_ in image.tile)
    if covered < image.width * image.height:  # Pillow leaves rows without a strip black
        raise ValueError(f"a TIFF file with {covered:,} pixels, fewer than its {image.width:,} x {image.height:,}")
    tags = image.tag_v2
    if set(np.atleast_1d(tags.get(258, 1))) == {8} and 2 in np.atleast_1d(tags.get(339, 1)):
        raise ValueError("a TIFF file of signed numbers of 8 bits; save it with 16 bits")
    if 0 in np.atleast_1d(tags.get(338, 1)):
        raise ValueError("a TIFF file with a channel that is neither colour nor alpha; save it without")


def _plain(image: Any) -> np.ndarray:
    """(1 or 3, height, width) of what Pillow reads without loss."""
    image.load()
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _numbers(image)
    if mode in ("1", "L") and "transparency" not in image.info:
        return np.array(image if mode == "L" else image.convert("L"))[None]
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    grey = mode in ("1", "L", "LA", "La")
    if "transparency" in image.info or mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        *colours, alpha = image.split()
        if alpha.getextrema()[0] < 255:
            raise _transparent()
        return np.stack([np.asarray(plane) for plane in colours[: 1 if grey else 3]])
    image = image if mode == "RGB" else image.convert("RGB")
    planes = [np.frombuffer(image.tobytes("raw", band), np.uint8) for band in "RGB"]  # faster than turning pixels
    return np.stack(planes).reshape(3, image.height, image.width)


def _transparent() -> ValueError:
    return ValueError("one with transparent pixels; lay it over a background and save it without alpha")


def _numbers(image: Any) -> np.ndarray:
    """One channel of more than 8 bits."""
    values = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    if tags.get(262) == 0:
        raise ValueError("a TIFF file of more than 8 bits in which 0 is white; save it with 0 as black")
    if image.mode != "F" and (image.mode != "I" or image.format in ("PNG", "PPM")):
        values = values.astype(np.uint16)
    elif image.mode == "I" and 1 in np.atleast_1d(tags.get(339, 1)) and values.min() < 0:
        raise ValueError("a TIFF file of unsigned numbers beyond 2,147,483,647; save it as 16 bits or as floats")
    if (key := image.info.get("transparency")) is not None and (values == key).any():
        raise _transparent()
    return np.array(values[None])


def _deep(image_module: Any, image: Any, data: bytes, modes: list[str]) -> np.ndarray:
    """Several channels of 16 bits, of which Pillow takes the upper or the lower 8: both, in two passes."""
    colours, _, order = modes[0].partition(";16")
    if len(set(modes)) > 1 or order not in ("B", "L", "N") or not (colours in _WIDE or modes[0] == "LA;16B"):
        raise ValueError(f"a {image.format} file of 16 bits in {image.mode}; save it as 16-bit RGB or luminance")
    if colours == "LA":
        every = _pass(image_module, data, "RGBA", "RGBA")
        upper, lower = every[::2], every[1::2]
    else:
        raw, mode = colours.upper(), "RGB" if colours == "RGB" else "RGBA"
        big = order == "B" or (order == "N" and sys.byteorder == "big")
        lower = _pass(image_module, data, mode, f"{raw};16{'L' if big else 'B'}")
        if colours == raw:
            image.load()
            upper = [np.asarray(plane) for plane in image.split()]
        else:  # Pillow would multiply by alpha
            upper = _pass(image_module, data, mode, f"{raw};16{'B' if big else 'L'}")
    planes = [high * np.uint16(256) + low for high, low in zip(upper, lower, strict=True)]
    image.load()  # what stands behind the pixels, such as EXIF
    if len(planes) in (2, 4) and planes.pop().min() < 65535:
        raise _transparent()
    values = np.stack(planes)
    key = image.info.get("transparency")
    if key is not None and (values == np.array(key, np.uint16)[:, None, None]).all(0).any():
        raise _transparent()
    return values


def _pass(image_module: Any, data: bytes, mode: str, raw: str) -> list[np.ndarray]:
    """The planes of a file whose rows are unpacked in another way than the file asks for."""
    with _opened(image_module, data) as image:
        image._mode = mode  # noqa: SLF001 (Pillow has no other way)
        image.tile = [
            tile._replace(args=raw if isinstance(tile[3], str) else (raw, *tile[3][1:])) for tile in image.tile
        ]
        image.load()
        return [np.asarray(plane) for plane in image.split()]


def _netpbm(image: Any, data: bytes) -> np.ndarray:
    codec, _, offset, (_, most, *_) = image.tile[0]
    channels = 3 if image.mode == "RGB" else 1
    count = image.width * image.height * channels
    dtype = ">u2" if most > 255 else "u1"
    if codec != "ppm":
        raise ValueError("a Netpbm file of decimal numbers; save it in binary")
    if len(data) < offset + count * np.dtype(dtype).itemsize:
        raise ValueError("a truncated Netpbm file")
    values = np.frombuffer(data, dtype, count, offset).reshape(image.height, image.width, channels).transpose(2, 0, 1)
    if values.max() > most:
        raise ValueError(f"a Netpbm file of numbers up to {most} with {values.max()} in it")
    white = 65535 if most > 255 else 255
    return np.rint(values * (white / most)).astype(np.uint16 if most > 255 else np.uint8)
