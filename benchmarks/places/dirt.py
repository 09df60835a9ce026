"""Mud and dirt on the lens, cut from LaREx's photographs and laid over frames.

The photographs, `mud1.png`, `mud3.png` and `dirt1.png`, lie in one folder and carry how opaque each pixel is.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

OPAQUE = 64
"""A pixel of 255 levels is dirty from this opacity."""


class Cut(NamedTuple):
    """How a piece is cut out of a photograph.

    box: (left, top, right, bottom) in its pixels, None for all. height: where it hangs in a picture, 0 for the upper
    edge and 1 for the lower, None for anywhere. fade: pixels over which it fades at the left and the right.
    """

    file: str
    box: tuple[int, int, int, int] | None = None
    height: float | None = None
    fade: int = 0


CUTS = {
    "blot": Cut("mud3.png"),  # one closed blot of mud
    "streak": Cut("mud1.png", (1180, 10, 1760, 1290), 0, 80),  # mud that runs down from the upper edge, with holes
    "clods": Cut("mud1.png", (0, 80, 480, 400)),  # a dozen crumbs
    "dust": Cut("dirt1.png", None, 1, 80),  # a cloud over the lower edge, half transparent, with grains
}


class Piece(NamedTuple):
    """Dirt as a picture with opacities, RGBA, and where it hangs; see `Cut`."""

    picture: Image.Image
    height: float | None


class Dirty(NamedTuple):
    """A picture (height, width, 3) uint8 with dirt on it, and where it is: (height, width) bool."""

    picture: np.ndarray
    mask: np.ndarray


def read_pieces(folder: Path) -> dict[str, Piece]:
    """The pieces by the names of `CUTS`, each cut to what is dirty. Raises FileNotFoundError without a photograph."""
    pieces = {}
    for name, cut in CUTS.items():
        with Image.open(folder / cut.file) as photograph:
            picture = photograph.convert("RGBA").crop(cut.box or (0, 0, *photograph.size))
        alpha = np.asarray(picture.getchannel("A"), np.float32)
        if cut.fade:
            column = np.arange(alpha.shape[1]) + 1
            alpha = alpha * np.minimum(1, np.minimum(column, column[::-1]) / cut.fade).astype(np.float32)
        picture.putalpha(Image.fromarray(alpha.round().astype(np.uint8)))
        rows, columns = (np.flatnonzero((alpha >= OPAQUE).any(axis)) for axis in (1, 0))
        box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
        pieces[name] = Piece(picture.crop(box), cut.height)
    return pieces


def laid_over(
    picture: np.ndarray, piece: Piece, share: float, at: tuple[float, float] = (0.5, 0.5), blur: float = 0.0
) -> Dirty:
    """A picture with a piece of dirt on it, wholly inside.

    picture: (height, width, 3) uint8. share: of its pixels that the sharp piece makes dirty. at: (x, y) from 0, the
    left or upper edge, to 1; a piece that hangs somewhere does so whatever y is. blur: of the piece, as on a lens out
    of focus, the deviation of a Gaussian in pixels.
    Raises ValueError where a piece of that share does not fit into the picture.
    """
    height, width = picture.shape[:2]
    sharp = piece.picture
    scale = np.sqrt(share * height * width / np.count_nonzero(np.asarray(sharp)[..., 3] >= OPAQUE))
    size = max(1, round(sharp.width * scale)), max(1, round(sharp.height * scale))
    if size[0] > width or size[1] > height:
        raise ValueError(f"expected dirt that fits into {width} x {height} pixels, got {size[0]} x {size[1]}")
    x, y = at[0], at[1] if piece.height is None else piece.height
    layer = Image.new("RGBA", (width, height))
    corner = round(x * (width - size[0])), round(y * (height - size[1]))
    layer.paste(sharp.resize(size, Image.Resampling.BOX), corner)
    premultiplied = layer.convert("RGBa")
    if blur:
        premultiplied = premultiplied.filter(ImageFilter.GaussianBlur(blur))
    values = np.asarray(premultiplied, np.float32)
    covered = values[..., :3] + (1 - values[..., 3:] / 255) * picture
    return Dirty(covered.round().clip(0, 255).astype(np.uint8), values[..., 3] >= OPAQUE)
