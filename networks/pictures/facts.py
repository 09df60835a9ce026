"""What pictures are like, apart from what they show: their depth, colours, shape, and bars beside them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_ASPECT = 1.03  # shapes that differ by less are those of one camera, cut a little
_FLAT = 8 / 255  # of the largest number: what coding leaves of an even bar
_LEAST = 0.02  # of the height or width: an edge is no bar
_DEPTHS = ("uint8", "uint16", "int32", "float32")


@dataclass
class PictureFacts:
    """What the pictures were like that were added.

    depths: their dtypes. channels: 1 for luminance, 3 for colours. bars: whether there were bars beside them
    (letterbox or pillarbox), True, False or both. aspect: the least and the largest width : height.
    """

    depths: set[str] = field(default_factory=set)
    channels: set[int] = field(default_factory=set)
    bars: set[bool] = field(default_factory=set)
    aspect: tuple[float, float] = (np.inf, 0.0)

    def add(self, picture: np.ndarray) -> None:
        """Take in a picture, (1 or 3, height, width)."""
        aspect = picture.shape[2] / picture.shape[1]
        self.depths.add(picture.dtype.name)
        self.channels.add(len(picture))
        self.aspect = min(self.aspect[0], aspect), max(self.aspect[1], aspect)
        if len(self.bars) < 2:
            self.bars.add(has_bars(picture))

    def merge(self, other: PictureFacts) -> None:
        """Take in what another saw."""
        self.depths |= other.depths
        self.channels |= other.channels
        self.bars |= other.bars
        self.aspect = min(self.aspect[0], other.aspect[0]), max(self.aspect[1], other.aspect[1])

    def strange(self, picture: np.ndarray, *, stretched: bool, said: Collection[str] = ()) -> Iterator[tuple[str, str]]:
        """(kind, sentence that says what to do) for each way in which a picture is unlike those that were added.

        stretched: whether it is brought to a size of another shape, so that its own shape matters. said: kinds that
        are not looked for again.
        """
        channels, height, width = picture.shape
        low, high = self.aspect
        if stretched and "aspect" not in said and not low / _ASPECT <= width / height <= high * _ASPECT:
            shapes = f"{low:.2f}" if high / low < _ASPECT else f"{low:.2f} to {high:.2f}"
            text = (
                f"{width} x {height} pixels, width : height {width / height:.2f}, where the profile was learned from"
                f" {shapes}; stretching changes the shape of all that it shows: cut the pictures to the shape learned,"
                " or profile anew with fit letterbox or crop"
            )
            yield "aspect", text
        if "depth" not in said and picture.dtype.name not in self.depths:
            learned = " and ".join(sorted(self.depths))
            text = (
                f"numbers of {picture.dtype}, where the profile was learned from {learned}; see that white is as"
                " bright in both, or profile such pictures too"
            )
            yield "depth", text
        if "colours" not in said and channels not in self.channels:
            here, learned = ("one channel", "colours") if channels == 1 else ("colours", "one channel")
            yield "colours", f"{here}, where the profile was learned from {learned}; profile such pictures too"
        if "bars" not in said and len(self.bars) == 1 and (bars := has_bars(picture)) not in self.bars:
            here, learned = ("bars", "pictures without") if bars else ("no bars", "pictures with bars")
            what = "cut them off" if bars else "feed the stream as it was learned"
            text = (
                f"{here} beside what it shows, where the profile was learned from {learned}; {what}, or profile such"
                " pictures too"
            )
            yield "bars", text

    def to_dict(self) -> dict[str, Any]:
        """The facts in JSON types."""
        return {
            "depths": sorted(self.depths),
            "channels": sorted(self.channels),
            "bars": sorted(self.bars),
            "aspect": list(self.aspect),
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> PictureFacts:
        """Facts from what `to_dict` wrote. Raises ValueError or KeyError for anything else."""
        low, high = map(float, facts["aspect"])
        made = cls(set(facts["depths"]), set(facts["channels"]), set(facts["bars"]), (low, high))
        whole = made.depths and made.channels and made.bars and 0 < low <= high < np.inf
        if not (whole and made.depths <= {*_DEPTHS} and made.channels <= {1, 3} and made.bars <= {True, False}):
            raise ValueError(f"expected the facts of pictures, got {dict(facts)}")
        return made

    def __str__(self) -> str:
        colours = " and ".join("grey" if one == 1 else "colour" for one in sorted(self.channels))
        low, high = self.aspect
        shapes = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
        bars = {(True,): ", with bars", (False, True): ", some with bars"}.get(tuple(sorted(self.bars)), "")
        return f"{' and '.join(sorted(self.depths))}, {colours}, width : height {shapes}{bars}"


def has_bars(picture: np.ndarray) -> bool:
    """Whether even bars of one colour stand above and below a picture, or on its left and right, but not both.

    Both would be an object before an even ground.
    """
    return _has_bars(picture) != _has_bars(picture.swapaxes(1, 2))


def _has_bars(picture: np.ndarray) -> bool:
    """Whether bars stand above and below. Only where the first and last line are alike is more looked at."""
    flat = _FLAT * np.iinfo(picture.dtype).max if picture.dtype.name in ("uint8", "uint16") else 0.0
    level = picture[:, :1, :1].astype(np.float64)
    if not _even(picture[:, [0, -1]], level, flat).all():
        return False
    even = _even(picture, level, flat)
    if even.all():
        return False
    least = max(1, round(_LEAST * len(even)))
    return bool(np.argmin(even) >= least and np.argmin(even[::-1]) >= least)


def _even(lines: np.ndarray, level: np.ndarray, flat: float) -> np.ndarray:
    """(height,) bool: which lines are of one level in every channel."""
    low, high = lines.min(axis=2), lines.max(axis=2)
    within: np.ndarray = ((low >= level[:, :, 0] - flat) & (high <= level[:, :, 0] + flat)).all(axis=0)
    return within
