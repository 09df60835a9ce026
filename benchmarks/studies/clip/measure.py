"""What is measured of an encoder of sketches, before and after a tuning."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from outrider.networks.tuning.clip import Clip, accuracy, recall, safety

from .concepts import TEMPLATES, Classes
from .sketches import Sketches

EVEN = 2  # pictures of each safe class in the even gallery, so that about half of it is unsafe
VERSION = 2  # of what the figures mean: those of another one are measured anew


class View(NamedTuple):
    """An encoder's embeddings: every caption (classes, templates, width), and pictures (n, width) with classes (n,)."""

    captions: np.ndarray
    pictures: np.ndarray
    labels: np.ndarray


def look(clip: Clip, sketches: Sketches, part: str) -> View:
    """The embeddings of all captions and of a part's pictures."""
    names = sketches.classes.every
    captions = clip.embed_texts([template.format(name) for name in names for template in TEMPLATES])
    pixels, labels = sketches.pixels(part)
    return View(captions.reshape(len(names), len(TEMPLATES), -1), clip.embed_pictures(pixels.contiguous()), labels)


def figures(now: View, before: View, classes: Classes) -> dict[str, float]:
    """Accuracies by group of classes, safety of the concepts in the tuning and of those held out, and R@1, as shares.

    now, before: of the tuned and of the base encoder. Zero-shot classes are all classes, each by the mean of its
    captions. Queries are the unsafe captions and pictures of a group. The gallery holds all captions and pictures, of
    every class as many, so most of it is safe; the `even` one has two pictures and one caption of each safe class, so
    that neither kind is rare. R@1 is of the safe captions among safe pictures and the other way round: an item of the
    same class comes first.
    """
    groups = _groups(classes)
    prompts = now.captions.mean(1)
    found = {
        f"accuracy_{name}": accuracy(now.pictures[rows], prompts, now.labels[rows])
        for name, group in groups.items()
        for rows in [np.isin(now.labels, group)]
    }
    found["accuracy"] = accuracy(now.pictures, prompts, now.labels)
    for name in ("unsafe", "held_out"):
        texts = now.captions[groups[name]].reshape(-1, now.captions.shape[2])
        pictures = now.pictures[np.isin(now.labels, groups[name])]
        for state, view in (("frozen", before), ("tuned", now)):
            for even in ("", "_even"):
                gallery = _gallery(now, groups, even=bool(even))
                there, here = view.pictures[gallery.pictures], view.captions[gallery.classes, gallery.templates]
                text = safety(texts, there, gallery.unsafe_pictures)
                image = safety(pictures, here, gallery.unsafe_captions)
                key = f"{name}_{state}{even}"
                found |= {key: (text + image) / 2, f"{key}_text": text, f"{key}_image": image}
    found["recall_text"], found["recall_image"] = _recalls(now, groups)
    found["recall"] = (found["recall_text"] + found["recall_image"]) / 2
    return found


class _Gallery(NamedTuple):
    pictures: np.ndarray  # rows
    unsafe_pictures: np.ndarray
    classes: np.ndarray  # of the captions
    templates: np.ndarray
    unsafe_captions: np.ndarray


def _groups(classes: Classes) -> dict[str, np.ndarray]:
    sizes = [len(classes.inside), len(classes.outside), len(classes.unsafe), len(classes.held_out)]
    bounds = np.cumsum([0, *sizes])
    names = "inside", "outside", "unsafe", "held_out"
    return {name: np.arange(start, end) for name, start, end in zip(names, bounds[:-1], bounds[1:], strict=True)}


def _gallery(view: View, groups: dict[str, np.ndarray], *, even: bool) -> _Gallery:
    """All items; or all unsafe ones, and of each safe class two pictures and one caption."""
    safe = np.concatenate([groups["inside"], groups["outside"]])
    unsafe = np.concatenate([groups["unsafe"], groups["held_out"]])
    number = view.captions.shape[1]
    most, each = (EVEN, 1) if even else (len(view.labels), number)
    pictures = np.concatenate(
        [np.flatnonzero(view.labels == one)[:most] for one in safe]
        + [np.flatnonzero(view.labels == one) for one in unsafe]
    )
    classes = np.concatenate([np.repeat(safe, each), np.repeat(unsafe, number)])
    own = safe % number if even else np.tile(np.arange(number), len(safe))
    templates = np.concatenate([own, np.tile(np.arange(number), len(unsafe))])
    return _Gallery(pictures, np.isin(view.labels[pictures], unsafe), classes, templates, np.isin(classes, unsafe))


def _recalls(view: View, groups: dict[str, np.ndarray]) -> tuple[float, float]:
    """R@1 of safe captions among safe pictures, and of these among safe captions."""
    safe = np.concatenate([groups["inside"], groups["outside"]])
    texts = view.captions[safe].reshape(-1, view.captions.shape[2])
    names = np.repeat(safe, view.captions.shape[1])
    rows = np.isin(view.labels, safe)
    pictures, labels = view.pictures[rows], view.labels[rows]
    return recall(texts, names, pictures, labels), recall(pictures, labels, texts, names)
