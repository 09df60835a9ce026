"""The file of a guard: the container of a profile, safetensors with JSON metadata; docs/reference/heads.md has it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..calibration import check_rate, conformal_threshold
from ..errors import MismatchError, ProfileError
from ..files import FORMAT, Contents, packed, read_contents, write_whole
from .calibrating import HeadCalibration
from .search import SearchReport
from .statistic import Arrays, Head, check_model, describe_statistic, head_name, make_statistic

if TYPE_CHECKING:
    from ...networks.transformers import Decoder
    from .guard import HeadGuard

KIND = "heads"
"""What the metadata of a guard's file says under "kind"; a profile of a network says nothing there."""
_IDENTITY = ("fingerprint", "dtype", "encoding")
_SIZES = ("layers", "heads", "groups", "head_dim", "width")

Guard = TypeVar("Guard", bound="HeadGuard")


def write_guard(path: str | os.PathLike[str], guard: HeadGuard) -> None:
    """Write a guard as one file, whole or not at all. Raises NotReadyError before a search, ProfileError."""
    facts, tensors = pack_guard(guard)
    write_packed(path, facts, tensors)


def read_guard(
    path: str | os.PathLike[str], decoder: Decoder, cls: type[Guard], key: str | os.PathLike[str] | None = None
) -> Guard:
    """The guard of a file of `write_guard`; see `HeadGuard.load`."""
    contents = read_packed(path, key=key)
    facts, tensors = contents.facts, contents.arrays
    if (made := facts.get("class")) not in (cls.__name__, "CriticalHead"):
        raise ProfileError(f"{path}: expected a file of {cls.__name__}, got one of {made}; load it with {made}.load")
    return unpack_guard(path, facts, tensors, decoder, cls)


def pack_guard(guard: HeadGuard) -> tuple[dict[str, Any], Arrays]:
    """The facts of a guard in JSON types, and its arrays. Raises NotReadyError before a search."""
    decoder, report, calibration = guard.decoder, guard.report, guard.calibration
    tensors = {f"model.{name}": array for name, array in guard.model.items()}
    tensors["searched"] = _digests(guard.searched)
    facts: dict[str, Any] = {
        "format": FORMAT,
        "kind": KIND,
        "class": type(guard).__name__,
        "decoder": {name: getattr(decoder, name) for name in ("name", "engine", *_IDENTITY, *_SIZES)},
        "statistic": describe_statistic(guard.statistic),
        "rule": guard.rule,
        "chosen": [list(head) for head in guard.chosen],
        "search": None,
        "calibration": None,
    }
    if report is not None:
        tensors |= {
            "search.auroc": report.auroc, "search.separation": report.separation, "search.null": report.null,
        }  # fmt: skip
        facts["search"] = {
            "found": report.found,
            "p_value": report.p_value,
            "unsafe": report.unsafe,
            "safe": report.safe,
            "skipped": [list(one) for one in report.skipped],
        }
    if calibration is not None:
        facts["calibration"], arrays = pack_calibration(calibration)
        tensors |= arrays
    return facts, tensors


def pack_calibration(calibration: HeadCalibration) -> tuple[dict[str, Any], Arrays]:
    """The facts of a calibration in JSON types, and its arrays."""
    return {
        "false_alarm_rate": float(calibration.false_alarm_rate),
        "threshold": calibration.threshold,
        "flagged": calibration.flagged,
        "judged": calibration.judged,
        "excluded": calibration.excluded,
    }, {f"calibration.{name}": getattr(calibration, name) for name in ("scores", "lengths", "limits")}


def unpack_calibration(stored: Mapping[str, Any], tensors: Arrays, heads: int) -> HeadCalibration:
    """The calibration of facts and arrays of `pack_calibration`. Raises KeyError, TypeError, ValueError."""
    scores = _array(tensors, "calibration.scores", (None,), np.float64)
    threshold, rate = float(stored["threshold"]), float(stored["false_alarm_rate"])
    check_rate(rate)
    if threshold not in scores:
        raise ValueError("expected a threshold that is one of the calibration's scores, got another")
    if threshold != conformal_threshold(scores, rate):
        raise ValueError(f"expected the threshold that the scores give for a rate of {rate:g}, got {threshold:g}")
    flagged, judged = int(stored["flagged"]), int(stored["judged"])
    if not (0 <= flagged <= judged and len(scores) <= judged):
        raise ValueError(f"expected {len(scores)} scores or more to be judged, got {flagged} flagged of {judged}")
    if flagged != int((scores > threshold).sum()) + judged - len(scores):
        raise ValueError(f"expected the prompts above the threshold and those that set none, got {flagged} flagged")
    return HeadCalibration(
        rate, threshold, scores, _array(tensors, "calibration.lengths", scores.shape, np.int64),
        _array(tensors, "calibration.limits", (heads,), np.float32), flagged, judged,
        {str(reason): int(count) for reason, count in stored["excluded"].items()},
    )  # fmt: skip


def unpack_guard(
    path: str | os.PathLike[str], facts: Mapping[str, Any], tensors: Arrays, decoder: Decoder, cls: type[Guard]
) -> Guard:
    """The guard of facts and arrays of `pack_guard`. Raises MismatchError, ProfileError."""
    with damage_told(path):
        _refuse_another_model(path, facts, decoder)
        return _assemble(facts, tensors, decoder, cls)


@contextmanager
def damage_told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make a ProfileError of what goes wrong with facts of another form."""
    try:
        yield
    except ProfileError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise ProfileError(f"{path}: expected a guard of format {FORMAT}, got a damaged one: {reason}") from error


def write_packed(path: str | os.PathLike[str], facts: dict[str, Any], tensors: Arrays) -> None:
    """Write facts and arrays with the digest of both."""
    write_whole(Path(path), packed(facts, tensors))


def read_packed(path: str | os.PathLike[str], *, key: str | os.PathLike[str] | None = None) -> Contents:
    """What a file of a guard holds, once its digest is found right; see `read_contents`."""
    contents = read_contents(path, key=key)
    if (kind := contents.facts.get("kind")) != KIND:
        got = "a profile of a network; load it with Monitor.load" if kind is None else f"a file of kind {kind!r}"
        raise ProfileError(f"{path}: expected a guard of attention heads, got {got}")
    return contents


def _refuse_another_model(path: str | os.PathLike[str], facts: Mapping[str, Any], decoder: Decoder) -> None:
    made = facts["decoder"]
    advice = {
        "fingerprint": "it is another model, or its weights changed",
        "dtype": "calibrate in the dtype that serves",
        "encoding": "the chat template, the system prompt or the image processor differs",
    }
    lines = []
    for name in (*_SIZES, *_IDENTITY):
        expected, got = made[name], getattr(decoder, name)
        if expected != got:
            hint = f"; {advice[name]}" if name in advice else ""
            lines.append(f"expected {name} {_short(expected)}, got {_short(got)}{hint}")
    for layer, head in facts["chosen"]:
        if layer >= decoder.layers or head >= decoder.heads:
            lines.append(
                f"expected {head_name((layer, head))}, got a model of {decoder.layers} layers x {decoder.heads} heads"
            )
            break
    if lines:
        raise MismatchError(f"{path}: expected {made['name']}, got another model:\n  " + "\n  ".join(lines))


def _short(fact: Any) -> Any:
    return f"{fact[:12]}…" if isinstance(fact, str) and len(fact) > 16 else fact


def _assemble(facts: Mapping[str, Any], tensors: Arrays, decoder: Decoder, cls: type[Guard]) -> Guard:
    chosen: list[Head] = [(int(layer), int(head)) for layer, head in facts["chosen"]]
    statistic = make_statistic(**facts["statistic"])
    model = {name[6:]: array for name, array in tensors.items() if name.startswith("model.")}
    check_model(statistic, model, len(chosen), decoder.head_dim)
    guard = cls.of(decoder, statistic, len(chosen), str(facts["rule"]))
    guard.learn(chosen, model)
    guard.searched = frozenset(row.tobytes().hex() for row in _array(tensors, "searched", (None, 32), np.uint8))
    if (search := facts["search"]) is not None:
        shape = decoder.layers, decoder.heads
        guard.report = SearchReport(
            facts["statistic"], guard.rule, _array(tensors, "search.auroc", shape, np.float64, nan=True),
            _array(tensors, "search.separation", shape, np.float64, nan=True), tuple(chosen), float(search["found"]),
            _array(tensors, "search.null", (None,), np.float64),
            None if search["p_value"] is None else float(search["p_value"]), int(search["unsafe"]),
            int(search["safe"]), tuple((str(a), int(b), str(c)) for a, b, c in search["skipped"]),
        )  # fmt: skip
    if facts["calibration"] is not None:
        guard.calibration = unpack_calibration(facts["calibration"], tensors, len(chosen))
    return guard


def _array(tensors: Arrays, name: str, shape: tuple[int | None, ...], dtype: Any, *, nan: bool = False) -> np.ndarray:
    array = tensors[name]
    fits = array.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, array.shape, strict=True))
    if not fits or array.dtype != dtype:
        raise ValueError(f"{name}: expected {np.dtype(dtype)} {shape}, got {array.dtype} {array.shape}")
    if array.dtype.kind == "f" and not nan and not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got others")
    return array


def _digests(searched: frozenset[str]) -> np.ndarray:
    return np.array([list(bytes.fromhex(digest)) for digest in sorted(searched)], np.uint8).reshape(-1, 32)
