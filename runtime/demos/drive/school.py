"""Teach the network to drive, from frames on which the expert says what it would do.

The expert drives first and is pushed off its line now and then. After that the network drives, and the expert says what
it should have done. So the network learns from its own mistakes (DAgger; Ross, Gordon and Bagnell, AISTATS 2011).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....networks.zoo.steering import labels_of, steering_of
from ..steps import Step, export
from .expert import expert_steering, pedals, speed_for
from .world import FRAMES_PER_SECOND, HEIGHT, WIDTH, World

if TYPE_CHECKING:
    from ....networks.zoo.driving import DriveNet

ROUNDS, TRACKS, FRAMES = 3, 12, 400
EPOCHS = 5, 12
FIRST_TRACK = 1000
"""Training tracks are numbered from here; see `trials` for the others."""
_PUSH_EVERY, _PUSH_LENGTH = 3 * FRAMES_PER_SECOND, 8


def teach(
    step: Step,
    *,
    rounds: int = ROUNDS,
    tracks: int = TRACKS,
    frames: int = FRAMES,
    epochs: tuple[int, int] = EPOCHS,
) -> DriveNet:
    """A network taught from nothing, the same on every run on one machine; `step` is told what begins.

    tracks, frames: of a round. epochs: of every round but the last, and of the last.
    """
    import torch

    from ....networks.zoo.driving import DriveNet
    from ....networks.zoo.train import fit

    world = World()
    images: list[np.ndarray] = []
    steering: list[float] = []
    module = None
    for number in range(rounds):
        step(f"round {number + 1} of {rounds}: {'the network' if module else 'the expert'} drives {tracks} tracks")
        for track in range(FIRST_TRACK + number * tracks, FIRST_TRACK + (number + 1) * tracks):
            for image, said in _lesson(world, track, frames, module):
                mirrored = len(images) % 2
                images.append(image[..., ::-1] if mirrored else image)
                steering.append(-said if mirrored else said)
        step(f"learning from {len(images)} frames, every other one mirrored")
        torch.manual_seed(0)
        module = DriveNet()
        labels = labels_of(np.array(steering))
        passes = epochs[number == rounds - 1]
        fit(module, np.stack(images), labels, epochs=passes, bfloat16=False, report=step)
    assert module is not None  # noqa: S101 (for mypy: there is a round)
    return module


def _lesson(world: World, track: int, frames: int, module: Any) -> Iterator[tuple[np.ndarray, float]]:
    """Frames (3, 84, 96) uint8 of a drive by the module, or by the expert, and what the expert would have steered."""
    import torch

    world.reset(track)
    random = np.random.default_rng(track)
    push = 0.0
    for index in range(frames):
        frame = world.frame()
        right = expert_steering(world)
        yield np.round(frame * 255).astype(np.uint8), right
        steering = right
        if module is not None:
            with torch.inference_mode():
                steering = steering_of(module(torch.from_numpy(frame[None])).numpy()[0])
        if index % _PUSH_EVERY == 0:
            push = random.uniform(-0.25, 0.25)
        pushed = index % _PUSH_EVERY < _PUSH_LENGTH
        world.act(push if pushed else steering, *pedals(world.speed, speed_for(steering)))
        if abs(world.offset) > 1.2 * world.half_width:
            return


def write_weights(module: Any, folder: Path) -> None:
    """Write the network to a folder as drive.safetensors and drive.onnx."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "drive.safetensors").write_bytes(save(module.state_dict()))
    export(module, (3, HEIGHT, WIDTH), folder / "drive.onnx")
