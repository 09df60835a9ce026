"""Frames of several streams in one batch of the network, and one network under several guards."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...monitor import Monitor, Status, Verdict
from ...monitor.judge import Judge
from ...networks import Network
from ...networks.inputs import parts_of, together
from ...networks.recurrent.outputs import is_batched
from ..forks import in_forks
from .frame_check import noise_for
from .history import History, restated, words

_NEAR = 0.01
_locks: weakref.WeakKeyDictionary[Any, threading.RLock] = weakref.WeakKeyDictionary()
_of_others = threading.RLock()
_making = threading.Lock()


def _leave_locks() -> None:
    """In the child of a fork, where threads that do not exist may hold them."""
    global _of_others, _making
    _of_others, _making = threading.RLock(), threading.Lock()
    _locks.clear()


in_forks(_leave_locks)

Judged = tuple[Any, Verdict]
Checked = tuple[Status, str, bool]


def lock_of(network: Network) -> Any:
    """The lock under which guards, maybe several, set what a network carries or read arrays that it uses again."""
    with _making:
        try:
            return _locks.setdefault(network, threading.RLock())
        except TypeError:  # a network of the user's own that cannot be a key
            return _of_others


@dataclass(slots=True)
class Entry:
    """A frame among several that came together.

    name: of its stream, as it was given. began, stamp, stamped: as of `History.conclude`. checked: what the frame check
    said where that leaves the rest to a batch. judged: its output and verdict, so far.
    """

    name: Any
    at: History
    frame: Any
    began: int
    stamp: float | None
    stamped: int | None
    checked: Checked | None = None
    judged: Judged = (None, None)  # type: ignore[assignment]

    def concluded(self) -> Judged:
        """What is handed on of it."""
        return self.at.conclude(*self.judged, self.began, self.stamp, self.stamped, self.frame, None)


class Together:
    """Judges several frames in one batch: `judged(frames)`, the network's own output and the verdict of each.

    The verdicts are those of `Monitor.check`, by a judge that is bound once for each number of frames.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._judges: dict[int, Judge] = {}
        self._able: bool | None = None

    def noise(self, n: int) -> list[Any]:
        """Frames of noise, as the network takes them."""
        return [noise_for(self._monitor.network.inputs, seed) for seed in range(n)]

    def able(self) -> bool:
        """Whether the network says the same of frames in a batch as of each alone; tried out once, on noise.

        It does not where its batch is fixed, where an output has no row per frame, as behind a suppression of boxes,
        and where frames of a batch change each other's output.
        """
        if self._able is None:
            self._able = self._tried(self.noise(3))
        return self._able

    def judge(
        self, entries: Sequence[Entry], alone: Callable[[History, Any, str, Checked | None], Judged],
        bare: Callable[[Any], Any], tell: Callable[[Exception], None],
    ) -> None:  # fmt: skip
        """Judge frames that were checked, those of one form in one batch.

        alone: judges one by itself. bare: the network's output for one where the batch breaks, of which `tell` is told.
        """
        groups: dict[Any, list[Entry]] = {}
        if len(entries) > 1 and self.able():
            for entry in entries:
                groups.setdefault(_form(entry.frame, self._monitor.network), []).append(entry)
        else:
            groups = {id(entry): [entry] for entry in entries}
        for group in groups.values():
            if len(group) == 1:
                group[0].judged = alone(group[0].at, group[0].frame, "", group[0].checked)
                continue
            try:
                found = self.judged([entry.frame for entry in group])
            except Exception as error:  # noqa: BLE001 (whatever broke, each frame has its output and a FAULT)
                tell(error)
                for entry in group:
                    entry.judged = bare(entry.frame), entry.at.broken(Status.FAULT, words(error))
                continue
            for entry, (output, verdict) in zip(group, found, strict=True):
                status, reason, _ = entry.checked or (Status.OK, "", True)
                entry.judged = output, verdict if status is Status.OK else restated(verdict, status, reason)

    def bind(self, n: int) -> Judge:
        """The judge of n frames, by the calibration of now."""
        monitor, judge = self._monitor, self._judges.get(n)
        if judge is None or judge.calibration is not monitor.calibration:
            judge = self._judges[n] = Judge(monitor.network, monitor.learned, n, monitor.logic, monitor.calibration)
        return judge

    def judged(self, frames: Sequence[Any]) -> list[Judged]:
        """The output and verdict of each of some frames, all of one form. Raises what network and monitor raise."""
        network = self._monitor.network
        with lock_of(network):
            judge = self.bind(len(frames))
            try:
                output, verdicts = judge.verdicts(stacked(frames, network))
                if not has_rows(output, len(frames)):
                    self._able = False
                    raise ValueError(f"expected outputs of {len(frames)} rows for as many frames, got {_sizes(output)}")
                outputs = [_own(network.unbatched(row_of(output, i))) for i in range(len(frames))]
            finally:
                judge.seen = None
        return list(zip(outputs, verdicts, strict=True))

    def _tried(self, frames: Sequence[Any]) -> bool:
        network = self._monitor.network
        try:
            with lock_of(network):
                alone = []
                for frame in frames:
                    output = network.run(stacked([frame], network))
                    if not is_batched(output, network.unbatched(output)):  # as many rows as frames would be chance
                        return False
                    alone.append(_own(network.unbatched(output)))
                for n in range(2, len(frames) + 1):
                    output = network.run(stacked(frames[:n], network))
                    if not has_rows(output, n):
                        return False
                    rows = [network.unbatched(row_of(output, i)) for i in range(n)]
                    if not all(map(_alike, rows, alone)):
                        return False
        except Exception:  # noqa: BLE001 (a network that takes no batch runs frame by frame)
            return False
        return True


def stacked(frames: Sequence[Any], network: Network) -> Any:
    """A batch of frames of one form, input by input."""
    parts = [parts_of(frame, network.inputs) for frame in frames]
    return together([np.stack(arrays) for arrays in zip(*parts, strict=True)])


def is_finite(frame: Any) -> bool:
    """Whether a frame holds neither NaN nor Inf; False for what is no frame."""
    try:
        parts = frame.values() if isinstance(frame, Mapping) else frame if isinstance(frame, tuple) else (frame,)
        return all(bool(np.isfinite(part).all()) for part in parts)
    except Exception:  # noqa: BLE001 (of types without a number)
        return False


def _form(frame: Any, network: Network) -> tuple[tuple[int, ...], ...]:
    """What frames of one batch have in common: the shape of every input."""
    return tuple(array.shape for array in parts_of(frame, network.inputs))


def has_rows(output: Any, n: int) -> bool:
    """Whether every array of an output has n rows."""
    return all(len(getattr(value, "shape", ())) > 0 and len(value) == n for value in _leaves(output))


def row_of(output: Any, i: int) -> Any:
    """The output of a batch for one frame of it, as a batch of one."""
    if isinstance(output, Mapping):
        return _as(output, {name: row_of(value, i) for name, value in output.items()})
    if isinstance(output, (tuple, list)):
        items = [row_of(value, i) for value in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    return output[i : i + 1]


def _as(output: Mapping[str, Any], values: dict[str, Any]) -> Any:
    """A mapping of the type of an output, as the outputs of transformers are."""
    make: Any = type(output)
    return values if make is dict else make(values)


def _leaves(output: Any) -> list[Any]:
    if isinstance(output, Mapping):
        return [leaf for value in output.values() for leaf in _leaves(value)]
    if isinstance(output, (tuple, list)):
        return [leaf for value in output for leaf in _leaves(value)]
    return [output]


def _sizes(output: Any) -> str:
    return ", ".join(str(tuple(getattr(value, "shape", ("no array",)))) for value in _leaves(output))


def _own(output: Any) -> Any:
    """A copy of an output: an engine may use its arrays again, and a row keeps the whole batch in memory."""
    if isinstance(output, Mapping):
        return _as(output, {name: _own(value) for name, value in output.items()})
    if isinstance(output, (tuple, list)):
        items = [_own(value) for value in output]
        return type(output)(*items) if hasattr(output, "_fields") else type(output)(items)
    copy = getattr(output, "copy", None) or getattr(output, "clone", None)
    return output if copy is None else copy()


def _alike(one: Any, other: Any) -> bool:
    """Whether two outputs have one form, and floats that are near."""
    pairs = list(zip(_leaves(one), _leaves(other), strict=True))
    return all(map(np.array_equal, *zip(*[(np.shape(a), np.shape(b)) for a, b in pairs], strict=True))) and all(
        _near(np.asarray(a), np.asarray(b)) for a, b in pairs
    )


def _near(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype.kind != "f" or not other.size:
        return True
    largest = np.abs(other[np.isfinite(other)]).max(initial=0.0)
    return np.allclose(one, other, rtol=_NEAR, atol=_NEAR * largest, equal_nan=True)
