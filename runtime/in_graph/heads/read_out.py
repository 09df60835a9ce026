"""The linear read-out of attention heads, as the graph needs it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ....monitor import ExportError, NotReadyError
from ....monitor.heads import Cascade
from ....monitor.heads.files import damage_told, read_packed, unpack_calibration

if TYPE_CHECKING:
    from ....monitor.heads import HeadGuard

LARGEST = float(np.finfo(np.float32).max)
"""The largest number that a graph can hold as bias or threshold."""


@dataclass(frozen=True)
class LinearReadOut:
    """What a guard knows: score = sum over heads of w_h · x_h, plus bias; it alarms unless score <= threshold.

    x_h is the output of head h at the last token: its slice of what enters the output projection of its layer.
    chosen: (layer, head) of each of k heads, counted from 0. weights: (k, head_dim) float32. layers, heads: of the
    decoder, and heads per layer. facts: what else goes into the metadata of the file, in JSON types.
    Raises ExportError for numbers that do not fit together.
    """

    chosen: Sequence[tuple[int, int]]
    weights: np.ndarray
    bias: float
    threshold: float
    layers: int
    heads: int
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        chosen = [(int(layer), int(head)) for layer, head in self.chosen]
        weights = np.asarray(self.weights, np.float32)
        if weights.ndim != 2 or len(weights) != len(chosen) or not chosen:
            raise ExportError(f"expected a row of weights for each of {len(chosen)} heads, got {weights.shape}")
        if len(set(chosen)) < len(chosen):
            raise ExportError(f"expected each head once, got {chosen}")
        beyond = [pair for pair in chosen if not (0 <= pair[0] < self.layers and 0 <= pair[1] < self.heads)]
        if beyond:
            raise ExportError(f"expected heads of {self.layers} layers with {self.heads} heads, got {beyond[0]}")
        if not (np.isfinite(weights).all() and all(abs(float(one)) <= LARGEST for one in (self.bias, self.threshold))):
            raise ExportError("expected weights, bias and threshold that are finite, got others; calibrate the guard")
        object.__setattr__(self, "chosen", chosen)
        object.__setattr__(self, "weights", weights)

    @property
    def head_dim(self) -> int:
        """The numbers that one head returns for a token."""
        return int(self.weights.shape[1])

    @property
    def width(self) -> int:
        """The numbers that all heads of a layer return for a token."""
        return self.heads * self.head_dim

    def scores(self, heads: np.ndarray) -> np.ndarray:
        """(batch,) float32 from (batch, layers, heads, head_dim): what the graph computes, in numpy."""
        rows, columns = zip(*self.chosen, strict=True)
        return np.einsum("nkd,kd->n", heads[:, rows, columns], self.weights, dtype=np.float32) + np.float32(self.bias)


def read_out_of(
    guard: LinearReadOut | HeadGuard | str | os.PathLike[str], key: str | os.PathLike[str] | None = None
) -> LinearReadOut:
    """The read-out of a guard or of its file; the file needs no decoder. key: of who must have signed the file.

    Raises ExportError, with the reason, for a statistic that is not linear, NotReadyError for a guard without a
    threshold, ProfileError for a file that is damaged or of another kind, FileNotFoundError.
    """
    if isinstance(guard, LinearReadOut):
        return guard
    if isinstance(guard, (str, os.PathLike)):
        return _of_file(Path(guard), key)
    if isinstance(guard, Cascade):
        raise ExportError(_CASCADE)
    try:
        chosen, weights, bias = guard.read_out_weights()
    except ValueError as error:
        raise ExportError(f"{_REFUSED}{error}") from None
    decoder, calibration = guard.decoder, guard.calibration
    if calibration is None:
        raise NotReadyError("expected a calibrated guard, got one without a threshold; calibrate it")
    known = {name: getattr(decoder, name) for name in _DECODER}
    facts = _facts(known, calibration.to_dict(), decoder.dtype)
    return LinearReadOut(chosen, weights, bias, calibration.threshold, decoder.layers, decoder.heads, facts)


_DECODER = ("name", "fingerprint", "encoding")
_REFUSED = "only a linear read-out can be computed inside a graph; keep another statistic outside: "
_CASCADE = "expected one guard, got a cascade, whose second judge is no part of a graph; give its first guard alone"


def _of_file(path: Path, key: str | os.PathLike[str] | None) -> LinearReadOut:
    contents = read_packed(path, key=key)
    facts, tensors = contents.facts, contents.arrays
    if facts.get("class") == "Cascade":
        raise ExportError(f"{path}: {_CASCADE}")
    with damage_told(path):
        statistic, calibration = facts["statistic"], facts["calibration"]
        settings = ", ".join(f"{name}={value!r}" for name, value in statistic.items())
        linear = statistic["name"] == "read_out" and {"model.weights", "model.bias"} <= tensors.keys()
    if not linear:
        raise ExportError(f"{path}: {_REFUSED}expected a read-out of kind lda, got {settings}")
    if calibration is None:
        raise NotReadyError(f"{path}: expected a calibrated guard, got one without a threshold; calibrate it")
    with damage_told(path):
        chosen, decoder = [(int(layer), int(head)) for layer, head in facts["chosen"]], facts["decoder"]
        known = {name: decoder[name] for name in _DECODER}
        rests = unpack_calibration(calibration, tensors, len(chosen))
        weights = (tensors["model.weights"].astype(np.float64) / len(chosen)).astype(np.float32)
        return LinearReadOut(
            chosen,
            weights,
            float(tensors["model.bias"].mean()),
            rests.threshold,
            int(decoder["layers"]),
            int(decoder["heads"]),
            {
                **_facts(known, rests.to_dict(), decoder["dtype"]),
                "profile": contents.sha256,
                "profile_digest": contents.digest,
            },
        )


def _facts(decoder: Mapping[str, Any], calibration: Mapping[str, Any], dtype: str) -> dict[str, Any]:
    rests = {name: calibration[name] for name in ("false_alarm_rate", "n", "realised", "interval")}
    return {"decoder": dict(decoder), "calibrated": f"transformers, {dtype}", **rests}
