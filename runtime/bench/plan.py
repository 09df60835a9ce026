"""What is run beside the bare session: the monitors of a user's profile, or those that anyone would try first."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ...monitor import Monitor, NotReadyError, Status
from ...monitor.facts.network import NetworkFacts
from ...monitor.files import read_network
from ...networks import onnx_fingerprint
from ...networks.cost import processor
from ...networks.inputs import together
from ..in_graph.exporting import export
from ..inputs.networks import onnx_file, refuse_another_model, reopen_network
from .bare import BareModel
from .figures import AGAIN, BARE, INSIDE, OUTSIDE, CostFigures, CostRow, TappedSize, with_times
from .reading import read_seconds
from .rounds import rounds_in, timed
from .teaching import TRUSTED, WATCHED, Watching, teach

if TYPE_CHECKING:
    from typing_extensions import Self

Progress = Callable[[int], object]

_OUT_OF_REACH = float(np.finfo(np.float32).max)
_ALARMS = "noise alarms under this profile, so that the time to say why is in the figure"
_REFUSALS = ValueError, TypeError, RuntimeError, MemoryError, OSError
"""What a monitor may be refused by; a row says it in words."""


class CostPlan:
    """The ways to run a model that are timed side by side; close it, or use it as a context.

    model: an ONNX file. profile: of this model, with a threshold; without one, the monitors of `WATCHED` are taught on
    noise. threads: of every session. input_shape: of a frame, where the model leaves it open. detections: as of
    `reopen_network`. options: classes, scores_output, scores and layouts as `OnnxNetwork` takes them, without a profile
    alone.

    total: monitors to prepare, for a progress bar.
    Raises what `BareModel` raises, what `read_network` raises of the profile, and MismatchError for that of another
    model.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        profile: str | os.PathLike[str] | None = None,
        *,
        threads: int = 1,
        input_shape: Any = None,
        detections: Any = None,
        **options: Any,
    ) -> None:
        self._stack, self._profile = ExitStack(), None if profile is None else Path(profile)
        self._detections, self._options = detections, options
        batch_axis, asked = None, input_shape
        if self._profile is not None:
            facts = read_network(self._profile)
            refuse_another_model(self._profile, facts, onnx_fingerprint(onnx_file(model)), model)
            told = facts.options()
            batch_axis, asked = told.get("batch_axis"), _shapes(told["input_shape"], input_shape)
        elif input_shape is not None:
            self._options["input_shape"] = input_shape
        if detections is not None and self._profile is None:
            self._options["detections"] = detections
        self._model = BareModel(model, threads=threads, input_shape=asked, batch_axis=batch_axis)
        self._frames = self._model.noise(TRUSTED)
        self._calls = {name: self._model.call(self._model.path, self._frames) for name in (BARE, AGAIN)}
        self._rows = [CostRow(AGAIN)]
        self._watched = WATCHED if self._profile is None else (Watching(self._profile.name, None, None),)
        self.total = len(self._watched)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the networks and remove what was written."""
        self._stack.close()

    def prepare(self, progress: Progress | None = None) -> None:
        """Make ready what is to be timed. What cannot be is a row with the reason.

        progress: called with the number of monitors that are ready. Warns once of what several of them warn of.
        Raises ValueError where no monitor can be measured.
        """
        scratch = Path(self._stack.enter_context(TemporaryDirectory(prefix="outrider-")))
        with _warned_once():
            for done, what in enumerate(self._watched):
                self._prepare(what, scratch / f"{done}.outrider")
                if progress:
                    progress(done + 1)
        if not any(row.key in self._calls for row in self._rows[1:]):
            reasons = dict.fromkeys(row.note for row in self._rows[1:])
            raise ValueError(
                f"{self._model.path}: expected a monitor that can be measured, got none: {'; '.join(reasons)}"
            )

    def rounds_in(self, seconds: float) -> int:
        """The rounds that fit into so many seconds, once all is prepared; at least 20."""
        return rounds_in(self._calls, seconds)

    def run(self, rounds: int, progress: Progress | None = None) -> CostFigures:
        """Time everything. progress: called with the number of rounds that are done."""
        from onnxruntime import __version__ as version

        times = timed(self._calls, rounds, progress)
        sizes = {row.size.nbytes for row in self._rows if row.size is not None and row.size.nbytes}
        reads = {size: read_seconds(size) for size in sizes}
        return CostFigures(
            network=str(self._model.path),
            profile=None if self._profile is None else str(self._profile),
            processor=processor(),
            onnxruntime=version,
            threads=self._model.threads,
            frames=self._model.rows or 1,
            rounds=rounds,
            bare_ms=1e3 * float(np.median(times[BARE])),
            rows=tuple(with_times(row, times, reads) for row in self._rows),
        )

    def _prepare(self, what: Watching, scratch: Path) -> None:
        """Add the rows of one monitor. scratch: a file name for its profile, where it is taught here."""
        places = (OUTSIDE, INSIDE) if what.outside else (INSIDE,)
        profile = self._profile or scratch
        try:
            if self._profile is None:
                teach(self._model, what, self._frames, profile, self._options)
            facts = read_network(profile)
        except _REFUSALS as error:
            self._rows += [CostRow(what.name, where, note=_reason(error)) for where in places]
            return
        size = TappedSize.of(facts.taps)
        for where in places:
            row = CostRow(what.name, where, size=size)
            try:
                if where == OUTSIDE:
                    self._calls[row.key], row = self._outside(profile, facts, row)
                else:
                    self._calls[row.key] = self._in_the_graph(profile, scratch.with_suffix(".onnx"))
            except _REFUSALS as error:
                row = replace(row, note=_reason(error))
            self._rows.append(row)

    def _outside(self, profile: Path, facts: NetworkFacts, row: CostRow) -> tuple[Callable[[], object], CostRow]:
        """A check of one frame by the monitor, its thresholds out of reach: the way of a frame without alarm."""
        model = str(self._model.path)
        network = reopen_network(model, profile, facts, detections=self._detections, threads=self._model.threads)
        self._stack.callback(network.close)
        monitor = Monitor.load(profile, network)
        if monitor.calibration is None:
            raise NotReadyError(f"{profile}: expected a calibrated profile, got one without a threshold; calibrate it")
        thresholds = np.full_like(monitor.calibration.thresholds, _OUT_OF_REACH)
        lifted = replace(monitor.calibration, thresholds=thresholds, warning_rate=None, warning_thresholds=None)
        judge = Monitor.of(network, monitor.learned, monitor.logic, lifted).bind()
        parts = [self._frames[one.name] for one in network.inputs]
        frames = [together([part[i] for part in parts]) for i in range(TRUSTED)]
        quiet = next((frame for frame in frames if judge(frame)[1].status == Status.OK), None)
        if quiet is None:
            quiet, row = frames[0], replace(row, note=_ALARMS)
        return lambda: judge(quiet), row

    def _in_the_graph(self, profile: Path, guarded: Path) -> Callable[[], object]:
        """A run of the model with the monitor of a profile inside. guarded: the file to write."""
        export(self._model.path, profile, guarded, detections=self._detections)
        return self._model.call(guarded, self._frames)


def _shapes(learned: Any, given: Any) -> Any:
    """The shape of a frame, of several inputs by name: as the profile has it unless it was given."""
    if isinstance(learned, Mapping) and isinstance(given, Mapping):
        return {**learned, **given}
    return learned if given is None else given


def _reason(error: BaseException) -> str:
    """Why something is not measured, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def _warned_once() -> Iterator[None]:
    """Give each warning of the block once, behind it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for category, text in dict.fromkeys((one.category, str(one.message)) for one in caught):
        warnings.warn(text, category, stacklevel=3)
