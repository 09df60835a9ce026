"""Whether a guarded model says what its model and the monitor in Python say: checked before the file is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...monitor import ExportError, Verdicts
from ...monitor.places.regions import regions_of
from ...networks.inputs import Input, together
from ...networks.onnx.session import Runtime
from . import builder
from .guarded_model import MAP, OUTPUTS

_TOLERANCES = {"deviation": 1e-3, "score": 1e-2, "confidence": 1e-2, "map": 1e-3}  # a larger difference is no rounding
_PLACES_OFF = 0.02  # of all: a neuron on a border may fall on its other side, and the box takes that to its neighbours
_OPEN = 64  # stands for a size of the input that the model leaves open


def trial_frames(known: builder.Model, inputs: Sequence[Input]) -> list[Any]:
    """Random batches of the model's types and shapes, and for each input of floats one that holds NaN there.

    Integers of 32 and 64 bits are 0 or 1: they may be indices, of which others may not be there.
    inputs: with the shape of one sample. A batch is an array, of several inputs a tuple of arrays.
    """
    rng = np.random.default_rng(0)
    rows = known.batch if isinstance(known.batch, int) else 1
    forms = [((rows, *(size or _OPEN for size in one.shape)), np.dtype(one.dtype)) for one in inputs]
    batches = [[_values(rng, form, normal=normal) for form in forms] for normal in (False, True)]
    for at, (_, dtype) in enumerate(forms):
        if dtype.kind == "f":
            broken = [part.copy() for part in batches[0]]
            broken[at].reshape(rows, -1)[-1, 0] = np.nan
            batches.append(broken)
    return [together(batch) for batch in batches]


def _values(rng: np.random.Generator, form: tuple[tuple[int, ...], np.dtype], *, normal: bool) -> np.ndarray:
    shape, dtype = form
    if dtype.kind == "f":
        return (rng.standard_normal(shape) if normal else rng.random(shape)).astype(dtype)
    largest = 1 if dtype.kind == "b" or dtype.itemsize >= 4 else min(np.iinfo(dtype).max, 255)
    return rng.integers(0, largest, shape, endpoint=True).astype(dtype)


def refuse_difference(
    source: Path,
    untouched: bytes,
    guarded: bytes,
    frames: Sequence[Any],
    expected: Sequence[Verdicts],
    level: float | None = None,
) -> None:
    """Raise ExportError unless the guarded model's outputs are those of the untouched one and of the monitor.

    level: above which a place counts, where the score is the largest connected area of the map.
    """
    runtime = Runtime(("CPUExecutionProvider",), threads=1)
    folder = source.parent.absolute()
    bare, names = _outputs(runtime, untouched, folder, frames)
    found, every = _outputs(runtime, guarded, folder, frames)
    own = {name: every.index(name) for name in (*OUTPUTS, MAP) if name in every}
    for batch, before, after, verdicts in zip(frames, bare, found, expected, strict=True):
        if all(
            np.isfinite(values).all()
            for values in (*_parts(batch), *(a for a in before if isinstance(a, np.ndarray) and a.dtype.kind == "f"))
        ):
            differing = [name for name, a, b in zip(names, before, after, strict=False) if not _same(a, b)]
            if differing:
                raise ExportError(
                    f"{source}: expected the outputs of the bare model bit for bit, got others for"
                    f" {', '.join(differing)}; tap what stands after an activation function, where the runtime's"
                    " fusions end"
                )
        got = {name.removeprefix("outrider_"): np.asarray(after[index]) for name, index in own.items()}
        for difference in _differences(got, verdicts, level):
            raise ExportError(f"{source}: expected what the monitor says outside the graph, got {difference}")


def _outputs(runtime: Runtime, data: bytes, folder: Path, frames: Sequence[Any]) -> tuple[list[list[Any]], list[str]]:
    session = runtime.session(data, folder)
    names = [output.name for output in session.get_outputs()]
    fed = [one.name for one in session.get_inputs()]
    return [runtime.run(session, names, dict(zip(fed, _parts(batch), strict=True))) for batch in frames], names


def _parts(batch: Any) -> tuple[np.ndarray, ...]:
    return batch if isinstance(batch, tuple) else (batch,)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    return bool(a == b)


def _differences(got: Mapping[str, np.ndarray], verdicts: Verdicts, level: float | None) -> Iterator[str]:
    """A sentence for each output that is off by more than its tolerance; alarms only where the score is not close.

    In the graph a frame that is lost is lost in every column. Where areas count, a place that rounding puts on the
    other side of the level changes them by whole places: the score is held against the areas of the graph's own map.
    """
    lost = ~np.isfinite(verdicts.score)
    score, confidence, alarm = verdicts.score, verdicts.confidence, verdicts.alarm
    if verdicts.maps is not None:
        expected = np.where(lost[:, None, None], np.float32(np.inf), verdicts.maps)
        off = _off("map", got["map"], expected).mean((1, 2))
        if (off > _PLACES_OFF).any():
            row = int(off.argmax())
            yield f"map {np.max(got['map'][row]):g} at the highest where {np.max(expected[row]):g} is right"
        elif level is not None:
            score = np.array([_area_score(values, level) for values in got["map"]])
            with np.errstate(divide="ignore", invalid="ignore"):
                confidence = np.exp2(-np.where(score == 0, 0, score / verdicts.threshold))
            alarm = ~(score <= verdicts.threshold)
    for name, expected in (
        ("deviation", np.where(lost[:, None], np.float32(np.inf), verdicts.deviation)),
        ("score", score),
        ("confidence", confidence),
    ):
        off = _off(name, got[name], expected)
        if off.any():
            first = tuple(np.argwhere(off)[0])
            at = f" of {verdicts.columns.names[first[1]]}" if name == "deviation" else ""
            yield f"{name} {got[name][first]:g}{at} where {expected[first]:g} is right"
    close = np.abs(score - verdicts.threshold) <= _TOLERANCES["score"] * np.maximum(verdicts.threshold, 1)
    off = (got["alarm"] != alarm) & ~close
    if off.any():
        row = int(np.flatnonzero(off)[0])
        yield f"alarm {bool(got['alarm'][row])} where the score is {score[row]:g}"


def _off(name: str, got: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Where a difference is no rounding."""
    with np.errstate(invalid="ignore"):
        off = np.abs(got - expected) > _TOLERANCES[name] * np.maximum(np.abs(expected), 1)
    return np.asarray(off | (np.isinf(got) != np.isinf(expected)))


def _area_score(values: np.ndarray, level: float) -> float:
    """The score of `LargestArea` for one map; infinite where the frame is lost."""
    highest = float(values.max(initial=0))
    if not np.isfinite(highest):
        return np.inf
    return max((region.places for region in regions_of(values, level, values.shape)), default=0) + highest / (
        1 + highest
    )
