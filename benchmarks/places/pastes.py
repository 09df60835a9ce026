"""Strange objects of our own in driving frames: what settings are chosen on, so that the test's animals stay unseen.

The objects are photographs of scikit-image and scikit-learn, animals of CIFAR-10 made larger, and textures. Their
outlines are blots and the horse of scikit-image. A control is a patch of another driving frame with the same outline.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy import ndimage

from outrider.networks import load_dataset

from .camvid import ANIMAL, Frames

SHARES = 0.02, 0.08
"""The smallest and the largest share of a frame that a paste covers."""
FEATHER = 4.0
"""Pixels over which a feathered border fades, one deviation of a Gaussian."""
PHOTOGRAPHS = "chelsea", "coffee", "retina", "immunohistochemistry", "hubble_deep_field", "rocket", "colorwheel"
CIFAR_ANIMALS = "bird", "cat", "deer", "dog", "frog", "horse"


def paste(frames: Frames, objects: Sequence[np.ndarray], *, seed: int, feather: float = 0.0) -> Frames:
    """Each frame with one of `objects`, RGB (h, w, 3) uint8, whose pixels get the label ANIMAL.

    The place, the size and the outline are drawn by `seed`; a border of 0 pixels is hard.
    """
    rng = np.random.default_rng(seed)
    images, labels = frames.images.copy(), frames.labels.copy()
    for image, label in zip(images, labels, strict=True):
        (top, left), outline = _somewhere(rng, image.shape[:2])
        chosen = objects[rng.integers(len(objects))]
        content = np.asarray(Image.fromarray(chosen).resize(outline.shape[::-1], Image.Resampling.BICUBIC))
        _blend(image, content, outline, (top, left), feather)
        label[top : top + outline.shape[0], left : left + outline.shape[1]][outline] = ANIMAL
    return Frames(images, labels, frames.names)


def control(frames: Frames, others: Frames, *, seed: int) -> tuple[Frames, np.ndarray]:
    """Each frame with a patch of one of `others` at the same place, with a hard border, and where it is (n, h, w) bool.

    The labels of the patch come with it. What alarms here alarms at a border, or at content out of its place.
    """
    rng = np.random.default_rng(seed)
    images, labels = frames.images.copy(), frames.labels.copy()
    where = np.zeros(labels.shape, bool)
    for image, label, mask in zip(images, labels, where, strict=True):
        (top, left), outline = _somewhere(rng, image.shape[:2])
        mask[top : top + outline.shape[0], left : left + outline.shape[1]] = outline
        other = rng.integers(len(others))
        image[mask] = others.images[other][mask]
        label[mask] = others.labels[other][mask]
    return Frames(images, labels, frames.names), where


def objects() -> dict[str, list[np.ndarray]]:
    """What is pasted, by its source. Raises FileNotFoundError where CIFAR-10 was not fetched."""
    return {"photographs": photographs(), "animals": cifar_animals(), "textures": textures()}


def photographs() -> list[np.ndarray]:
    """Crops of photographs that show nothing of a road: (h, w, 3) uint8 each."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    pictures = [np.asarray(getattr(data, name)()) for name in PHOTOGRAPHS if hasattr(data, name)]
    pictures.append(np.asarray(load_sample_image("flower.jpg")))
    return [crop for picture in pictures for crop in _crops(picture)]


def cifar_animals(each: int = 40) -> list[np.ndarray]:
    """The first animals of CIFAR-10's test images: (128, 128, 3) uint8 each."""
    data = load_dataset("cifar10", "test")
    found = []
    for name in CIFAR_ANIMALS:
        of_class = np.flatnonzero(data.labels == data.classes.index(name))[:each]
        found += [data.images[i].transpose(1, 2, 0) for i in of_class]
    return [np.asarray(Image.fromarray(image).resize((128, 128), Image.Resampling.BICUBIC)) for image in found]


def textures(count: int = 60, size: int = 128) -> list[np.ndarray]:
    """Coloured noise with spectra of several slopes, stripes and cells: (size, size, 3) uint8 each."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij"))
    frequency[0, 0] = 1
    made = []
    for i in range(count):
        slope = rng.uniform(0.3, 2.2)
        spectrum = np.fft.rfft2(rng.normal(size=(size, size))) / frequency**slope
        pattern = np.fft.irfft2(spectrum, s=(size, size))
        if i % 3 == 1:
            angle, length = rng.uniform(0, np.pi), rng.uniform(4, 24)
            y, x = np.mgrid[:size, :size]
            pattern = pattern / pattern.std() + 2 * np.sign(
                np.sin((x * np.cos(angle) + y * np.sin(angle)) / length * 6.3)
            )
        if i % 3 == 2:
            points = rng.uniform(0, size, (30, 2))
            y, x = np.mgrid[:size, :size]
            pattern = np.min([np.hypot(y - a, x - b) for a, b in points], 0)
        pattern = (pattern - pattern.min()) / np.ptp(pattern)
        dark, bright = rng.uniform(0, 130) + rng.normal(0, 25, 3), rng.uniform(60, 255) + rng.normal(0, 40, 3)
        made.append(np.uint8(np.clip(dark + pattern[..., None] * (bright - dark), 0, 255)))
    return made


def _crops(picture: np.ndarray) -> list[np.ndarray]:
    """Four overlapping quarters of a picture."""
    picture = picture[..., :3]
    height, width = picture.shape[0] * 3 // 5, picture.shape[1] * 3 // 5
    corners = [(a, b) for a in (0, picture.shape[0] - height) for b in (0, picture.shape[1] - width)]
    return [picture[a : a + height, b : b + width] for a, b in corners]


def _somewhere(rng: np.random.Generator, size: tuple[int, int]) -> tuple[tuple[int, int], np.ndarray]:
    """A corner (top, left) and an outline (h, w) bool that fits there."""
    area = rng.uniform(*SHARES) * size[0] * size[1]
    outline = _horse(rng, area) if rng.random() < 1 / 3 else _blot(rng, area)
    outline = outline[: size[0], : size[1]]
    top = rng.integers(size[0] - outline.shape[0] + 1)
    left = rng.integers(size[1] - outline.shape[1] + 1)
    return (int(top), int(left)), outline


def _blot(rng: np.random.Generator, area: float) -> np.ndarray:
    """A smooth outline about a middle, longer than it is wide, of about `area` pixels."""
    angles = np.linspace(-np.pi, np.pi, 256, endpoint=False)
    radius = 1 + sum(rng.normal(0, 0.12) * np.cos(k * angles + rng.uniform(0, 6.3)) for k in range(2, 7))
    radius = np.clip(radius, 0.3, None) * np.sqrt(area / np.pi)
    aspect = np.exp(rng.normal(0, 0.25))
    half = int(radius.max() * max(aspect, 1 / aspect)) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    y, x = y * aspect, x / aspect
    index = np.int64((np.arctan2(y, x) + np.pi) / (2 * np.pi) * 256) % 256
    return _trimmed(np.hypot(y, x) < radius[index])


def _horse(rng: np.random.Generator, area: float) -> np.ndarray:
    from skimage import data

    shape = _trimmed(~np.asarray(data.horse()).astype(bool))
    if rng.random() < 0.5:
        shape = shape[:, ::-1]
    factor = np.sqrt(area / shape.sum())
    return _trimmed(ndimage.zoom(shape.astype(np.float32), factor, order=1) > 0.5)


def _trimmed(shape: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
    return shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _blend(image: np.ndarray, content: np.ndarray, outline: np.ndarray, at: tuple[int, int], feather: float) -> None:
    """Draw `content` into `image` where `outline` is."""
    part = image[at[0] : at[0] + outline.shape[0], at[1] : at[1] + outline.shape[1]]
    share = outline.astype(np.float32)
    if feather:
        share = ndimage.gaussian_filter(share, feather, mode="constant") * share
    part[:] = np.uint8(np.rint(part + share[..., None] * (content.astype(np.float32) - part)))


def feathered(clean: np.ndarray, pasted: np.ndarray, where: np.ndarray, feather: float = FEATHER) -> np.ndarray:
    """What was pasted, with a border that fades: images (n, h, w, 3) uint8, where: (n, h, w) bool."""
    share = np.stack([ndimage.gaussian_filter(np.float32(one), feather, mode="constant") * one for one in where])
    return np.uint8(np.rint(clean + share[..., None] * (pasted.astype(np.float32) - clean)))


def exchanged(images: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Each image with what half the images later shows there: content of the same drives, with a hard border."""
    others = np.roll(images, -(len(images) // 2), axis=0)
    return np.where(where[..., None], others, images)
