"""A map of deviations drawn over what the network saw."""

from __future__ import annotations

import numpy as np

from ...monitor import Status
from ...monitor.places import Places
from ...monitor.places.regions import Box
from ...networks import Preprocessing
from .pictures import viewable

# Yellow to dark red: it rises in darkness too, so that it can be read without colours.
_HEAT = np.array([[255, 237, 160], [254, 178, 76], [240, 59, 32], [128, 0, 38]], np.float64)
_EDGE, _MISSED, _FOUND, _ALARMS = (0, 255, 255), (255, 0, 255), (255, 255, 255), (255, 0, 0)
_BORDERS = {Status.OK: (0, 160, 0), Status.WARN: (240, 200, 0)}
_MOST = 0.55
"""How much of the picture the highest values hide."""


def seen_by_network(sample: np.ndarray, preprocessing: Preprocessing | None) -> np.ndarray | None:
    """A sample as a picture, (height, width, 1 or 3) uint8 in RGB; None for what is no picture.

    With its preprocessing the numbers are turned back into those of the picture, as far as it was fitted. Without, they
    are shown as `viewable` does.
    """
    if preprocessing is None:
        image = sample.transpose(1, 2, 0) if sample.ndim == 3 and sample.shape[0] in (1, 3) else sample
        image = image[:, :, None] if image.ndim == 2 else image
        return viewable(image) if image.ndim == 3 and image.shape[2] in (1, 3) else None
    if sample.ndim != 3:
        return None
    image = sample.transpose(1, 2, 0) if preprocessing.layout == "NCHW" else sample
    values = image.astype(np.float64)
    if preprocessing.std:
        values *= preprocessing.std
    if preprocessing.mean:
        values += preprocessing.mean
    pixels = np.clip(np.rint(np.nan_to_num(values / preprocessing.scale)), 0, 255).astype(np.uint8)
    return pixels[:, :, ::-1] if preprocessing.order == "BGR" else pixels


def overlaid(pixels: np.ndarray, places: Places, status: Status | None = None) -> np.ndarray:
    """The picture with the map as heat and the regions as frames, (height, width, 3) uint8.

    pixels: (height, width, 1 or 3) uint8, the network's input in any size. Where the map is at half its level nothing
    is drawn; from there on heat grows and hides more, up to twice the level. Regions that detections cover by less than
    half have frames of another colour where there are detections. Detections have white frames, red ones where they
    alarm. status: of the frame; a border says it, green for OK, yellow for WARN, red for all else. Without a map there
    is no heat.
    """
    height, width = pixels.shape[:2]
    drawn = np.broadcast_to(pixels, (height, width, 3)).astype(np.float64)
    if places.map is not None:
        drawn = _heated(drawn, places)
    for one in places.boxes:
        _frame(drawn, one.box, places.extent, _ALARMS if one.alarm else _FOUND)
    missed = set(places.missed) if places.boxes else set()
    for region in places.regions:
        _frame(drawn, region.box, places.extent, _MISSED if region in missed else _EDGE)
    if status is not None:
        wide = max(2, min(height, width) // 100)
        colour = _BORDERS.get(status, _ALARMS)
        for edge in (drawn[:wide], drawn[-wide:], drawn[:, :wide], drawn[:, -wide:]):
            edge[:] = colour
    return np.rint(drawn).astype(np.uint8)


def _heated(drawn: np.ndarray, places: Places) -> np.ndarray:
    if places.map is None:
        return drawn
    heat = _enlarged(_strength(places.map, places.level), drawn.shape[:2])
    at = heat * (len(_HEAT) - 1)
    low = np.minimum(at.astype(int), len(_HEAT) - 2)
    colour = _HEAT[low] + (at - low)[..., None] * (_HEAT[low + 1] - _HEAT[low])
    share = (_MOST * np.minimum(2 * heat, 1))[..., None]
    mixed: np.ndarray = drawn * (1 - share) + colour * share
    return mixed


def _strength(values: np.ndarray, level: float) -> np.ndarray:
    """0 up to half the level, 1 from twice the level on."""
    if not np.isfinite(level) or level <= 0:
        level = float(np.nanmax(values, initial=0)) or 1.0
    found: np.ndarray = np.clip((np.nan_to_num(values, posinf=2 * level) / level - 0.5) / 1.5, 0, 1)
    return found


def _enlarged(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bilinear between the middles of places, constant beyond the outer ones."""
    at = [(np.arange(size) + 0.5) * own / size - 0.5 for own, size in zip(values.shape, shape, strict=True)]
    rows = np.apply_along_axis(lambda column: np.interp(at[0], np.arange(len(column)), column), 0, values)
    found: np.ndarray = np.apply_along_axis(lambda row: np.interp(at[1], np.arange(len(row)), row), 1, rows)
    return found


def _frame(drawn: np.ndarray, box: Box, extent: tuple[int, int], colour: tuple[int, int, int]) -> None:
    height, width = drawn.shape[:2]
    tall, wide = height / extent[0], width / extent[1]
    left, top, right, bottom = box
    x0, x1 = (min(max(round(x * wide), 0), width - 1) for x in (left, right - 1 / wide))
    y0, y1 = (min(max(round(y * tall), 0), height - 1) for y in (top, bottom - 1 / tall))
    drawn[[y0, y1], x0 : x1 + 1] = colour
    drawn[y0 : y1 + 1, [x0, x1]] = colour
