"""Attack a monitor with all that is known of it, and count by its own verdicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ....networks import TorchNetwork
from ...errors import NotReadyError
from .ball import BACKGROUND, Ball, Mask, mask_of, refuse_outside
from .descent import Bank, Found, Strategy, descend, ignorant, match
from .square import Answers, square_attack
from .twin import Twin

STRATEGIES = (
    Strategy(1.0, masked=True),
    Strategy(1.0),
    Strategy(2.0, random=True),
    Strategy(1.0, rank=1),
    Strategy(5.0, adapt=True),
    Strategy(1.0, random=True, lead=1.0),
    Strategy(2.0, masked=True, lead=1.0),
    Strategy(1.0, steps=400),
)
"""What `attack` tries one after the other on what is left. Those that keep to the object are left out without one."""
UNCHANGED, NETWORK_ALONE, MATCHING, SQUARE = "unchanged", "network alone", "matching", "square"
Report = Callable[[str], object]


@dataclass(frozen=True)
class Attacked:
    """What came of an attack on n images.

    images: (n, *shape) float32, within epsilon of those given. evaded: (n,) bool, whether the network errs on the image
    and the monitor, asked itself, gives no alarm. fooled: (n,) bool, whether any attack made the network err, alarm or
    not. fooled_alone: (n,) bool, whether the attack that knows no monitor did. by: the name of what evaded, "" where
    nothing did: "unchanged", "network alone" for an attack that knows no monitor, the name of a `Strategy`, "matching"
    or "square". tried: of each of these on how many images it was tried, and on how many it won.
    """

    images: np.ndarray
    evaded: np.ndarray
    fooled: np.ndarray
    fooled_alone: np.ndarray
    by: tuple[str, ...]
    tried: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def evaded_alone(self) -> np.ndarray:
        """(n,) bool: whether the attack that knows no monitor, or none at all, sufficed."""
        return np.array([name in (UNCHANGED, NETWORK_ALONE) for name in self.by], bool)

    def __str__(self) -> str:
        n = len(self.evaded)
        return (
            f"{n} images: {self.fooled.sum()} fool the network, {self.evaded_alone.sum()} of them without an alarm by"
            f" an attack that knows no monitor, {self.evaded.sum()} by one that does"
        )


def attack(
    monitor: Any,
    images: np.ndarray,
    labels: np.ndarray,
    epsilon: float,
    *,
    mask: Mask = BACKGROUND,
    trusted: np.ndarray | None = None,
    strategies: Sequence[Strategy] = STRATEGIES,
    queries: int = 0,
    persistent: bool = True,
    bounds: tuple[float, float] = (0.0, 1.0),
    batch: int = 50,
    seed: int = 0,
    report: Report | None = None,
) -> Attacked:
    """Look for images near those given on which the network errs while the monitor stays silent.

    What knows the monitor comes last: first the images as they are, then PGD on the network alone, then each of the
    strategies on what is left, then feature matching, then the square attack. An image counts once `Monitor.check`
    itself gives no alarm on it (WARN is none) and predicts another class than its label.

    monitor: calibrated, of a network with classes. Of another than a `TorchNetwork` only the square attack applies.
    images: (n, *input_shape) floats within `bounds`, as the network takes them. labels: (n,) the true classes; take
    images that the network classifies correctly, or its errors count as evasions. epsilon: how far each number may
    move. mask: (n, *input_shape) bool or what broadcasts to it, the numbers that may move in any attack; "background"
    for strategies that keep off a flat background, where images have one, beside others that do not; None for neither.
    trusted: images like those profiled, a thousand or two, for matching towards the nearest; none is done without.
    queries: of the square attack for each image, which sees what `check` returns and nothing inside; 0 for none.
    persistent: False gives up images that the attack on the network alone does not fool. On a network that is hard to
    fool that saves most of the time, and misses a few.
    batch: how many images are attacked at once. report: called with a line after each step.
    Raises NotReadyError before `calibrate`, ValueError for shapes, labels and numbers that do not fit and for a
    criterion or a logic without a twin, and where no attack applies.
    """
    task = _Task.checked(monitor, images, labels, epsilon, bounds, mask, batch)
    task.keep(UNCHANGED, np.arange(len(task.images)), task.images)
    alone = task.fooled.copy()
    followed = isinstance(monitor.network, TorchNetwork)
    if not followed and not queries:
        raise ValueError("expected a monitor of a TorchNetwork, or queries= for an attack without gradients, got none")
    if followed:
        for name, run in _with_gradients(monitor, task, trusted, strategies, seed):
            _try(task, name, run, report)
            if name == NETWORK_ALONE:
                task.given_up = ~task.fooled if not persistent else task.given_up
                alone = task.fooled.copy()
    if queries:
        _try(task, SQUARE, lambda rows: _square(task, rows, queries, seed), report)
    refuse_outside(task.best, task.images, epsilon, bounds)
    return Attacked(task.best, task.evaded, task.fooled, alone, tuple(task.by), task.tried)


Run = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Which images, (m,) -> the images that were found for them, and whether any on the way fooled the network, (m,)."""


class _Task:
    """What is attacked, and what was found so far."""

    def __init__(
        self, monitor: Any, images: np.ndarray, labels: np.ndarray, epsilon: float, bounds: tuple[float, float],
        batch: int, only: np.ndarray | None, object_: np.ndarray | None,
    ) -> None:  # fmt: skip
        self.monitor, self.images, self.labels = monitor, images, labels
        self.epsilon, self.bounds, self.batch = epsilon, bounds, batch
        self.only, self.object = only, object_
        self.best, self.by = images.copy(), [""] * len(images)
        self.evaded, self.fooled, self.given_up = (np.zeros(len(images), bool) for _ in range(3))
        self.tried: dict[str, tuple[int, int]] = {}

    @classmethod
    def checked(
        cls, monitor: Any, images: Any, labels: Any, epsilon: float, bounds: tuple[float, float], mask: Mask, batch: int
    ) -> _Task:
        if monitor.calibration is None:
            raise NotReadyError("expected a calibrated monitor to attack, got no threshold; call calibrate()")
        classes = monitor.network.classes
        if classes is None:
            raise ValueError("expected a network with classes to attack, got one without")
        images = np.array(images, np.float32)
        labels = np.array(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"expected a class for each of {len(images)} images, got {labels.dtype} of shape {labels.shape}"
            )
        if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
            raise ValueError(f"expected labels in [0, {classes}), got {labels.min()} to {labels.max()}")
        if not (np.isfinite(epsilon) and epsilon >= 0):
            raise ValueError(f"expected an epsilon from 0 on, got {epsilon}")
        if batch < 1:
            raise ValueError(f"expected a batch of 1 image or more, got {batch}")
        _refuse_beyond(images, bounds, "images")
        found = mask_of(images, mask, bounds)
        told = isinstance(mask, str)
        return cls(monitor, images, labels.astype(np.int64), epsilon, bounds, batch, None if told else found,
                   found if told else None)  # fmt: skip

    @property
    def left(self) -> np.ndarray:
        return np.flatnonzero(~(self.evaded | self.given_up))

    def ball(self, rows: np.ndarray, masked: bool, device: torch.device | str = "cpu") -> Ball:
        allowed = self.object if masked else self.only
        mask = None if allowed is None else torch.from_numpy(np.ascontiguousarray(allowed[rows])).to(device)
        return Ball.around(torch.from_numpy(self.images[rows]).to(device), self.epsilon, self.bounds, mask)

    def ask(self, images: np.ndarray) -> Answers:
        """What network and monitor themselves say."""
        parts = [self.monitor.check(images[i : i + self.batch]) for i in range(0, len(images), self.batch)]
        outputs, verdicts = zip(*parts, strict=True)
        predictions = np.concatenate([one.prediction for one in verdicts])
        shown = np.concatenate([_rows(output, self.monitor.network) for output in outputs])
        classes = self.monitor.network.classes
        if shown.shape[1] != classes or not np.array_equal(shown.argmax(axis=1), predictions):
            shown = np.eye(classes)[predictions]  # a network that hands on other numbers than its class scores
        score, threshold = (np.concatenate([getattr(one, name) for one in verdicts]) for name in ("score", "threshold"))
        return Answers(shown, score, threshold, ~np.concatenate([one.alarm for one in verdicts]))

    def judged(self, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether the network errs, and whether it does without an alarm, by the monitor itself."""
        parts = [self.monitor.check(images[i : i + self.batch])[1] for i in range(0, len(images), self.batch)]
        fooled = np.concatenate([part.prediction for part in parts]) != labels
        return fooled, fooled & ~np.concatenate([part.alarm for part in parts])

    def keep(self, name: str, rows: np.ndarray, found: np.ndarray) -> int:
        """Count what was found by the monitor's own verdicts."""
        if not len(rows):
            return 0
        fooled, evaded = self.judged(found, self.labels[rows])
        taken = evaded | (fooled & ~self.fooled[rows])
        self.best[rows[taken]] = found[taken]
        self.fooled[rows] |= fooled
        self.evaded[rows] |= evaded
        for row in rows[evaded]:
            self.by[row] = name
        self.tried[name] = len(rows), int(evaded.sum())
        return int(evaded.sum())


def _try(task: _Task, name: str, run: Run, report: Report | None) -> None:
    rows = task.left
    if not len(rows):
        return
    parts = [run(rows[i : i + task.batch]) for i in range(0, len(rows), task.batch)]
    found, fooled = (np.concatenate(each) for each in zip(*parts, strict=True))
    won = task.keep(name, rows, found)
    task.fooled[rows] |= fooled
    if report:
        report(f"{name}: {won} of {len(rows)} evade; {task.evaded.sum()} of {len(task.images)} so far")


def _with_gradients(
    monitor: Any, task: _Task, trusted: np.ndarray | None, strategies: Sequence[Strategy], seed: int
) -> Iterator[tuple[str, Run]]:
    twin = Twin(monitor)
    generator = torch.Generator().manual_seed(seed)

    def labels_of(rows: np.ndarray) -> Tensor:
        return torch.from_numpy(task.labels[rows]).to(twin.device)

    def alone(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = ignorant(twin.features, task.ball(rows, False, twin.device), labels_of(rows), generator)
        return found.cpu().numpy(), np.zeros(len(rows), bool)

    def confirm(images: Tensor, labels: Tensor) -> Tensor:
        _, evaded = task.judged(images.cpu().numpy(), labels.cpu().numpy())
        return torch.from_numpy(evaded).to(twin.device)

    yield NETWORK_ALONE, alone
    for strategy in strategies:
        if strategy.masked and task.object is None:
            continue

        def together(rows: np.ndarray, strategy: Strategy = strategy) -> tuple[np.ndarray, np.ndarray]:
            ball = task.ball(rows, strategy.masked, twin.device)
            return _arrays(descend(twin, confirm, ball, labels_of(rows), strategy, task.epsilon, generator))

        yield strategy.name, together
    if trusted is not None and len(trusted):
        silent = np.ascontiguousarray(trusted, np.float32)
        _refuse_beyond(silent, task.bounds, "trusted images")
        silent = silent[task.ask(silent).silent]
        if len(silent):
            bank = Bank(twin, silent)
            yield (
                MATCHING,
                lambda rows: _arrays(
                    match(twin, confirm, task.ball(rows, False, twin.device), labels_of(rows), bank, task.epsilon)
                ),
            )


def _square(task: _Task, rows: np.ndarray, queries: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    ball = task.ball(rows, False)
    low, high = ball.low.numpy(), ball.high.numpy()
    found = square_attack(task.ask, task.images[rows], low, high, task.labels[rows], queries, seed)
    return found.images, found.fooled


def _arrays(found: Found) -> tuple[np.ndarray, np.ndarray]:
    return found.images.cpu().numpy(), found.fooled.cpu().numpy()


def _refuse_beyond(images: np.ndarray, bounds: tuple[float, float], what: str) -> None:
    least, most = map(np.float32, bounds)
    if not (images.min(initial=least) >= least and images.max(initial=most) <= most):
        raise ValueError(f"expected {what} within bounds {bounds}, got {images.min():g} to {images.max():g}")


def _rows(output: Any, network: Any) -> np.ndarray:
    """The class scores in an output, (n, classes), or other numbers of n rows where it does not tell them by name."""
    key = network.scores_output
    if isinstance(key, str) and hasattr(output, key):
        output = getattr(output, key)
    elif isinstance(output, Mapping):
        output = output[key] if key in output else [*output.values()][key if isinstance(key, int) else 0]
    elif isinstance(output, (tuple, list)):
        output = output[key if isinstance(key, int) else 0]
    rows = np.asarray(output.detach().cpu() if hasattr(output, "detach") else output, np.float32)
    return rows.reshape(len(rows), -1)
