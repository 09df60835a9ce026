"""What taps take: monitors of some taps, bound and timed in turn with the bare network."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...coverage import Criterion
from ...monitor import Monitor, OutriderWarning
from ...networks import Network, Tap
from ...networks.onnx.feeds import with_feeds
from ...networks.onnx.files import read_model
from ...networks.onnx.session import Runtime
from ...networks.selectors import OUTPUT, selector_of
from .candidates import SAMPLES

Clock = Callable[[Mapping[str, Callable[[], object]], int], Mapping[str, np.ndarray]]
"""Seconds of each of some calls in so many rounds, in which they take turns; see `networks.cost.paired`."""
Open = Callable[[Sequence[str]], Network]
"""Opens the network with these taps."""
BARE = "bare"
SCORES = f"@{OUTPUT}:unit"
_TRUSTED, _HELD_OUT = 12, 20
_RATE = 0.1
_FEWEST, _MOST = 30, 300
DESIGN, RESULT = 5.0, 20.0
"""Seconds that the rounds of a design take, and those of a choice."""


def designs_of(candidates: Sequence[Tap]) -> list[list[Tap]]:
    """Sets of taps that differ in what they read, compare and take out: what prices are fitted to."""
    means = [tap for tap in candidates if tap.sampled is None and tap.neurons != "channel-max" and not _unpooled(tap)]
    thinner, thinnest = ([_way(candidates, tap, SAMPLES[:n]) for tap in means] for n in (1, 2))
    half = len(means) // 2
    beside = [tap for tap in candidates if tap.sampled is None and tap not in means]
    found = [
        [], means, thinner, thinnest, means[:half], means[half:], means[::3], thinner[1::2],
        [tap for tap in beside if _unpooled(tap)], [*means, *beside],
    ]  # fmt: skip
    return [design for i, design in enumerate(found) if design not in found[:i]]


def _unpooled(tap: Tap) -> bool:
    return tap.neurons == "unit" and tap.layout != "NC"


def _way(candidates: Sequence[Tap], tap: Tap, samples: Sequence[int]) -> Tap:
    """The tensor in the last of these ways ``sampleK`` that it has, or as it is."""
    own = {one.sampled: one for one in candidates if one.name == tap.name and one.sampled}
    return next((own[k] for k in reversed(samples) if k in own), tap)


def selectors_of(taps: Sequence[Tap]) -> tuple[str, ...]:
    """What names these taps to a network; with none of them, the class scores alone."""
    return tuple(map(selector_of, taps)) or (SCORES,)


def name_of(taps: Sequence[Tap]) -> str:
    """The name of a design among the calls of a clock."""
    return ",".join(selectors_of(taps))


def bare_call(model: Path, options: Mapping[str, Any], frame: np.ndarray) -> Callable[[], object]:
    """One run of the model without a tap, in a session with the settings of an `OnnxNetwork` with these options."""
    runtime = Runtime(options.get("providers", ("CPUExecutionProvider",)), options.get("threads", 1))
    session = runtime.session(with_feeds(read_model(model), options.get("feeds") or {}), model.parent.absolute())
    feeds = options.get("feeds") or {}
    entry = next(one for one in session.get_inputs() if one.name not in feeds)
    batch = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) else 1
    fed = {entry.name: np.repeat(frame[None], batch, axis=0)}
    return lambda: session.run(None, fed)


@contextmanager
def bound(
    open_network: Open, taps: Sequence[Tap], criteria: Mapping[str, Sequence[Criterion]], frames: np.ndarray
) -> Iterator[Callable[[], object]]:
    """One frame through a monitor of these taps, which covers it, as a guard would have it judged.

    Few frames are enough: what a frame costs follows from the shapes of what was learned.
    """
    network = open_network(selectors_of(taps))
    try:
        wanted = {tap.id: list(criteria[tap.id]) for tap in network.taps if criteria.get(tap.id)}
        monitor = Monitor(network, wanted)
        near = near_frames(frames[:_TRUSTED])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OutriderWarning)
            monitor.profile(list(np.array_split(frames[:_TRUSTED], 4)), minimum_per_class=1)
            monitor.calibrate(list(np.array_split(near, 4)), _RATE, accept_rate=1)
        judge = monitor.bind()
        frame = next((one for one in near if not judge(one)[1].alarm), near[0])
        yield lambda: judge(frame)
    finally:
        network.close()


def near_frames(frames: np.ndarray) -> np.ndarray:
    """Frames that nearly are those: of the classes that were learned, and yet none of them."""
    rng = np.random.default_rng(1)
    near = frames[np.arange(_HELD_OUT) % len(frames)]
    if near.dtype.kind == "f":
        changed = near + rng.standard_normal(near.shape) * (float(near.std()) * 1e-3)
        return changed.astype(near.dtype)
    flat = near.reshape(_HELD_OUT, -1).copy()
    at = rng.integers(0, flat.shape[1], (_HELD_OUT, 4))
    for row, places in zip(flat, at, strict=True):
        row[places] = np.where(row[places] == row.max(), row.min(), row.max())
    return flat.reshape(near.shape)


def rounds_for(clock: Clock, calls: Mapping[str, Callable[[], object]], seconds: float) -> int:
    """As many rounds as fit into so many seconds, within bounds."""
    once = sum(float(times[0]) for times in clock(calls, 1).values())
    return int(min(max(seconds / max(once, 1e-9), _FEWEST), _MOST))
