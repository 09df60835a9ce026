"""Kinds as a profile file holds them: facts in JSON types and small arrays, checked before any of it is used."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..profile import Profile
from .examples import TOLD
from .kinds import Kinds
from .pattern import STATISTICS, Scales, mapped
from .rule import Rule

Arrays = dict[str, np.ndarray]
_PREFIX = "kinds."
_MOST_CAUSES = 1000
_LONGEST_NAME = 200


def packed_kinds(kinds: Kinds) -> tuple[dict[str, Any], Arrays]:
    """Facts and arrays by name."""
    rule, scales = kinds.rule, kinds.scales
    facts = {
        "causes": [list(cause) for cause in rule.causes],
        "far": rule.far,
        "sure": rule.sure,
        "frames": kinds.frames,
        "alarmed": [[*cause, *counts] for cause, counts in kinds.alarmed.items()],
        "left_out": [None if np.isnan(row).any() else row.tolist() for row in kinds.left_out],
    }
    arrays = {
        "value": scales.value, "surprise": scales.surprise, "excess": scales.excess, "levels": scales.levels,
        "means": rule.means, "precision": rule.precision,
    }  # fmt: skip
    return facts, {_PREFIX + name: array for name, array in arrays.items()}


def unpacked_kinds(facts: dict[str, Any], arrays: Any, profile: Profile) -> Kinds:
    """The kinds of a profile. arrays: by name; those that are read are looked up.

    Raises ValueError for what cannot have been learned with this profile, KeyError and TypeError for what lacks.
    """
    causes = tuple((str(kind), str(name)) for kind, name in facts["causes"])
    alarmed = {(str(kind), str(name)): (int(count), int(tried)) for kind, name, count, tried in facts["alarmed"]}
    _check_causes(causes, alarmed)
    columns, maps, knots = len(profile.columns), len(mapped(profile)), len(arrays["kinds.value"])
    features = columns + len(STATISTICS) * maps
    shapes = {
        "value": (knots, columns), "surprise": (knots, columns), "excess": (columns,), "levels": (maps,),
        "means": (len(causes), features), "precision": (features, features),
    }  # fmt: skip
    found = {}
    for name, shape in shapes.items():
        found[name] = array = arrays[_PREFIX + name]
        if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
            got = f"{array.dtype} {array.shape}" if np.isfinite(array).all() else "numbers that are not"
            raise ValueError(f"kinds.{name}: expected finite float64 {shape}, got {got}")
    value, surprise, excess = found["value"], found["surprise"], found["excess"]
    if not knots or (np.diff(value, axis=0) < 0).any() or (np.diff(surprise, axis=0) < 0).any():
        raise ValueError("kinds.value: expected curves that never fall, got others")
    if (surprise < 0).any() or not (excess > 0).all():
        raise ValueError("kinds.excess: expected surprises from 0 on and positive tails, got others")
    precision = found["precision"]
    if not (np.array_equal(precision, precision.T) and np.linalg.eigvalsh(precision)[0] > 0):
        raise ValueError("kinds.precision: expected a symmetric positive definite matrix, got another")
    far, sure, frames = float(facts["far"]), float(facts["sure"]), int(facts["frames"])
    if not (0 < far < np.inf and 0 < sure < 1 and frames > 0):
        raise ValueError(f"expected kinds of a positive distance, 0 < sure < 1 and frames, got {far}, {sure}, {frames}")
    rule = Rule(causes, found["means"], precision, far, sure)
    scales = Scales(value, surprise, excess, found["levels"])
    return Kinds(scales, rule, frames, alarmed, _left_out(facts["left_out"]))


def _check_causes(causes: tuple[tuple[str, str], ...], alarmed: dict[tuple[str, str], tuple[int, int]]) -> None:
    if not 2 <= len(causes) <= len(alarmed) <= _MOST_CAUSES or len(set(causes)) < len(causes):
        raise ValueError(f"expected from 2 to {len(alarmed)} causes that differ, got {len(causes)}")
    for kind, name in (*causes, *alarmed):
        if kind not in TOLD or not 0 < len(name) <= _LONGEST_NAME:
            raise ValueError(f"expected causes of {', '.join(TOLD)}, got {name[:_LONGEST_NAME]!r} of {kind!r:.200}")
    for cause in causes:
        if not alarmed.get(cause, (0, 0))[0]:
            raise ValueError(f"expected examples of {cause[1]!r} that alarmed, got none")
    if any(not 0 <= count <= tried for count, tried in alarmed.values()):
        raise ValueError("expected at most as many alarms as examples, got more")


def _left_out(rows: list[list[float] | None]) -> np.ndarray:
    """(4, 5) float64; shares that add up, or NaN."""
    shape = len(TOLD), len(TOLD) + 1
    found = np.array([[np.nan] * shape[1] if row is None else row for row in rows], np.float64)
    told = found[~np.isnan(found).any(axis=1)]
    if found.shape != shape or (told < 0).any() or not np.allclose(told.sum(axis=1), 1):
        raise ValueError("kinds.left_out: expected shares of four kinds and unknown that add up to 1, got others")
    return found
