"""A car on a track, seen by a camera: gymnasium's CarRacing, its physics as it is, drawn off-screen.

CarRacing draws the whole track into a window of 1000 x 800 with every step of the physics. Here the camera draws what
it sees, at four tenths of the size, and only when a frame is asked for: the same picture, many times as quick.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ....networks.packages import require

FRAMES_PER_SECOND = 25
"""Of the camera. The physics of CarRacing takes 50 steps a second, so a command stands for two of them."""
HEIGHT, WIDTH = 84, 96
READ_NOISE = 0.01
"""The standard deviation of the camera's noise on every value. CarRacing has none."""

_STEPS = 2
_SCALE = 0.4
_WINDOW = (1000, 800)
_SIGHT = 75.0  # metres: the far corners of the picture lie 49 away, and the largest polygon's corners 24 apart
_SURFACE = (round(_WINDOW[0] * _SCALE), round(_WINDOW[1] * _SCALE))


class World:
    """One car on one track at a time, in metres and seconds. Raises ImportError without gymnasium's CarRacing."""

    def __init__(self) -> None:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        car_racing = require("gymnasium.envs.box2d", "driving needs gymnasium's CarRacing", "drive").car_racing

        class Undrawn(car_racing.CarRacing):  # type: ignore[name-defined]
            def _render(self, mode: str) -> None:
                """Frames are drawn by `World.frame`."""

        self._env: Any = Undrawn()
        self._zoom = car_racing.ZOOM * car_racing.SCALE * _SCALE
        side = car_racing.GRASS_DIM
        square = np.array([(1, 0), (0, 0), (0, 1), (1, 1)])
        corners = [(x, y) for x in range(-20, 20, 2) for y in range(-20, 20, 2)]
        self._patches = (square + np.array(corners)[:, None]) * side
        self.half_width: float = car_racing.TRACK_WIDTH
        """From the middle of the road to its edge."""

    def reset(self, seed: int) -> None:
        """Another track, with the car at rest on it. The same seed gives the same track and the same noise."""
        env = self._env
        env.reset(seed=seed)
        self._random = np.random.default_rng(seed)
        self.middle = np.array([(x, y) for _, _, x, y in env.track])
        """(n, 2) the points of the middle of the road, in order of travel; the track is a circuit."""
        self._polygons = np.array([polygon for polygon, _ in env.road_poly])
        self._paint = [colour for _, colour in env.road_poly]
        self._ground, self._patch, self._tint = env.bg_color, env.grass_color, np.zeros(3, int)
        self._points, self._at = 0, self._nearest()

    def repaint(self, road: Sequence[int], ground: Sequence[int], patch: Sequence[int]) -> None:
        """Give road, ground and the patches on it other colours, 0 to 255, until the next track; kerbs keep theirs."""
        self._ground, self._patch = np.array(ground), np.array(patch)
        self._tint = np.array(road) - self._env.road_color

    def act(self, steer: float, gas: float, brake: float) -> None:
        """Drive on for one frame. steer: in [-1, 1], to the right; gas, brake: in [0, 1]."""
        action = np.array([steer, gas, brake])
        for _ in range(_STEPS):
            self._env.step(action)
        before, self._at = self._at, self._nearest()
        n = len(self.middle)
        self._points += (self._at - before + n // 2) % n - n // 2

    @property
    def position(self) -> np.ndarray:
        """(2,) of the car."""
        return np.array(self._env.car.hull.position)

    @property
    def heading(self) -> float:
        """The angle of the car's nose, counter-clockwise from the x axis."""
        return float(self._env.car.hull.angle) + math.pi / 2

    @property
    def speed(self) -> float:
        """As the odometer says. Only the camera fails."""
        return math.hypot(*self._env.car.hull.linearVelocity)

    @property
    def off_road(self) -> bool:
        """Whether no wheel touches the road."""
        return not any(wheel.tiles for wheel in self._env.car.wheels)

    @property
    def at(self) -> int:
        """The row of `middle` that the car is nearest to."""
        return self._at

    @property
    def distance(self) -> float:
        """Travelled along the middle of the road since the start."""
        spacing = float(np.linalg.norm(self.middle[1] - self.middle[0]))
        return self._points * spacing + self._beside()[0]

    @property
    def offset(self) -> float:
        """How far to the left of the middle of the road the car is."""
        return self._beside()[1]

    def frame(self) -> np.ndarray:
        """What the camera sees: (3, 84, 96) float32 in [0, 1], the car in the lower middle, its nose up."""
        pixels = np.ascontiguousarray(self.picture()[:HEIGHT].transpose(2, 0, 1))
        noise = self._random.standard_normal(pixels.shape, np.float32)
        return np.clip(np.round(pixels + noise * np.float32(READ_NOISE * 255)), 0, 255) / np.float32(255)

    def picture(self) -> np.ndarray:
        """CarRacing's own picture, less the numbers at its foot: (96, 96, 3) uint8."""
        import pygame

        surface = pygame.Surface(_SURFACE)
        surface.fill(self._ground.tolist())
        car = self._env.car
        angle, zoom = -car.hull.angle, self._zoom
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]) * zoom
        shift = (_SURFACE[0] / 2, _SURFACE[1] / 4) - np.array(car.hull.position) @ turn
        for polygon in (self._patches[self._near(self._patches)] @ turn + shift).tolist():
            pygame.draw.polygon(surface, self._patch.tolist(), polygon)
        near = self._near(self._polygons)
        for index, polygon in zip(near.tolist(), (self._polygons[near] @ turn + shift).tolist(), strict=True):
            pygame.draw.polygon(surface, self._paint_of(index), polygon)
        car.draw(surface, zoom, shift.tolist(), angle, draw_particles=False)
        small = pygame.transform.smoothscale(surface, (96, 96))
        return np.flipud(pygame.surfarray.pixels3d(small).transpose(1, 0, 2))

    def _paint_of(self, index: int) -> list[int]:
        """The colour of a road polygon now: CarRacing lightens tiles until they are driven on. Kerbs have tuples."""
        colour = self._paint[index]
        if isinstance(colour, tuple) or not self._tint.any():
            return [int(value) for value in colour]
        return np.clip(colour + self._tint, 0, 255).astype(int).tolist()

    def _near(self, polygons: np.ndarray) -> np.ndarray:
        """The rows of the polygons (n, 4, 2) that the camera can see a part of."""
        away = polygons[:, 0] - self.position
        return np.flatnonzero((away**2).sum(axis=1) < _SIGHT**2)

    def _beside(self) -> tuple[float, float]:
        """Where the car is, seen from the nearest point of the middle of the road: ahead and to the left."""
        ahead = self.middle[(self._at + 1) % len(self.middle)] - self.middle[self._at - 1]
        ahead /= np.linalg.norm(ahead)
        away = self.position - self.middle[self._at]
        return float(ahead @ away), float(ahead[0] * away[1] - ahead[1] * away[0])

    def _nearest(self) -> int:
        return int(((self.middle - self.position) ** 2).sum(axis=1).argmin())
