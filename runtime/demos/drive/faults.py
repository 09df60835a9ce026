"""What happens to the camera half-way. A fault is made for one drive and then changes every frame.

Frames are (3, 84, 96) float32 in [0, 1], in and out. The strength of each was set by what it does to the bare network's
driving on the tracks of development.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from ....monitor.kinds.sensors import some_of
from ....networks.zoo.steering import STEERING, WEIGHTS
from .world import HEIGHT, READ_NOISE, WIDTH, World

Fault = Callable[[np.ndarray], np.ndarray]

ATTACK_STRENGTH = 12 / 255
_ATTACK_STEPS = 3
_PALETTES = (
    ((150, 75, 50), (205, 130, 80), (215, 145, 95)),  # red desert
    ((70, 75, 85), (225, 230, 240), (240, 245, 255)),  # snow
    ((90, 60, 120), (60, 130, 170), (70, 150, 190)),  # no planet of ours
)


@dataclass(frozen=True)
class Scene:
    """Where a fault comes up: the world, the drive's own random numbers, and the folder with the network's weights."""

    world: World
    random: np.random.Generator
    weights: Path = WEIGHTS


MakeFault = Callable[[Scene], Fault]


def fog(scene: Scene) -> Fault:
    """A bright veil that hides about two thirds of the contrast, in drifting banks."""
    banks = ndimage.gaussian_filter(scene.random.standard_normal((HEIGHT, 4 * WIDTH)), 10, mode="wrap")
    banks = np.clip(0.65 + 0.15 * (banks - banks.mean()) / banks.std(), 0, 1).astype(np.float32)
    drift = 0

    def change(frame: np.ndarray) -> np.ndarray:
        nonlocal drift
        drift += 1
        thickness = np.roll(banks, -drift, axis=1)[:, :WIDTH]
        return frame * (1 - thickness) + np.float32(0.85) * thickness

    return change


def night(scene: Scene) -> Fault:
    """A sixteenth of the light, and the camera's noise as it was."""
    return lambda frame: _seen(frame / 16 + scene.random.normal(0, READ_NOISE, frame.shape))


def camera_noise(scene: Scene) -> Fault:
    """Gaussian noise of standard deviation 0.3 on every value."""
    return lambda frame: _seen(frame + scene.random.normal(0, 0.3, frame.shape))


def dead_columns(scene: Scene) -> Fault:
    """A quarter of the columns read as black."""
    dead = some_of(WIDTH, 1 / 4, scene.random)
    return lambda frame: np.where(dead, np.float32(0), frame)


def stuck_frame(_scene: Scene) -> Fault:
    """The first frame again and again."""
    first: list[np.ndarray] = []

    def change(frame: np.ndarray) -> np.ndarray:
        first.append(frame)
        del first[1:]
        return first[0].copy()

    return change


def blinding_patch(scene: Scene) -> Fault:
    """Glare: a white disc with a soft rim hides a part of the picture ahead of the car."""
    top, left = scene.random.uniform(20, 45), scene.random.uniform(30, 66)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    light = np.clip((26 - np.hypot(rows - top, columns - left)) / 6, 0, 1).astype(np.float32)
    return lambda frame: np.maximum(frame, light)


def other_colours(scene: Scene) -> Fault:
    """Road and ground take the colours of another world; everything is drawn as sharp as before."""
    scene.world.repaint(*_PALETTES[scene.random.integers(len(_PALETTES))])
    return lambda frame: frame


def adversary(scene: Scene) -> Fault:
    """Every value moves by at most 12/255 so that the network steers to one side (PGD; Madry et al., ICLR 2018)."""
    import torch

    from ....networks.zoo.driving import trained_drive_net

    module: Any = trained_drive_net(scene.weights).requires_grad_(False)
    side = float(scene.random.choice([-1, 1]))
    wheel = torch.from_numpy(STEERING) * side

    def change(frame: np.ndarray) -> np.ndarray:
        clean = torch.from_numpy(frame[None])
        low, high = (clean - ATTACK_STRENGTH).clamp(0, 1), (clean + ATTACK_STRENGTH).clamp(0, 1)
        changed = clean.clone()
        for _ in range(_ATTACK_STEPS):
            changed.requires_grad_()
            (slope,) = torch.autograd.grad((module(changed).softmax(1) @ wheel).sum(), changed)
            changed = (changed.detach() + ATTACK_STRENGTH / 2 * slope.sign()).clamp(low, high)
        return _seen(changed.numpy()[0])

    return change


def _seen(values: np.ndarray) -> np.ndarray:
    """As a camera of 8 bits gives it."""
    return (np.round(np.clip(values, 0, 1) * 255) / 255).astype(np.float32)


FAULTS: dict[str, MakeFault] = {
    "fog": fog,
    "night": night,
    "camera noise": camera_noise,
    "dead columns": dead_columns,
    "stuck frame": stuck_frame,
    "blinding patch": blinding_patch,
    "other colours": other_colours,
    "adversary": adversary,
}
